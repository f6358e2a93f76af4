"""Methods on episodes, as rows in one folder: what is missing is run, on all cores, and a killed run goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tqdm import tqdm

from corrwise._files import read_json
from corrwise.experiments.cli.cost import cost_label
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs.digits import six_digits
from corrwise.experiments.runs.episode import episode_row
from corrwise.experiments.runs.episodes import run_episodes
from corrwise.experiments.runs.fields import NUMBER, TEXT, Key, needed
from corrwise.experiments.runs.lock import only_run
from corrwise.experiments.runs.manifest import Manifest
from corrwise.experiments.runs.mpc import jsonable_config
from corrwise.experiments.runs.named_predictors import weights_of
from corrwise.experiments.runs.networks import networks_of
from corrwise.experiments.runs.rows import MEASURED, append_row, claim_folder, open_rows
from corrwise.experiments.runs.versions import check_versions, versions
from corrwise.experiments.runs.workers import done

__all__ = ["KEY", "METHOD", "Cell", "current_rows", "run_grid"]

KEY = Key(
    {"task": str, "method": str, "seed": int},
    {
        **{**MEASURED, "settings": needed(TEXT)},
        **dict.fromkeys(("min_distance", "last10_distance"), needed(NUMBER, null=True)),
    },
)
METHOD = ("task", "method")  # the fields that tell methods
# Said by the row, or they change nothing.
_UNUSED = ("task", "costs", "flow", "episodes", "seed", "lockstep", "max_frames", "videos")
_TOLD = ("corrwise", "mujoco", "torch", "gymnasium", "dm-control", "opencv-python-headless")  # of a row's versions

Row = dict[str, Any]


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
    def settings(self) -> Row:
        """What the rows depend on, but for task and episode; making it reads a network's weights."""
        plain = {name: value for name, value in jsonable_config(self.config).items() if name not in _UNUSED}
        (behind,) = plain.pop("made_of").values()
        network = networks_of(self.config)[cost_label(self.cost)]
        plain["predictor"] = self.config.predictor_label  # a trained one's folder may be moved
        told = {"cost": cost_label(self.cost), "made_of": behind, **plain, "network": network}
        told["manifest"] = self.manifest.settings
        weights = weights_of(self.config)
        return told if weights is None else {**told, "predictor_weights": weights}

    @property
    def fingerprint(self) -> str:
        """What tells rows of these settings from rows of others."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class _Job:
    """Some episodes of one cell, run in lockstep."""

    cell: Cell
    seeds: tuple[int, ...]
    fingerprint: str


def run_grid(out: Path, cells: Sequence[Cell], *, workers: int, lockstep: int) -> list[Row]:
    """Run what the folder does not hold yet, and return the rows of these cells and their episodes.

    Rows of other settings under the same name are left where they are and made anew; the newest counts. The rows
    depend neither on the workers nor on the lockstep, but for their seconds.

    Args:
        out: the folder.
        cells: what to run.
        workers: processes with a thread each; 0 is one for each core.
        lockstep: episodes of a cell that step together.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
    """
    # Missing weights fail before all else.
    prints = {(cell.config.task, cell.method): cell.fingerprint for cell in cells}
    told: dict[str, Row] = {
        "manifests": {cell.config.task: cell.manifest.digest for cell in cells},
        "cells": {f"{cell.config.task}/{cell.method}": cell.settings for cell in cells},
    }
    with only_run(out):
        claim_folder(out, {name: {**_told(out, name), **mine} for name, mine in told.items()}, ignore=told, key=KEY)
        rows = open_rows(out / "rows.jsonl", KEY)
        check_versions(out, rows)
        jobs = list(_jobs(cells, prints, current_rows(rows, prints), lockstep))
        steps = sum(len(job.seeds) for job in jobs)
        with tqdm(total=steps, unit="episode", desc=out.name) as bar:
            for made in done(_run, jobs, workers):
                for row in map(_short, made):
                    append_row(out / "rows.jsonl", row)
                    rows.append(row)
                    bar.update()
    asked = {(cell.config.task, cell.method, int(seed)) for cell in cells for seed in cell.manifest.seeds}
    return [row for row in current_rows(rows, prints) if (row["task"], row["method"], row["seed"]) in asked]


def _told(out: Path, name: str) -> Row:
    """Return what earlier runs wrote into config.json under a name; claiming the folder says what is wrong with it."""
    try:
        return dict(read_json(out / "config.json")[name])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def current_rows(rows: Sequence[Row], prints: dict[tuple[str, str], str]) -> list[Row]:
    """Return the newest row of each episode among those with these fingerprints, by (task, method)."""
    mine = [row for row in rows if prints.get((row["task"], row["method"])) == row["settings"]]
    return list({(row["task"], row["method"], row["seed"]): row for row in mine}.values())


def _jobs(
    cells: Sequence[Cell], prints: dict[tuple[str, str], str], rows: Sequence[Row], lockstep: int
) -> Iterator[_Job]:
    there = {(row["task"], row["method"], row["seed"]) for row in rows}
    for cell in cells:
        key = cell.config.task, cell.method
        left = [int(seed) for seed in cell.manifest.seeds if (*key, int(seed)) not in there]
        for i in range(0, len(left), lockstep):
            yield _Job(cell, tuple(left[i : i + lockstep]), prints[key])


def _short(row: Row) -> Row:
    """Return the row with six digits of each number: thousands of rows must stay a few megabytes."""
    said = {name: versions()[name] for name in _TOLD}
    return {**{name: six_digits(value) for name, value in row.items()}, "versions": said}


def _run(job: _Job, *, threads: int) -> list[Row]:
    cell = job.cell
    episodes = run_episodes(cell.config, cell.cost, job.seeds, frozen=cell.manifest.chosen(job.seeds), threads=threads)
    said = {"task": cell.config.task, "method": cell.method, "cost": cost_label(cell.cost), "settings": job.fingerprint}
    return [{**said, **episode_row(episode)} for episode in episodes]
