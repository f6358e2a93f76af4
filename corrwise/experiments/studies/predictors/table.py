"""``corrwise table predictors``: models that differ in their loss alone, their frames, and the plans made with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from corrwise._files import reading
from corrwise._writing import RunFolderError, write_bytes_atomic
from corrwise.envs import TASKS
from corrwise.envs.tasks.manifest import frozen_manifest
from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.cli.options import TASK_NAMES
from corrwise.experiments.cli.table_predictors import ARM_NAMES, PredictorTableConfig
from corrwise.experiments.cli.train import TrainConfig
from corrwise.experiments.report.summary import planned_rows, quoted, rejection_warnings, warn
from corrwise.experiments.runs.collect import run_collect
from corrwise.experiments.runs.executors import Executor, executor_of
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.grid import KEY as PLANS_KEY
from corrwise.experiments.runs.grid import METHOD, Cell, run_grid
from corrwise.experiments.runs.rows import Row, read_rows
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.runs.train import run_train, starting_model
from corrwise.experiments.studies.predictors.evaluate import KEY as FRAMES_KEY
from corrwise.experiments.studies.predictors.evaluate import run_evaluate
from corrwise.experiments.studies.predictors.evaluation import broken_frames
from corrwise.experiments.studies.predictors.text import (
    clips_of,
    model_folder_of,
    predictor_tables,
    train_config,
    warm_config,
)
from corrwise.types import Context

__all__ = ["held_frames", "held_plans", "run_predictor_table"]

_ORDER = ("zero-action", "oracle", "copy-last", *ARM_NAMES)  # in the order of the command


def held_frames(folder: Path) -> dict[str, list[Row]]:
    """Return the rows of predicted frames by task: of each model those of its newest weights."""
    frames = {}
    for task in TASK_NAMES:
        rows = read_rows(folder / "frames" / task / "rows.jsonl", FRAMES_KEY)
        newest = {row["model"]: row["weights"] for row in rows}
        mine = [row for row in rows if newest[row["model"]] == row["weights"]]
        if mine:
            frames[task] = sorted(mine, key=lambda row: _place(row["model"].rpartition("-")[0]))
    return frames


def held_plans(folder: Path) -> list[Row]:
    """Return the newest rows of the plans, under the name that the models of an arm share."""
    rows = read_rows(folder / "plans" / "rows.jsonl", PLANS_KEY)
    newest = {(row["task"], row["method"]): row["settings"] for row in rows}
    rows = [row for row in rows if newest[row["task"], row["method"]] == row["settings"]]
    arms = {row["method"]: row["method"].rpartition("-")[0] for row in rows}
    rows = [{**row, "method": arms[row["method"]]} if arms[row["method"]] in ARM_NAMES else row for row in rows]
    return sorted(rows, key=lambda row: (_task(row["task"]), _place(row["method"])))


def _task(name: str) -> int:
    return TASK_NAMES.index(name) if name in TASK_NAMES else len(TASK_NAMES)


def _place(name: str) -> int:
    """Return where a line stands: twins side by side, whichever was run first, and what is no arm at the end."""
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


def run_predictor_table(config: PredictorTableConfig) -> Path:
    """Collect, train, judge and plan what the folder lacks, and return the path of a table of all that it holds.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        ValueError: pictures that a model cannot see, or more frames than a task has.
        RuntimeError: the extra ``train`` is not installed, or a worker was killed.
    """
    _check(config)
    executor = executor_of(config.where, config.processes, config.out)
    with RunFolder(config.out, settings_of(config, "predictors"), begun=lambda out: (out / "clips").exists()):
        for task in config.tasks:
            run_collect(clips_of(config, task, held=False))
            run_collect(clips_of(config, task, held=True))
        trained = [(task, arm, seed) for seed in range(config.seeds) for task in config.tasks for arm in config.arms]
        for part in (warm_config, train_config):  # arms of a model and seed begin with the same weights
            jobs = list(dict.fromkeys(part(config, *which) for which in trained))
            for _ in executor(_train, jobs):
                pass
        for task in config.tasks:
            _judge(config, task)
        if config.episodes:
            _plan(config, executor)
        table = config.out / "table.md"
        with reading(config.out, "holds rows that no table can be made of", RunFolderError):
            plans, frames = held_plans(config.out), held_frames(config.out)
            refused = [said for rows in frames.values() for said in broken_frames(rows)] + rejection_warnings(
                plans, METHOD
            )
            page = predictor_tables(frames, planned_rows(plans, METHOD))
        warn(refused)
        write_bytes_atomic(table, (quoted(refused) + page).encode())
    return table


def _check(config: PredictorTableConfig) -> None:
    """Refuse pictures and lengths that some model or task does not have, before hours of training."""
    size, asked = (config.size, config.size), TrainConfig.context + max(config.horizon, config.shown)
    for task in config.tasks:
        frames = TASKS[task].episode_steps + 1
        if asked > frames:
            raise ValueError(f"expected context and horizon of at most the {frames} frames of {task}, got {asked}")
    jobs = (warm_config(config, task, arm, 0) for task in config.tasks for arm in config.arms)
    for job in {job.model: job for job in jobs}.values():
        with torch.random.fork_rng():
            model = starting_model(job, 1, size).eval()  # normalisation by batches asks for more than one picture
        plain: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}
        frame, none, action = (torch.zeros(1, *rest, **plain) for rest in ((1, 3, *size), (0, 1), (1, 1, 1)))
        model(Context(frame, none, None), action)


def _train(job: TrainConfig, *, threads: int) -> Path:
    """Train a model, by one thread: more would round differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return run_train(job)
    finally:
        torch.set_num_threads(before)


def _judge(config: PredictorTableConfig, task: str) -> None:
    """Measure the frames of all models of a task."""
    models = [model_folder_of(config, task, arm, seed) for arm in config.arms for seed in range(config.seeds)]
    run_evaluate(
        EvaluateConfig(
            models=tuple(models), data=clips_of(config, task, held=True).out, out=config.out / "frames" / task,
            horizon=config.shown, windows=config.windows, videos=3, device=config.device,
        )
    )  # fmt: skip


def _plan(config: PredictorTableConfig, executor: Executor) -> None:
    """Plan with the models of each arm, which share out the episodes, and with what they stand between."""
    cells = []
    for task in config.tasks:
        manifest = frozen_manifest(task).part(slice(config.episodes))
        plain = MPCConfig(
            task=task, costs=(config.cost,), horizon=config.look, candidates=config.candidates,
            iterations=config.iterations, size=config.size, supersample=config.supersample, videos=False,
            device=config.device,
        )  # fmt: skip
        stands = {"zero-action": replace(plain, costs=("zero-action",)), "oracle": plain}
        stands["copy-last"] = replace(plain, predictor="copy-last")
        cells += [Cell(name, each, manifest) for name, each in stands.items()]
        for arm in config.arms:
            for seed in range(config.seeds):
                model = replace(plain, predictor=str(model_folder_of(config, task, arm, seed)))
                mine = manifest.part(slice(seed, None, config.seeds))
                cells += [Cell(f"{arm}-{seed}", model, mine)] if len(mine.seeds) else []
    run_grid(config.out / "plans", cells, executor=executor, lockstep=1)
