"""What the table of predictors compares: models that differ in their loss alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from corrwise.experiments.options.collect import CollectConfig
from corrwise.experiments.options.cost import CostConfig
from corrwise.experiments.options.predictors import PredictorTableConfig
from corrwise.experiments.options.train import TrainConfig

__all__ = ["OPTIONS", "clips_of", "model_folder_of", "train_config"]

_HELD_SEED = 200_000  # seed of the first held-out episode
OPTIONS = {  # what a model of a size for two cores is
    "resnet3d": ("width=8", "keep=true", "blocks3d=1", "blocks2d=2"),
    "svg": ("width=16", "hidden=128", "latent=16"),
    "svg-prime": ("width=8", "hidden=32", "features=32", "latent=4"),
}


def clips_of(config: PredictorTableConfig, task: str, *, held: bool) -> CollectConfig:
    """Return how the clips of a task are collected: to learn from, or to judge on."""
    plain = CollectConfig(task=task, size=config.size)
    if held:
        return replace(plain, out=config.out / "clips" / f"{task}-held", episodes=config.held, seed=_HELD_SEED)
    return replace(plain, out=config.out / "clips" / task, episodes=config.clips)


def model_folder_of(config: PredictorTableConfig, task: str, arm: str, seed: int) -> Path:
    """Return the folder of a training run."""
    return config.out / "models" / task / f"{arm}-{seed}"


def train_config(config: PredictorTableConfig, task: str, arm: str, seed: int) -> TrainConfig:
    """Return how a model of an arm is trained."""
    model = next(name for name in ("svg-prime", "svg", "resnet3d") if arm.startswith(f"{name}-"))
    loss = arm.removeprefix(f"{model}-").removesuffix("-learned")
    learned = arm.endswith(("-learned", "-reg"))
    return TrainConfig(
        data=clips_of(config, task, held=False).out,
        model=model,
        loss=loss,
        out=model_folder_of(config, task, arm, seed),
        steps=config.steps,
        batch=config.batch,
        horizon=config.horizon,
        options=OPTIONS[model],
        held=0.0,
        seed=seed,
        accelerator="auto",
        cost=CostConfig(flow="learned" if learned else "dis"),
    )
