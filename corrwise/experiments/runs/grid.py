"""Methods on episodes, as rows in one folder: what is missing is run, and a killed run goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from corrwise._files import read_json
from corrwise.envs.tasks.manifest import Manifest
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.cli.options import cost_label
from corrwise.experiments.runs.episodes import episode_row
from corrwise.experiments.runs.executors import Executor
from corrwise.experiments.runs.folder import Job, RunFolder
from corrwise.experiments.runs.mpc import PlannedCost, mpc_settings
from corrwise.experiments.runs.parts import distance_of, load_trained, network_of, settings_behind, task_settings
from corrwise.experiments.runs.rows import MEASURED, NUMBER, TEXT, Key, Row, RowKey, needed
from corrwise.experiments.runs.settings import Settings, differences, fingerprint

__all__ = ["KEY", "METHOD", "Cell", "cell_settings", "current_rows", "run_grid"]

KEY = Key(
    {"task": str, "method": str, "seed": int},
    {
        **{**MEASURED, "settings": needed(TEXT)},
        **dict.fromkeys(("min_distance", "last10_distance"), needed(NUMBER, null=True)),
    },
)
METHOD = ("task", "method")  # the fields that tell methods
_PACKAGES = ("corrwise", "mujoco", "torch", "gymnasium", "dm-control", "opencv-python-headless")  # of a row's versions


@dataclass(frozen=True)
class Cell:
    """One method on one task.

    Attributes:
        method: its name in the rows.
        config: everything about it; its one cost among that.
        manifest: the episodes.
    """

    method: str
    config: MPCConfig
    manifest: Manifest

    @property
    def cost(self) -> str:
        """The one cost of the configuration."""
        (cost,) = self.config.costs
        return cost

    @cached_property
    def planned(self) -> PlannedCost:
        """What the rows depend on, but for the episodes; making it reads the weights of networks."""
        distance, trained = distance_of(self.cost), load_trained(self.config)
        weights = None if trained is None else trained.weights
        return PlannedCost(self.config, self.cost, network_of(distance), weights, distance, trained)

    @property
    def fingerprint(self) -> str:
        """What tells rows of these settings from rows of others."""
        return fingerprint(self.settings)

    @cached_property
    def settings(self) -> Settings:
        """What the rows depend on, but for task and episode."""
        weights = self.planned.weights
        told = {
            "cost": cost_label(self.cost),
            "made_of": settings_behind(self.cost),
            "network": self.planned.network,
            "manifest": self.manifest.settings,
        }
        more = {} if weights is None else {"predictor_weights": weights}
        return cell_settings(mpc_settings(self.config).with_values({**told, **more}))


def cell_settings(settings: Settings) -> Settings:
    """Return the settings of a cell, whose row says the task."""
    return settings.with_values({}, free=("task",))


def run_grid(out: Path, cells: Sequence[Cell], *, executor: Executor, lockstep: int) -> list[Row]:
    """Run what the folder does not hold yet, and return the rows of these cells and their episodes.

    Rows of other settings under the same name are left where they are and made anew; the newest counts. The rows
    depend neither on the executor nor on the lockstep, but for their seconds.

    Args:
        out: the folder.
        cells: what to run.
        executor: who runs it.
        lockstep: episodes of a cell that step together.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
    """
    tasks = {cell.config.task: cell.manifest.digest for cell in cells}
    told: dict[str, Row] = {  # missing weights fail before all else
        "manifests": tasks,
        "models": {task: task_settings(task)["task_model"] for task in tasks},
        "cells": {f"{cell.config.task}/{cell.method}": differences(cell.settings) for cell in cells},
    }
    settings = Settings(
        {name: {**_told(out, name), **mine} for name, mine in told.items()},
        free=("manifests", "cells"),
        evidence=("models",),
    )
    jobs = [
        Job(
            _setup,
            cell,
            {
                (cell.config.task, cell.method, int(seed)): {"settings": cell.fingerprint}
                for seed in cell.manifest.seeds
            },
            together=lockstep,
        )
        for cell in cells
    ]
    return RunFolder(out, settings, KEY, digits=True, packages=_PACKAGES).run(jobs, executor, unit="episode")


def current_rows(rows: Sequence[Row], prints: dict[tuple[str, str], str]) -> list[Row]:
    """Return the newest row of each episode among those with these fingerprints, by (task, method)."""
    mine = [row for row in rows if prints.get((row["task"], row["method"])) == row["settings"]]
    return list({KEY.of(row): row for row in mine}.values())


def _told(out: Path, name: str) -> Row:
    """Return what earlier runs wrote into config.json under a name; claiming the folder says what is wrong with it."""
    try:
        return dict(read_json(out / "config.json")[name])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _setup(cell: Cell, *, threads: int, progress: Callable[[], Any]) -> Callable[[Sequence[RowKey]], Any]:
    runner = cell.planned.runner(threads=threads, images=False)
    names = {"task": cell.config.task, "method": cell.method, "cost": cost_label(cell.cost)}

    def rows(keys: Sequence[RowKey]) -> Iterator[Row]:
        seeds = [key[-1] for key in keys]
        for episode in runner(seeds, frozen=cell.manifest.chosen(seeds), progress=progress):
            yield {**names, **episode_row(episode)}

    return rows
