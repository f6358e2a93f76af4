"""Planned episodes as rows: ``corrwise mpc``, with images and a report, and the grids of methods that tables plan."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from corrwise.costs.spec import RECOMMENDED, CostSpec
from corrwise.envs.tasks.manifest import Manifest
from corrwise.experiments.cli.cost import cost_label
from corrwise.experiments.cli.mpc import MPCConfig, run_name
from corrwise.experiments.report.strip import make_strip, save_strip
from corrwise.experiments.report.video import label_panels, write_video
from corrwise.experiments.runs import parts
from corrwise.experiments.runs.episodes import Episode, EpisodeRunner, episode_row
from corrwise.experiments.runs.executors import Executor, executor_of
from corrwise.experiments.runs.folder import Job, RunFolder
from corrwise.experiments.runs.policies import planner_settings
from corrwise.experiments.runs.rows import MEASURED, NUMBER, TEXT, Key, Row, RowKey, needed
from corrwise.experiments.runs.settings import ConfigMismatch, Settings, differences, fingerprint, settings_of
from corrwise.types import Distance

KEY = Key(  # of a grid's rows
    {"task": str, "method": str, "seed": int},
    {
        **{**MEASURED, "settings": needed(TEXT)},
        **dict.fromkeys(("min_distance", "last10_distance"), needed(NUMBER, null=True)),
    },
)
METHOD = ("task", "method")  # the fields of a grid's rows that identify a method
_PACKAGES = ("corrwise", "mujoco", "torch", "gymnasium", "dm-control", "opencv-python-headless")  # of a row's versions
_VIDEO_FPS = 10


def run_mpc(config: MPCConfig) -> Path:
    """Run what the folder does not hold yet, print the result that the report opens with, and return the report's path.

    Raises what ``plan_rows`` does.
    """
    rows = plan_rows(config)
    from corrwise.experiments.report.page import METHOD, run_text, write_report  # rows need no report
    from corrwise.experiments.report.summary import rejection_warnings, warn

    report = write_report(config.out)
    print(run_text(rows))
    warn(rejection_warnings(rows, METHOD))
    return report


def plan_rows(config: MPCConfig) -> list[Row]:
    """Run what the folder does not hold yet, and return its rows.

    An episode's row is written after its images, so a run that is killed loses at most the episodes in flight, and
    the same call continues it.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, RuntimeError, ValueError: a task, a camera or weights are missing.
    """
    # A missing task, camera or weights must fail before all else.
    parts.named_task(config.task).check_cameras(config.cameras)
    settings = parts.with_costs(mpc_settings(config), config.out, config.costs)
    trained = parts.load_trained(config)
    planned = [PlannedCost.of(config, cost, trained) for cost in config.costs]
    networks, weights = {cost_label(each.cost): each.network for each in planned}, planned[0].weights
    if weights or any(networks.values()):
        settings = settings.with_values({}, counted=["max_frames"])  # a network's last bits depend on the batch
    executor = executor_of(config.where, config.processes, config.out)
    with RunFolder(config.out, settings) as folder:
        if RECOMMENDED in config.costs:
            tqdm.write(f"{RECOMMENDED}: {CostSpec.parse(RECOMMENDED).describe()}", file=sys.stderr)
        _check_same_weights(config.out, folder.rows, networks, weights)
        names = config.label, config.planner_label, config.predictor_label
        seeds = range(config.seed, config.seed + config.episodes)
        jobs = [
            Job(
                _shown_episodes,
                each,
                {(names[0], cost_label(each.cost), *names[1:], seed): {} for seed in seeds},
                together=config.lockstep,
                label=cost_label(each.cost),
                steps=config.steps or parts.named_task(config.task).episode_steps,
            )
            for each in planned
        ]
        folder.run(jobs, executor, unit="episode")
        return folder.rows


def mpc_settings(config: MPCConfig) -> Settings:
    """Return what the rows of a configuration depend on: of the planners' options, those of the planner in use.

    Raises:
        ValueError: there is no such task.
    """
    settings = settings_of(config, "mpc")
    del settings["knots"]  # an option of the planner's
    return settings.with_values(
        {**planner_settings(config), **parts.task_settings(config.task)},
        counted=() if config.reproducible else ("lockstep",),  # float rounding depends on what shares a batch
        evidence=("task_model", "task_numbers"),
        normal={"task": parts.task_label, "predictor": _predictor_label},
    )


@dataclass(frozen=True)
class PlannedCost:
    """What the episodes of one cost depend on; a process that receives it builds again what cannot be pickled.

    Attributes:
        config: the configuration.
        cost: which of its costs.
        network, weights: hashes of the networks behind flow and predictor when the run began; None without one.
        distance, trained: what has been built already; None in another process.
    """

    config: MPCConfig
    cost: str
    network: str | None
    weights: str | None
    distance: Distance | None = field(default=None, compare=False)
    trained: parts.Trained | None = field(default=None, compare=False)

    @classmethod
    def of(cls, config: MPCConfig, cost: str, trained: parts.Trained | None) -> PlannedCost:
        """Build the distance and note the weights; raises what ``make_distance`` does."""
        distance, weights = parts.distance_of(cost), None if trained is None else trained.weights
        return cls(config, cost, parts.network_of(distance), weights, distance, trained)

    def runner(self, *, threads: int, images: bool) -> EpisodeRunner:
        """Build what runs the episodes.

        Raises:
            ValueError: a file of weights has changed since the run began.
        """
        runner = EpisodeRunner(
            self.config, self.cost, threads=threads, images=images, distance=self.distance, trained=self.trained
        )
        here = None if runner.trained is None else runner.trained.weights
        for name, was, now in (("predictor", self.weights, here), (self.cost, self.network, runner.network)):
            if was != now:
                raise ValueError(f"the weights of {name} have changed since the run began: {was} then, {now} now")
        return runner

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "distance": None, "trained": None}


def _shown_episodes(
    planned: PlannedCost, *, threads: int, progress: Callable[[], Any]
) -> Callable[[Sequence[RowKey]], Any]:
    """Return what makes the rows of ``corrwise mpc`` and writes their images."""
    runner, config = planned.runner(threads=threads, images=True), planned.config
    names = {"task": config.label, "cost": cost_label(planned.cost)}
    names |= {"planner": config.planner_label, "predictor": config.predictor_label}
    views = {"cameras": list(config.cameras), "depth": config.depth}
    if len(config.cameras) == 1 and not config.depth:
        views = {}  # rows without these fields are of one camera's colours
    weights = {"network": planned.network, "predictor_weights": planned.weights}

    def rows(keys: Sequence[RowKey]) -> Iterator[Row]:
        for episode in runner([key[-1] for key in keys], progress=progress):
            yield {**names, **views, **episode_row(episode), **_images(config, names, episode), **weights}

    return rows


def _images(config: MPCConfig, names: dict[str, str], episode: Episode) -> Row:
    """Write an episode's images and return their fields."""
    words = [_file_name(value) if name == "cost" else value for name, value in names.items()]
    stem = Path("episodes") / f"{'-'.join(words)}-{episode.seed}"
    strip, video = Path(f"{stem}.png"), Path(f"{stem}.mp4")
    save_strip(config.out / strip, make_strip(list(episode.panels.values())))
    if config.videos:
        clips = {name: np.stack(images) for name, images in episode.panels.items()}
        write_video(config.out / video, label_panels(clips), fps=_VIDEO_FPS)
    return {"strip": str(strip), "panels": list(episode.panels), "video": str(video) if config.videos else None}


def _file_name(label: str) -> str:
    """Return a cost's label as a part of a file name: one with a path in it is cut short and gets a digest."""
    if "/" not in label and len(label) <= 80:
        return label.replace(":", "-")
    plain = re.sub(r"[^\w=,.-]+", "-", label)[:60]
    return f"{plain}-{hashlib.sha256(label.encode()).hexdigest()[:8]}"


def _predictor_label(name: str) -> str:
    return name if name in parts.PREDICTORS else run_name(Path(name))


def _check_same_weights(out: Path, rows: Sequence[Row], networks: dict[str, str | None], weights: str | None) -> None:
    """Refuse to add rows to those of another network behind a cost, or of another training of the predictor."""
    for row in rows:
        here = networks.get(row["cost"])
        if here and row.get("network", here) != here:
            raise ConfigMismatch(
                f"{out} holds rows of {row['cost']} made with network {row['network']}, and here is {here}; "
                "choose another output folder"
            )
        if row.get("predictor_weights", weights) != weights:
            raise ConfigMismatch(
                f"{out} holds rows of predictor {row['predictor']} with weights {row['predictor_weights']}, and here "
                f"they are {weights}; choose another output folder"
            )


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
            "made_of": parts.settings_behind(self.cost),
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
        {name: {**parts.stated_before(out, name), **here} for name, here in values.items()},
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
