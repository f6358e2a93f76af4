"""The objective of all video predictors: predict the frames after a context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from corrwise.predictors.data.windows import Batch
from corrwise.predictors.interpolation.flavr import FLAVR
from corrwise.predictors.models.base import VideoPredictor
from corrwise.predictors.restoration.model import RestorationModel
from corrwise.predictors.training.objective import Loss, Phase
from corrwise.predictors.training.trainer import Trainer
from corrwise.types import Distance, EvaluatingObjective

__all__ = ["FramePrediction", "held_out_loss", "kept_model", "strips"]


class FramePrediction:
    """The sum of the distances of all predicted steps and of the model's penalty (Geng et al., CVPR 2022, Sec. 4).

    The public code sums the losses of the steps, but back-propagates only that of the last one. Here gradients come
    from every step.

    The parts of the loss are ``step 1`` and so on, the mean distance of each predicted step, and ``penalty``; the
    output is ``frames`` (B, T, 3, h, w).

    Args:
        model: the network: ResNet3D, trained by regression, or SVG and SVG', whose penalty is a KL divergence.
        distance: between predictions and targets in [0, 1]; reduces C, h and w. It is computed in full precision.
        scale: factor of the distance. With 0.5, a distance that sums two directions becomes their mean. Where nothing
            moves, it then equals its pixel-wise counterpart, and gradient clipping and penalty have the same effect.
    """

    phases = (Phase("train", ("model",)),)

    def __init__(self, model: VideoPredictor | FLAVR, distance: Distance, *, scale: float = 1.0) -> None:
        self.model, self.distance, self.scale = model, distance, scale

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The predictor as ``model``."""
        return {"model": self.model}

    def loss(self, batch: Batch, generator: Generator | None = None, phase: str = "train") -> Loss:
        """Return the loss of windows of context and horizon; None as generator draws from torch's global one.

        Raises:
            ValueError: see ``VideoPredictor.learn``.
        """
        learned = self.model.learn(batch, generator)
        values = self._compare(learned.frames.flatten(0, 1), learned.targets.flatten(0, 1))
        each = values.unflatten(0, learned.frames.shape[:2]).mean(dim=0)
        parts = {"penalty": learned.penalty, **{f"step {t + 1}": value for t, value in enumerate(each)}}
        return Loss(
            each.sum() + learned.penalty,
            {name: value.detach() for name, value in parts.items()},
            {"frames": learned.frames.detach()},
        )

    def evaluate(self, batch: Batch, networks: Mapping[str, nn.Module], generator: Generator) -> Loss:
        """Return the loss by another network (``corrwise.types.EvaluatingObjective``)."""
        model = cast("VideoPredictor | FLAVR", networks["model"])
        return FramePrediction(model, self.distance, scale=self.scale).loss(batch, generator)

    def _compare(self, x: Tensor, y: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return self.scale * self.distance(x.float(), y.float())


def kept_model(trainer: Trainer[Batch]) -> VideoPredictor | FLAVR | RestorationModel:
    """Return the model that a run keeps: the moving average where there is one."""
    kept = trainer.kept("model")
    assert isinstance(kept, VideoPredictor | FLAVR | RestorationModel)
    return kept


def held_out_loss(trainer: Trainer[Batch], batch: Batch, *, size: int, seed: int) -> Loss:
    """Return the loss of the kept model on a batch of any length, on the CPU.

    Args:
        trainer: of an objective that can evaluate batches (``corrwise.types.EvaluatingObjective``).
        batch: held-out windows.
        size: how many of them all processes would compute at a time.
        seed: of the latents.

    Raises:
        TypeError: another objective.
    """
    objective = trainer.objective
    if not isinstance(objective, EvaluatingObjective):
        raise TypeError(f"expected an objective with a method evaluate, got {type(objective).__name__}")
    networks, losses = {"model": kept_model(trainer).eval()}, list[tuple[int, Loss]]()
    with torch.no_grad(), trainer.fabric.autocast():
        for part in batch.split(max(1, size // trainer.fabric.world_size)):
            generator = torch.Generator("cpu").manual_seed(seed)
            loss = objective.evaluate(part.to(trainer.fabric.device), networks, generator)
            losses.append((len(part.frames), loss))
    weights = torch.tensor([n for n, _ in losses], dtype=torch.float32, device="cpu") / len(batch.frames)

    def mean(values: list[Tensor]) -> Tensor:
        return torch.stack([value.float().cpu() for value in values]) @ weights

    return Loss(
        mean([loss.total for _, loss in losses]),
        {name: mean([loss.parts[name] for _, loss in losses]) for name in losses[0][1].parts},
        {"frames": torch.cat([loss.outputs["frames"].float().cpu() for _, loss in losses])},
    )


def strips(frames: Float[Tensor, "n T 3 h w"], shown: Float[Tensor, "n t 3 h w"]) -> Float[Tensor, "3 H W"]:
    """Return one image: for each window a row of true frames, and under the last of them the predicted ones."""
    blank = torch.zeros_like(frames[:, : frames.shape[1] - shown.shape[1]])
    return rows_of_frames(torch.stack([frames, torch.cat([blank, shown.to(frames)], dim=1)], dim=1))


def rows_of_frames(frames: Float[Tensor, "n rows T 3 h w"]) -> Float[Tensor, "3 H W"]:
    """Return one image with the rows of each window below each other, frames side by side."""
    n, rows, columns, channels, height, width = frames.shape
    return frames.permute(3, 0, 1, 4, 2, 5).reshape(channels, n * rows * height, columns * width)
