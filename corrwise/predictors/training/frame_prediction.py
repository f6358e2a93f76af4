"""The objective of all video predictors: predict the frames after a context."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from corrwise.predictors.data.windows import Batch
from corrwise.predictors.interpolation.flavr import FLAVR
from corrwise.predictors.models.base import VideoPredictor
from corrwise.predictors.training.objective import Loss, Phase
from corrwise.types import Distance

__all__ = ["FramePrediction"]


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

    def _compare(self, x: Tensor, y: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return self.scale * self.distance(x.float(), y.float())
