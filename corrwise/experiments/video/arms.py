"""What the table of predictors compares: models that differ in their loss alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from corrwise.experiments.options.collect import CollectConfig
from corrwise.experiments.options.cost import CostConfig
from corrwise.experiments.options.predictors import PredictorTableConfig
from corrwise.experiments.options.train import TrainConfig

__all__ = ["OPTIONS", "clips_of", "model_folder_of", "pixel_wise", "train_configs"]

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


def pixel_wise(arm: str) -> str:
    """Return the name of the arm that an arm is compared with; its own if it is pixel-wise itself."""
    return arm.replace("-corr-", "-").removesuffix("-reg").removesuffix("-learned")


def train_configs(config: PredictorTableConfig, task: str, arm: str, seed: int) -> tuple[TrainConfig, ...]:
    """Return how a model of an arm is trained: by one run, the last, or by one that starts where another ended.

    A model with a regulariser begins with the base distance for a quarter of its steps, as the paper's do for five
    epochs (Geng et al., CVPR 2022, Sec. A3).
    """
    model = next(name for name in ("svg-prime", "svg", "resnet3d") if arm.startswith(f"{name}-"))
    loss = arm.removeprefix(f"{model}-").removesuffix("-learned")
    learned = arm.endswith(("-learned", "-reg"))
    plain = TrainConfig(
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
    if not arm.endswith("-reg"):
        return (plain,)
    base = pixel_wise(arm).removeprefix(f"{model}-")
    first = replace(plain, loss=base, out=plain.out / base, steps=max(1, config.steps // 4), cost=CostConfig())
    return first, replace(plain, start=str(first.out), steps=max(1, config.steps - first.steps))
