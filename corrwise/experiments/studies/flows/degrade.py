"""What predictions do to pictures: blur, a second frame shining through, noise, wrong colours."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

__all__ = ["degraded"]

KINDS = (0.35, 0.35, 0.15, 0.15)  # shares of blur, ghost, noise and tint
BLUR = (0.5, 1.4)  # standard deviation, pixels
GHOST = (0.15, 0.45)  # the other frame's share
NOISE = 0.02  # largest standard deviation, intensity
COLOUR = 0.08  # largest change of gain and of offset
_RADIUS = 3


def degraded(
    images: Float[Tensor, "B 3 h w"], ghosts: Float[Tensor, "B 3 h w"], rng: np.random.Generator
) -> Float[Tensor, "B 3 h w"]:
    """Return each image with one of the four faults, its strength at random; ``ghosts`` are what may shine through."""
    n = len(images)
    kind = torch.from_numpy(rng.choice(len(KINDS), size=n, p=KINDS))[:, None, None, None]
    weight = torch.from_numpy(rng.uniform(*GHOST, (n, 1, 1, 1))).float()
    ghosted = images + weight * (ghosts - images)
    deviation = rng.uniform(0, NOISE, (n, 1, 1, 1))
    noisy = images + torch.from_numpy(deviation * rng.standard_normal(images.shape)).float()
    gain = torch.from_numpy(1 + rng.uniform(-COLOUR, COLOUR, (n, 3, 1, 1))).float()
    offset = torch.from_numpy(rng.uniform(-COLOUR, COLOUR, (n, 3, 1, 1))).float()
    out = torch.where(kind == 0, _blurred(images, rng), ghosted)
    out = torch.where(kind == 2, noisy, out)
    return torch.where(kind == 3, gain * images + offset, out).clamp(0, 1)


def _blurred(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Return each image under its own Gaussian."""
    n, channels = images.shape[:2]
    at = np.arange(-_RADIUS, _RADIUS + 1)
    kernel = np.exp(-(at**2) / (2 * rng.uniform(*BLUR, (n, 1)) ** 2))
    weights = torch.from_numpy(kernel / kernel.sum(axis=1, keepdims=True)).float().repeat_interleave(channels, 0)
    padded = F.pad(images, (_RADIUS,) * 4, mode="replicate")
    flat = padded.reshape(1, n * channels, *padded.shape[2:])
    across = F.conv2d(flat, weights[:, None, None, :], groups=n * channels)
    return F.conv2d(across, weights[:, None, :, None], groups=n * channels).reshape(images.shape)
