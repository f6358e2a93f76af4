"""What the table of predictors compares: models that differ in their loss alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.cli.cost import CostConfig
from corrwise.experiments.cli.table_predictors import PredictorTableConfig
from corrwise.experiments.cli.train import SMALL, TrainConfig

__all__ = ["clips_of", "model_folder_of", "pixel_wise", "train_config", "warm_config"]

_HELD_SEED = 200_000  # seed of the first held-out episode
_CROPS = {"resnet3d": 32, "svg": 0, "svg-prime": 32}  # svg is made for one size
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
    return arm.replace("-corr-", "-").removesuffix("-reg").removesuffix("-learned")


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
        rate=_WARM_RATE,
        held=0.0,
        seed=seed,
    )


def train_config(config: PredictorTableConfig, task: str, arm: str, seed: int) -> TrainConfig:
    """Return how a model of an arm goes on: with its own loss, over several frames, where ``warm_config`` ended."""
    warm = warm_config(config, task, arm, seed)
    learned = arm.endswith(("-learned", "-reg"))
    return replace(
        warm,
        loss=arm.removeprefix(f"{warm.model}-").removesuffix("-learned"),
        out=model_folder_of(config, task, arm, seed),
        start=str(warm.out),
        steps=config.steps,
        horizon=config.horizon,
        rate=_RATE,
        cost=CostConfig(flow="learned" if learned else "dis"),
    )


def _model(arm: str) -> str:
    return next(name for name in ("svg-prime", "svg", "resnet3d") if arm.startswith(f"{name}-"))
