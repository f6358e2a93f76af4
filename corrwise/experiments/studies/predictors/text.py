"""What rows of frames and plans say of two losses: tables, paired by clip, and by episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.cli.table_predictors import PredictorTableConfig
from corrwise.experiments.cli.train import SMALL, Model, TrainConfig
from corrwise.experiments.report.statistics import mean_and_error, paired_difference
from corrwise.experiments.report.summary import seconds_of
from corrwise.experiments.report.table import markdown_table
from corrwise.experiments.studies.planning import by_method, gap_closed, gap_is_clear, paired
from corrwise.experiments.studies.predictors.evaluation import clip_means
from corrwise.predictors.metrics import METRICS

__all__ = ["clips_of", "model_folder_of", "pixel_wise", "predictor_tables", "train_config", "warm_config"]

_HELD_SEED = 200_000  # seed of the first held-out episode
_CROPS = {"resnet3d": 32, "svg": 0, "svg-prime": 32}  # svg is made for one size
_LONGEST_FIRST: tuple[Model, ...] = ("svg-prime", "svg", "resnet3d")  # a name may begin another
_WARM_RATE, _RATE = 1e-3, 5e-4  # of Adam


def clips_of(config: PredictorTableConfig, task: str, *, held: bool) -> CollectConfig:
    """Return how the clips of a task are collected: to learn from, or to judge on."""
    plain = CollectConfig(task=task, size=config.size, supersample=config.supersample)
    if held:
        return replace(plain, out=config.out / "clips" / f"{task}-held", episodes=config.held, seed=_HELD_SEED)
    return replace(plain, out=config.out / "clips" / task, episodes=config.clips)


def model_folder_of(config: PredictorTableConfig, task: str, arm: str, seed: int) -> Path:
    """Return the folder of a training run."""
    return config.out / "models" / task / f"{arm}-{seed}"


def pixel_wise(arm: str) -> str:
    """Return the name of the arm that an arm is compared with; its own if it is pixel-wise itself."""
    return arm.replace("-corr-", "-").partition(":")[0]


def warm_config(config: PredictorTableConfig, task: str, arm: str, seed: int) -> TrainConfig:
    """Return how all arms of a model begin: a small body is lost to L1 before the model knows where it goes.

    Geng et al. (CVPR 2022, Sec. A3) begin so, with a pixel-wise loss for five epochs, where they regularise.
    """
    model = _model(arm)
    return TrainConfig(
        data=clips_of(config, task, held=False).out,
        model=model,
        loss="mse",
        out=model_folder_of(config, task, f"{model}-warm", seed),
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
        loss=arm.removeprefix(f"{warm.model}-"),
        out=model_folder_of(config, task, arm, seed),
        init_from=str(warm.out),
        steps=config.steps,
        horizon=config.horizon,
        lr=_RATE,
    )


def _model(arm: str) -> Model:
    return next(name for name in _LONGEST_FIRST if arm.startswith(f"{name}-"))


Row = dict[str, Any]
_OVER_CLIPS = "Intervals are over clips, with the models as they are; each pair of models stands in square brackets."


def predictor_tables(frames: Mapping[str, Sequence[Row]], plans: Sequence[Row]) -> str:
    """Return two tables: of predicted frames, and of the plans made with them."""
    parts = ["### Frames", "", _frames_table(frames), _OVER_CLIPS]
    if plans:
        parts += ["", "### Plans", "", _plans_table(plans).rstrip()]
    return "\n".join(parts) + "\n"


def _frames_table(frames: Mapping[str, Sequence[Row]]) -> str:
    """Compare arms clip by clip, each clip's numbers averaged over the models of an arm; beside it, model by model."""
    more = (f"{name}: more than the pixel-wise twin (each pair of models)" for name in METRICS)
    lines = []
    for task, rows in frames.items():
        arms: dict[str, dict[str, list[Row]]] = {}
        for row in rows:
            arm, _, seed = ("copy-last", "", "0") if row["model"] == "copy-last" else row["model"].rpartition("-")
            arms.setdefault(arm, {}).setdefault(seed, []).append(row)
        for arm, seeds in arms.items():
            twin = arms.get(pixel_wise(arm), {}) if arm != pixel_wise(arm) else {}
            means = [mean_and_error(list(_over_models(seeds, name).values())) for name in METRICS]
            cells = [task, f"`{arm}`", str(len(seeds)), *(f"{mean:.3f} ± {error:.3f}" for mean, error in means)]
            cells += [_more(seeds, twin, name) for name in METRICS]
            lines.append(cells)
    return markdown_table(["task", "model and loss", "models", *METRICS, *more], lines)


def _over_models(seeds: Mapping[str, Sequence[Row]], metric: str) -> dict[int, float]:
    """Return a metric of each clip, over the models of an arm."""
    each = [clip_means(rows, metric) for rows in seeds.values()]
    return {clip: float(np.mean([one[clip] for one in each])) for clip in each[0] if all(clip in one for one in each)}


def _more(seeds: Mapping[str, Sequence[Row]], twin: Mapping[str, Sequence[Row]], metric: str) -> str:
    both = sorted(seeds.keys() & twin.keys())
    if not both:
        return ""
    mine, theirs = (_over_models({seed: arm[seed] for seed in both}, metric) for arm in (seeds, twin))
    clips = sorted(mine.keys() & theirs.keys())
    said = paired_difference([mine[clip] for clip in clips], [theirs[clip] for clip in clips]).text("+.3f")
    pairs = ((clip_means(arm[seed], metric) for arm in (seeds, twin)) for seed in both)
    alone = [np.mean(list(one.values())) - np.mean(list(two.values())) for one, two in pairs]
    return f"{said} [{', '.join(f'{value:+.3f}' for value in alone)}]"


def _plans_table(rows: Sequence[Row]) -> str:
    columns = {"last 10": "last10_distance", "nearest": "min_distance"}
    gains = ("of the oracle's gain kept", "less than the pixel-wise twin's by")
    lines = []
    for task, methods in by_method(rows).items():
        for name, mine in methods.items():
            cells = [cell for column in columns.values() for cell in _plan_cells(name, methods, column)]
            seconds = f"{sum(seconds_of(mine).values()):.2f}"
            lines.append((task, f"`{name}`", str(len(mine)), *cells, seconds))
    head = [cell for name in columns for cell in (name, *(f"{name}: {gain}" for gain in gains))]
    return markdown_table(("task", "predictor", "n", *head, "s a plan"), lines)


def _plan_cells(name: str, methods: Mapping[str, Sequence[Row]], column: str) -> list[str]:
    """Return a mean distance, the share of the oracle's gain on no action, and how much less than the twin's it is.

    A share of a gain that may be none is left out.
    """
    mine, floor, oracle = methods[name], methods.get("zero-action", []), methods.get("oracle", [])
    gains = floor and oracle and name != "zero-action" and gap_is_clear(floor, oracle, column)
    kept = gap_closed(mine, floor, oracle, column)[0].text(".0%") if gains else ""
    twin = methods.get(pixel_wise(name), []) if name != pixel_wise(name) else []
    less = paired_difference(*paired(column, twin, mine)).text(".2f") if twin else ""
    return [f"{mean_and_error([row[column] for row in mine])[0]:.2f}", kept, less]
