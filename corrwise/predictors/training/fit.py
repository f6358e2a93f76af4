"""One training step of a video predictor, without files."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.predictors.data.windows import Batch
from corrwise.predictors.models.base import VideoPredictor
from corrwise.types import Distance

__all__ = ["Loss", "train_step"]


@dataclass(frozen=True)
class Loss:
    """What a step minimises.

    Attributes:
        total: the distances of all steps, summed, and the model's penalty; a mean over the batch.
        distances: of each predicted step, without gradient.
        penalty: without gradient.
        frames: what was predicted, without gradient.
    """

    total: Float[Tensor, ""]
    distances: Float[Tensor, "T"]
    penalty: Float[Tensor, ""]
    frames: Float[Tensor, "B T C h w"]


def train_step(model: VideoPredictor, batch: Batch, distance: Distance, noise: Generator | None = None) -> Loss:
    """Return the loss of a model on a batch: the sum over all predicted steps (Geng et al., CVPR 2022, Sec. 4).

    The public code adds up the losses of the steps, but back-propagates the last one's alone. Here gradients come from
    every step.

    Args:
        model: in training mode.
        batch: windows of context and horizon.
        distance: between a prediction and its target, in [0, 1]; reduces C, h and w.
        noise: for models that draw; None draws from torch's global generator.
    """
    learned = model.learn(batch, noise)
    values = distance(learned.frames.flatten(0, 1), learned.targets.flatten(0, 1))
    each = values.unflatten(0, learned.frames.shape[:2]).mean(dim=0)
    return Loss(each.sum() + learned.penalty, each.detach(), learned.penalty.detach(), learned.frames.detach())
