"""``corrwise table predictors``: models that differ in their loss alone, their frames, and the plans made with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from corrwise.envs import TASKS
from corrwise.experiments.options.evaluate import EvaluateConfig
from corrwise.experiments.options.mpc import MPCConfig
from corrwise.experiments.options.predictors import PredictorTableConfig
from corrwise.experiments.options.train import TrainConfig
from corrwise.experiments.planning.grid import Cell, run_grid
from corrwise.experiments.planning.manifest import frozen_manifest
from corrwise.experiments.planning.named_predictors import model_folder, weights_hash
from corrwise.experiments.planning.workers import done
from corrwise.experiments.records.atomic import write_bytes_atomic
from corrwise.experiments.records.lock import only_run
from corrwise.experiments.records.rows import claim_folder, read_rows
from corrwise.experiments.records.settings import settings_of
from corrwise.experiments.video.arms import clips_of, model_folder_of, train_config, warm_config
from corrwise.experiments.video.collect import run_collect
from corrwise.experiments.video.evaluate import FLOOR, KEY, run_evaluate
from corrwise.experiments.video.starting_model import starting_model
from corrwise.experiments.video.table_text import predictor_tables
from corrwise.experiments.video.train import run_train
from corrwise.types import Context

__all__ = ["run_predictor_table"]

_FREE = ("tasks", "arms", "seeds", "episodes", "workers")  # these never change a row

Row = dict[str, Any]


def run_predictor_table(config: PredictorTableConfig) -> Path:
    """Collect, train, judge and plan what the folder does not hold yet, and return the table's path.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        ValueError: pictures that a model cannot see, or more frames than a task has.
        RuntimeError: the extra ``train`` is not installed, or a worker was killed.
    """
    _check(config)
    with only_run(config.out):
        claim_folder(config.out, settings_of(config), ignore=_FREE, begun=(config.out / "clips").exists())
        for task in config.tasks:
            run_collect(clips_of(config, task, held=False))
            run_collect(clips_of(config, task, held=True))
        trained = [(task, arm, seed) for seed in range(config.seeds) for task in config.tasks for arm in config.arms]
        for part in (warm_config, train_config):  # arms of a model and seed begin with the same weights
            jobs = list(dict.fromkeys(part(config, *which) for which in trained))
            for _ in done(_train, jobs, config.workers):
                pass
        frames = {task: _judged(config, task) for task in config.tasks}
        plans = _planned(config) if config.episodes else []
        table = config.out / "table.md"
        write_bytes_atomic(table, predictor_tables(frames, plans).encode())
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
            model = starting_model(job, 1, size)
        model(Context(torch.zeros(1, 1, 3, *size), torch.zeros(1, 0, 1), None), torch.zeros(1, 1, 1, 1))


def _train(job: TrainConfig, *, threads: int) -> Path:
    """Train a model, by one thread: more would round differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return run_train(job)
    finally:
        torch.set_num_threads(before)


def _judged(config: PredictorTableConfig, task: str) -> list[Row]:
    """Return the rows of the frames of all models of a task."""
    models = [model_folder_of(config, task, arm, seed) for arm in config.arms for seed in range(config.seeds)]
    out = config.out / "frames" / task
    run_evaluate(
        EvaluateConfig(
            models=tuple(models), data=clips_of(config, task, held=True).out, out=out, horizon=config.shown,
            windows=config.windows, videos=3,
        )
    )  # fmt: skip
    weights = {FLOOR: "", **{model.name: weights_hash(model_folder(str(model))) for model in models}}
    return [row for row in read_rows(out / "rows.jsonl", KEY) if weights.get(row["model"]) == row["weights"]]


def _planned(config: PredictorTableConfig) -> list[Row]:
    """Return the rows of planning with the models of each arm, and with what they stand between.

    The episodes of an arm are shared out among its models; its rows bear the arm's name.
    """
    cells = []
    for task in config.tasks:
        manifest = frozen_manifest(task).part(slice(config.episodes))
        plain = MPCConfig(
            task=task, costs=(config.cost,), horizon=config.look, candidates=config.candidates,
            iterations=config.iterations, size=config.size, supersample=config.supersample, videos=False,
        )  # fmt: skip
        stands = {"zero-action": replace(plain, costs=("zero-action",)), "oracle": plain}
        stands["copy-last"] = replace(plain, predictor="copy-last")
        cells += [Cell(name, each, manifest) for name, each in stands.items()]
        for arm in config.arms:
            for seed in range(config.seeds):
                model = replace(plain, predictor=str(model_folder_of(config, task, arm, seed)))
                mine = manifest.part(slice(seed, None, config.seeds))
                cells += [Cell(f"{arm}-{seed}", model, mine)] if len(mine.seeds) else []
    rows = run_grid(config.out / "plans", cells, workers=config.workers, lockstep=1)
    arms = {f"{arm}-{seed}": arm for arm in config.arms for seed in range(config.seeds)}
    return [{**row, "method": arms.get(row["method"], row["method"])} for row in rows]
