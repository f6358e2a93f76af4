"""``corrwise table predictors``: models that differ in their loss alone, their frames, and the plans made with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from corrwise.envs import TASKS
from corrwise.envs.tasks.manifest import frozen_manifest
from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.cli.options import TASK_NAMES
from corrwise.experiments.cli.table_predictors import Arm, PredictorTableConfig
from corrwise.experiments.cli.train import SMALL, TrainConfig
from corrwise.experiments.report.statistics import mean_and_error, paired_difference, rounded
from corrwise.experiments.report.summary import planned_rows, rejection_warnings, seconds_of
from corrwise.experiments.report.table import markdown_table, write_table
from corrwise.experiments.runs.collect import run_collect
from corrwise.experiments.runs.executors import Executor, executor_of
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.grid import KEY as PLANS_KEY
from corrwise.experiments.runs.grid import METHOD, Cell, run_grid
from corrwise.experiments.runs.rows import Row, of_newest_weights, read_rows
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.runs.train import train_with_one_thread
from corrwise.experiments.runs.trainers import make_loss, starting_model
from corrwise.experiments.studies.planning import by_method, gap_closed, gap_is_clear, paired
from corrwise.experiments.studies.predictors.evaluate import KEY as FRAMES_KEY
from corrwise.experiments.studies.predictors.evaluate import run_evaluate
from corrwise.experiments.studies.predictors.evaluation import broken_frames, clip_means, metrics_of
from corrwise.types import Context
from corrwise.validation import ConfigError

_HELD_SEED = 200_000  # seed of the first held-out episode
_CROPS = {"resnet3d": 32, "svg": 0, "svg-prime": 32}  # svg is made for one size
_WARM_RATE, _RATE = 1e-3, 5e-4  # of Adam
_BASELINES = ("zero-action", "oracle", "copy-last")
_OVER_CLIPS = "Intervals are over clips, with the models as they are; each pair of models stands in square brackets."


def run_predictor_table(config: PredictorTableConfig) -> Path:
    """Collect, train, evaluate and plan what the folder lacks, and return the path of a table of all that it holds.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        ValueError: an image size that a model does not take, or more frames than a task has.
        RuntimeError: the extra ``train`` is not installed, or a worker was killed.
    """
    _check(config)
    executor = executor_of(config.where, config.processes, config.out)
    with RunFolder(config.out, settings_of(config, "predictors"), begun=lambda out: (out / "clips").exists()):
        for task in config.tasks:
            run_collect(_clips_of(config, task, held=False))
            run_collect(_clips_of(config, task, held=True))
        trained = [(task, arm, seed) for seed in range(config.seeds) for task in config.tasks for arm in config.arms]
        for part in (warm_config, train_config):  # arms of a model and seed begin with the same weights
            jobs = list(dict.fromkeys(part(config, *which) for which in trained))
            for _ in executor(train_with_one_thread, jobs):
                pass
        for task in config.tasks:
            _evaluate(config, task)
        if config.episodes:
            _plan(config, executor)

        def page() -> tuple[str, list[str]]:
            plans, frames = held_plans(config.out), held_frames(config.out)
            warnings = [warning for rows in frames.values() for warning in broken_frames(rows)]
            tables = predictor_tables(frames, planned_rows(plans, METHOD))
            return tables, warnings + rejection_warnings(plans, METHOD)

        return write_table(config.out, page)


def _check(config: PredictorTableConfig) -> None:
    """Refuse losses, image sizes and lengths that some model or task does not have, before hours of training."""
    size, asked = (config.size, config.size), TrainConfig.context + max(config.horizon, config.shown)
    for task in config.tasks:
        frames = TASKS[task].episode_steps + 1
        if asked > frames:
            raise ValueError(f"expected context and horizon of at most the {frames} frames of {task}, got {asked}")
    for arm in config.arms:
        loss, side = Arm.parse(arm).loss, train_config(config, config.tasks[0], arm, 0).crop or config.size
        if side < loss.smallest:
            raise ValueError(f"expected images of at least {loss.smallest} pixels for {arm}, got {side}")
        make_loss(train_config(config, config.tasks[0], arm, 0))
    jobs = (warm_config(config, task, arm, 0) for task in config.tasks for arm in config.arms)
    for job in {job.model: job for job in jobs}.values():
        with torch.random.fork_rng():
            model = starting_model(job, 1, size).eval()  # batch normalisation needs more than one image to train
        plain: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}
        frame, none, action = (torch.zeros(1, *rest, **plain) for rest in ((1, 3, *size), (0, 1), (1, 1, 1)))
        model(Context(frame, none, None), action)


def _clips_of(config: PredictorTableConfig, task: str, *, held: bool) -> CollectConfig:
    """Return how the clips of a task are collected: for training, or held out."""
    plain = CollectConfig(task=task, size=config.size, supersample=config.supersample)
    if held:
        return replace(plain, out=config.out / "clips" / f"{task}-held", episodes=config.eval_episodes, seed=_HELD_SEED)
    return replace(plain, out=config.out / "clips" / task, episodes=config.clips)


def _model_folder(config: PredictorTableConfig, task: str, arm: str, seed: int) -> Path:
    return config.out / "models" / task / f"{arm}-{seed}"


def warm_config(config: PredictorTableConfig, task: str, arm: str, seed: int) -> TrainConfig:
    """Return how all arms of a model begin: L1 loses a small body before the model can predict where it goes.

    Geng et al. (CVPR 2022, Sec. A3) begin so, with a pixel-wise loss for five epochs, where they regularise.
    """
    model = Arm.parse(arm).model
    return TrainConfig(
        data=(_clips_of(config, task, held=False).out,),
        model=model,
        loss="mse",
        out=_model_folder(config, task, f"{model}-warm", seed),
        steps=config.warm,
        batch=config.batch,
        horizon=1,
        crop=min(_CROPS[model], config.size),
        options=SMALL[model],
        lr=_WARM_RATE,
        val_fraction=0.0,
        seed=seed,
        device=config.device,
    )


def train_config(config: PredictorTableConfig, task: str, arm: str, seed: int) -> TrainConfig:
    """Return how a model of an arm goes on: with its own loss, over several frames, where ``warm_config`` ended."""
    warm = warm_config(config, task, arm, seed)
    return replace(
        warm,
        loss=str(Arm.parse(arm).loss),
        out=_model_folder(config, task, arm, seed),
        init_from=str(warm.out),
        steps=config.steps,
        horizon=config.horizon,
        lr=_RATE,
    )


def _evaluate(config: PredictorTableConfig, task: str) -> None:
    """Measure the frames of all models of a task."""
    models = [_model_folder(config, task, arm, seed) for arm in config.arms for seed in range(config.seeds)]
    run_evaluate(
        EvaluateConfig(
            models=tuple(models), data=_clips_of(config, task, held=True).out, out=config.out / "frames" / task,
            horizon=config.shown, windows=config.windows, videos=3, device=config.device,
        )
    )  # fmt: skip


def _plan(config: PredictorTableConfig, executor: Executor) -> None:
    """Plan with the models of each arm, which share out the episodes, and with the baselines and the oracle."""
    cells = []
    for task in config.tasks:
        manifest = frozen_manifest(task).part(slice(config.episodes))
        plain = MPCConfig(
            task=task, costs=(config.cost,), horizon=config.plan_horizon, candidates=config.candidates,
            iterations=config.iterations, size=config.size, supersample=config.supersample, videos=False,
            device=config.device,
        )  # fmt: skip
        others = {"zero-action": replace(plain, costs=("zero-action",)), "oracle": plain}
        others["copy-last"] = replace(plain, predictor="copy-last")
        cells += [Cell(name, each, manifest) for name, each in others.items()]
        for arm in config.arms:
            for seed in range(config.seeds):
                model = replace(plain, predictor=str(_model_folder(config, task, arm, seed)))
                mine = manifest.part(slice(seed, None, config.seeds))
                cells += [Cell(f"{arm}-{seed}", model, mine)] if len(mine.seeds) else []
    run_grid(config.out / "plans", cells, executor=executor, lockstep=1)


def held_frames(folder: Path) -> dict[str, list[Row]]:
    """Return the rows of predicted frames by task: of each model those of its newest weights."""
    frames = {}
    for task in TASK_NAMES:
        mine = of_newest_weights(read_rows(folder / "frames" / task / "rows.jsonl", FRAMES_KEY))
        if mine:
            frames[task] = sorted(mine, key=lambda row: _place(_arm_of(row["model"]), baselines=2))
    return frames


def held_plans(folder: Path) -> list[Row]:
    """Return the newest rows of the plans, under the name that the models of an arm share."""
    rows = read_rows(folder / "plans" / "rows.jsonl", PLANS_KEY)
    newest = {(row["task"], row["method"]): row["settings"] for row in rows}
    rows = [row for row in rows if newest[row["task"], row["method"]] == row["settings"]]
    rows = [{**row, "method": _arm_of(row["method"])} for row in rows]
    tasks = {task: place for place, task in enumerate(TASK_NAMES)}
    return sorted(rows, key=lambda row: (tasks.get(row["task"], len(tasks)), _place(row["method"])))


def _arm_of(name: str) -> str:
    """Return the arm of a model's name, which ends with its seed; another name as it is."""
    arm, _, seed = name.rpartition("-")
    return arm if seed.isdigit() else name


def _place(name: str, baselines: int = 0) -> tuple[Any, ...]:
    """Return what rows are sorted by: arms (1), baselines (0 for before them), and names of neither (3)."""
    if name in _BASELINES:
        return baselines, _BASELINES.index(name)
    arm = _known(name)
    return (3,) if arm is None else (1, *arm.place)


def _twin(name: str) -> str:
    """Return the pixel-wise arm that an arm is compared with; nothing if it is one itself, or no arm."""
    arm = _known(name)
    return str(arm.pixel_wise) if arm is not None and arm != arm.pixel_wise else ""


def _known(name: str) -> Arm | None:
    try:
        return Arm.parse(name)
    except ConfigError:
        return None


def predictor_tables(frames: Mapping[str, Sequence[Row]], plans: Sequence[Row]) -> str:
    """Return two tables: of predicted frames, and of the plans made with them."""
    page = f"### Frames\n\n{_frames_table(frames)}\n{_OVER_CLIPS}\n"
    return page + (f"\n### Plans\n\n{_plans_table(plans)}" if plans else "")


def _frames_table(frames: Mapping[str, Sequence[Row]]) -> str:
    """Compare arms clip by clip, each clip's numbers averaged over the models of an arm; beside it, model by model."""
    metrics = metrics_of([row for rows in frames.values() for row in rows])
    more = (f"{name}: more than the pixel-wise twin (each pair of models)" for name in metrics)
    lines = []
    for task, rows in frames.items():
        arms: dict[str, dict[str, list[Row]]] = {}
        for row in rows:
            arm, _, seed = ("copy-last", "", "0") if row["model"] == "copy-last" else row["model"].rpartition("-")
            arms.setdefault(arm, {}).setdefault(seed, []).append(row)
        for arm, seeds in arms.items():
            twin = arms.get(_twin(arm), {})
            means = [mean_and_error(list(_over_models(seeds, name).values())) for name in metrics]
            cells = [task, f"`{arm}`", str(len(seeds)), *(f"{mean:.3f} ± {error:.3f}" for mean, error in means)]
            lines.append([*cells, *(_more(seeds, twin, name) for name in metrics)])
    return markdown_table(["task", "model and loss", "models", *metrics, *more], lines)


def _over_models(seeds: Mapping[str, Sequence[Row]], metric: str) -> dict[int, float]:
    """Return a metric of each clip, over the models of an arm."""
    each = [clip_means(rows, metric) for rows in seeds.values()]
    return {clip: float(np.mean([one[clip] for one in each])) for clip in each[0] if all(clip in one for one in each)}


def _more(seeds: Mapping[str, Sequence[Row]], twin: Mapping[str, Sequence[Row]], metric: str) -> str:
    both = sorted(seeds.keys() & twin.keys())
    if not both:
        return ""
    mine, other = (_over_models({seed: arm[seed] for seed in both}, metric) for arm in (seeds, twin))
    clips = sorted(mine.keys() & other.keys())
    difference = paired_difference([mine[clip] for clip in clips], [other[clip] for clip in clips]).text("+.3f")
    pairs = ((clip_means(arm[seed], metric) for arm in (seeds, twin)) for seed in both)
    alone = [np.mean(list(one.values())) - np.mean(list(two.values())) for one, two in pairs]
    return f"{difference} [{', '.join(rounded(float(value), '+.3f') for value in alone)}]"


def _plans_table(rows: Sequence[Row]) -> str:
    columns = {"last 10": "last10_distance", "nearest": "min_distance"}
    gains = ("of the oracle's gain kept", "less than the pixel-wise twin's by")
    lines = []
    for task, methods in by_method(rows).items():
        for name, mine in methods.items():
            cells = [cell for column in columns.values() for cell in _plan_cells(name, methods, column)]
            lines.append((task, f"`{name}`", str(len(mine)), *cells, f"{sum(seconds_of(mine).values()):.2f}"))
    head = [cell for name in columns for cell in (name, *(f"{name}: {gain}" for gain in gains))]
    return markdown_table(("task", "predictor", "n", *head, "s a plan"), lines)


def _plan_cells(name: str, methods: Mapping[str, Sequence[Row]], column: str) -> list[str]:
    """Return a mean distance, the share of the oracle's gain on no action, and how much less than the twin's it is.

    A share of a gain that may be none is left out.
    """
    mine, still, oracle = methods[name], methods.get("zero-action", []), methods.get("oracle", [])
    gains = still and oracle and name != "zero-action" and gap_is_clear(still, oracle, column)
    kept = gap_closed(mine, still, oracle, column)[0].text(".0%") if gains else ""
    twin = methods.get(_twin(name), [])
    less = paired_difference(*paired(column, twin, mine)).text(".2f") if twin else ""
    return [f"{mean_and_error([row[column] for row in mine])[0]:.2f}", kept, less]
