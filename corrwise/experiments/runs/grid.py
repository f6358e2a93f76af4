"""Grids of methods and tasks as rows in one folder: what is missing is run, and a run that was killed goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from corrwise.envs.tasks.manifest import Manifest
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.cli.options import cost_label
from corrwise.experiments.runs import parts
from corrwise.experiments.runs.distances import settings_behind, stated_before
from corrwise.experiments.runs.episodes import episode_row
from corrwise.experiments.runs.executors import Executor
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.jobs import Job
from corrwise.experiments.runs.mpc import PlannedCost, mpc_settings
from corrwise.experiments.runs.rows import MEASURED, NUMBER, TEXT, Key, Row, RowKey, needed
from corrwise.experiments.runs.settings import Settings, differences, fingerprint

KEY = Key(
    {"task": str, "method": str, "seed": int},
    {
        **{**MEASURED, "settings": needed(TEXT)},
        **dict.fromkeys(("min_distance", "last10_distance"), needed(NUMBER, null=True)),
    },
)
METHOD = ("task", "method")  # the fields that identify a method
_PACKAGES = ("corrwise", "mujoco", "torch", "gymnasium", "dm-control", "opencv-python-headless")  # of a row's versions


@dataclass(frozen=True)
class Cell:
    """One method of a grid on one task.

    Attributes:
        method: its name in the rows.
        config: everything about it, its one cost included.
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
        """What the rows depend on beside the episodes; making it reads the weights of networks."""
        return PlannedCost.of(self.config, self.cost, parts.load_trained(self.config))

    @property
    def fingerprint(self) -> str:
        """The hash of the settings that the cell's rows carry."""
        return fingerprint(self.settings)

    @cached_property
    def settings(self) -> Settings:
        """What the rows depend on beside task and episode."""
        weights = self.planned.weights
        values = {
            "cost": cost_label(self.cost),
            "made_of": settings_behind(self.cost),
            "network": self.planned.network,
            "manifest": self.manifest.settings,
        } | ({} if weights is None else {"predictor_weights": weights})
        return mpc_settings(self.config).with_values(values, free=("task",))


def run_grid(out: Path, cells: Sequence[Cell], *, executor: Executor, lockstep: int) -> list[Row]:
    """Run what the folder does not hold yet, and return the rows of these cells and their episodes.

    Rows of other settings under the same name are kept and made again; the newest counts. The rows depend neither on
    the executor nor on the lockstep, but for their seconds.

    Args:
        out: the folder.
        cells: what to run.
        executor: runs it.
        lockstep: episodes of a cell that step together.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
    """
    tasks = {cell.config.task: cell.manifest.digest for cell in cells}
    values: dict[str, Row] = {  # missing weights fail before all else
        "manifests": tasks,
        "models": {task: parts.task_settings(task)["task_model"] for task in tasks},
        "cells": {f"{cell.config.task}/{cell.method}": differences(cell.settings) for cell in cells},
    }
    settings = Settings(
        {name: {**stated_before(out, name), **here} for name, here in values.items()},
        free=("manifests", "cells"),
        evidence=("models",),
    )
    jobs = []
    for cell in cells:
        keys = [(cell.config.task, cell.method, int(seed)) for seed in cell.manifest.seeds]
        stamp = {"settings": cell.fingerprint}
        jobs.append(Job(_grid_episodes, cell, dict.fromkeys(keys, stamp), together=lockstep))
    return RunFolder(out, settings, KEY, digits=True, packages=_PACKAGES).run(jobs, executor, unit="episode")


def _grid_episodes(cell: Cell, *, threads: int, progress: Callable[[], Any]) -> Callable[[Sequence[RowKey]], Any]:
    runner = cell.planned.runner(threads=threads, images=False)
    names = {"task": cell.config.task, "method": cell.method, "cost": cost_label(cell.cost)}

    def rows(keys: Sequence[RowKey]) -> Iterator[Row]:
        seeds = [key[-1] for key in keys]
        for episode in runner(seeds, frozen=cell.manifest.chosen(seeds), progress=progress):
            yield {**names, **episode_row(episode)}

    return rows


def current_rows(rows: Sequence[Row], prints: dict[tuple[str, str], str]) -> list[Row]:
    """Return the newest row of each episode among those with these fingerprints, by (task, method)."""
    current = [row for row in rows if prints.get((row["task"], row["method"])) == row["settings"]]
    return list({KEY.of(row): row for row in current}.values())
