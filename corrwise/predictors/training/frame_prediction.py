"""Learn to predict the frames after a context: the objective of every video predictor of this package."""

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
    """The distances of all predicted steps, summed, and the model's own penalty (Geng et al., CVPR 2022, Sec. 4).

    The public code adds up the losses of the steps, but back-propagates the last one's alone. Here gradients come from
    every step.

    Parts of its loss are ``step 1`` and so on, the mean distance of each predicted step, and ``penalty``; its output is
    ``frames`` (B, T, 3, h, w).

    Args:
        model: what learns: ResNet3D by regression, SVG and SVG' by the bound that their penalty, a divergence, is of.
        distance: between a prediction and its target, in [0, 1]; reduces C, h and w. It is computed in full precision.
        scale: what the distance is multiplied by. A half makes the mean of a distance that sums two directions, which
            is then its pixel-wise twin where nothing moves: gradients are clipped, and a penalty weighs, as with that.
    """

    phases = (Phase("train", ("model",)),)

    def __init__(self, model: VideoPredictor | FLAVR, distance: Distance, *, scale: float = 1.0) -> None:
        self.model, self.distance, self.scale = model, distance, scale

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The predictor as ``model``."""
        return {"model": self.model}

    def loss(self, batch: Batch, generator: Generator | None = None, phase: str = "train") -> Loss:
        """Return the loss of windows of context and horizon; without a generator, draws are torch's global ones.

        Raises:
            ValueError: windows that the model cannot learn from, see ``VideoPredictor.learn``.
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
