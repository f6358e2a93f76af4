"""What a network sees of a mixture of data and noise, and of its time."""

from __future__ import annotations

from math import pi

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.predictors.generative.paths import Path

__all__ = ["TIME_NUMBERS", "linear_estimate", "time_numbers"]

_WAVES = 4  # pairs of a sine and a cosine of the time, at frequencies that double
TIME_NUMBERS = 1 + 2 * _WAVES


def linear_estimate(path: Path, x_t: Float[Tensor, "M C h w"], times: Float[Tensor, "M 1"]) -> Tensor:
    """Return the best linear estimate of data of unit variance, ``alpha x_t / (alpha^2 + sigma^2)``.

    At t = 0, where x_t is noise alone, nothing is left of it.
    """
    alpha, sigma = path.alpha(times), path.sigma(times)
    return (alpha / (alpha**2 + sigma**2)).to(x_t)[..., None, None] * x_t


def time_numbers(times: Float[Tensor, "M 1"]) -> Float[Tensor, "M k"]:
    """Return the numbers of a time that modulate a network: itself, and sines and cosines."""
    waves = pi * times * 2.0 ** torch.arange(_WAVES, dtype=torch.float32, device=times.device)
    return torch.cat([times, waves.sin(), waves.cos()], dim=1)
