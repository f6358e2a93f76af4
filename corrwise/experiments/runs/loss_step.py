"""The loss of a video predictor as a module, which is what a training library can spread over processes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from corrwise.predictors.data import Batch
from corrwise.predictors.models.base import VideoPredictor
from corrwise.predictors.training.fit import train_step
from corrwise.types import Distance

__all__ = ["LossStep"]


class LossStep(nn.Module):
    """Tensors in, tensors out."""

    def __init__(self, model: VideoPredictor, distance: Distance) -> None:
        super().__init__()
        self.model = model
        self._distance = (distance,)  # no part of the module: it may be one itself, whose weights nobody trains

    def forward(self, frames: Tensor, actions: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the fields of the loss."""
        noise = torch.Generator("cpu").manual_seed(seed)
        loss = train_step(self.model, Batch(frames, actions), self._compare, noise)
        return loss.total, loss.distances, loss.penalty, loss.frames

    def _compare(self, x: Tensor, y: Tensor) -> Tensor:
        """Compare in full precision, whatever the layers have."""
        with torch.autocast(x.device.type, enabled=False):
            return self._distance[0](x.float(), y.float())
