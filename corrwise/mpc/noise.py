"""Random action sequences of unit variance, for one environment at a time and then for all of them.

Each environment's draw has the same size whatever stands beside it, and transforms run on one environment's numbers
alone: that is what makes ``B = 2`` equal two runs of ``B = 1`` to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor

Shape = tuple[int, int, int]  # candidates, horizon, action


def per_environment(
    draw: Callable[[Generator], Tensor], generators: Sequence[Generator], *, like: Tensor
) -> Float[Tensor, "B N H A"]:
    """Return ``draw(generator)`` of every environment, stacked, with the device and dtype of ``like``."""
    return torch.stack([draw(generator) for generator in generators]).to(like)


def uniform(generator: Generator, shape: Shape) -> Float[Tensor, "N H A"]:
    """Return independent numbers in [-1, 1)."""
    return 2 * torch.rand(shape, generator=generator, dtype=torch.float32, device=generator.device) - 1


def white(generator: Generator, shape: Shape) -> Float[Tensor, "N H A"]:
    """Return independent standard normal numbers."""
    return torch.randn(shape, generator=generator, dtype=torch.float32, device=generator.device)


def autoregressive(generator: Generator, shape: Shape, *, correlation: float) -> Float[Tensor, "N H A"]:
    """Return AR(1) noise ``n_t = c n_{t-1} + sqrt(1 - c^2) xi_t``, whose variance is 1 at every step and for every c.

    VP2 and visual_foresight weigh ``xi`` by ``1 - c`` instead, which shrinks the noise as c grows.
    """
    steps = list(white(generator, shape).unbind(dim=1))
    for t in range(1, len(steps)):
        steps[t] = correlation * steps[t - 1] + (1 - correlation**2) ** 0.5 * steps[t]
    return torch.stack(steps, dim=1)


def coloured(generator: Generator, shape: Shape, *, beta: float) -> Float[Tensor, "N H A"]:
    """Return noise whose power spectrum falls as ``1 / f^beta``, with unit variance at every step.

    Source: Timmer & Koenig 1995; used for planning by Pinneri et al. 2020. Frequency 0 gets the power of the lowest
    frequency that the horizon resolves; unlike the common code, the variance is normalised with it included.
    """
    candidates, horizon, action = shape
    frequency = torch.fft.rfftfreq(horizon, dtype=torch.float32, device=generator.device)
    amplitude = frequency.clamp_min(1 / horizon) ** (-beta / 2)
    real, imaginary = white(generator, (2 * candidates, action, len(frequency))).chunk(2)
    # A real signal's constant and Nyquist terms have no imaginary part: all their power is in the real one.
    alone = torch.zeros(len(frequency), dtype=torch.bool, device=generator.device)
    alone[0] = True
    if horizon % 2 == 0:
        alone[-1] = True
    real = torch.where(alone, 2**0.5 * real, real)
    imaginary = torch.where(alone, 0.0, imaginary)
    # every term but those two stands for two of the full FFT
    power = (2.0 - alone.to(amplitude)) * 2 * amplitude**2
    amplitude = amplitude * horizon / power.sum().sqrt()
    return torch.fft.irfft(torch.complex(real, imaginary) * amplitude, n=horizon).transpose(1, 2)
