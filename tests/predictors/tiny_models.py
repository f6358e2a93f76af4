"""Models that were never trained, and yet answer to what they are shown."""

from __future__ import annotations

import torch
from torch import nn

from corrwise.predictors.data import Batch
from corrwise.predictors.models.base import VideoPredictor

GAIN = 4.0


def awake(model: VideoPredictor, size: int = 16) -> VideoPredictor:
    """Return the model in evaluation mode, so that frames, actions and latents matter.

    Initial weights are so small that every model predicts the same grey for any input: batch norms take
    their statistics from noise here, and the layers without one get larger weights. Those that begin at zero get any.
    """
    drawn = torch.Generator().manual_seed(5)
    frames = torch.rand(8, model.config.context + 2, model.config.channels, size, size, generator=drawn)
    actions = 2 * torch.rand(8, frames.shape[1] - 1, model.config.action_dim, generator=drawn) - 1
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
                module.momentum = 1.0
            elif isinstance(module, (nn.Linear, nn.LSTMCell, nn.Conv2d, nn.ConvTranspose2d)):
                for weight in module.parameters():
                    weight.mul_(GAIN)
                    if weight.ndim > 1 and not weight.any():
                        weight.copy_(0.1 * torch.randn(weight.shape, generator=drawn))
        model.train().learn(Batch(frames, actions), drawn)
    return model.eval()
