"""What planners draw and fit: random action sequences of unit variance, and averages of the cheapest candidates.

Each environment's draw has the same size whatever stands beside it, and transforms run on one environment's numbers
alone: that is what makes ``B = 2`` equal two runs of ``B = 1`` to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.mpc.config import Seed
from corrwise.validation import validate

Shape = tuple[int, int, int]  # candidates, horizon, action


def generator(seed: int, instance: int, *stream: int) -> torch.Generator:
    """Return the generator of one environment, derived from ``(seed, instance)`` and nothing else.

    Neither the number of environments nor of workers, nor the horizon, enters: ``B = 2`` draws what two runs of
    ``B = 1`` draw. ``numpy.random.SeedSequence`` mixes the pair, so neighbouring seeds do not share streams (adding
    the two would: seed 0, instance 1 would equal seed 1, instance 0). Draws of another purpose have a ``stream`` of
    their own, a number from 1.

    Raises:
        ValueError: when ``seed`` or ``instance`` is no whole number in [0, 2^32); beyond, pairs
            would share their streams: the words of (2^32, 0) are those of (0, 1).
    """
    for name, value in (("seed", seed), ("instance", instance)):
        validate(name, Seed, value)
    (mixed,) = np.random.SeedSequence((seed, instance, *stream)).generate_state(1, np.uint64)
    return torch.Generator("cpu").manual_seed(int(mixed))


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


def ranked(actions: Float[Tensor, "B N H A"], costs: Float[Tensor, "B N"], count: int) -> tuple[Tensor, Tensor]:
    """Return the ``count`` cheapest candidates (B,E,H,A) and their costs (B,E), cheapest first."""
    ascending, order = costs.sort(dim=1, stable=True)  # NaN sorts behind +inf
    return actions.take_along_dim(order[:, :count, None, None], dim=1), ascending[:, :count]


def weighted_mean(weights: Float[Tensor, "B N"], actions: Float[Tensor, "B N H A"]) -> Float[Tensor, "B H A"]:
    """Return each environment's weighted mean of action sequences, within [-1, 1]; weights sum to 1."""
    # One environment at a time: the order in which a batched sum adds, and so its last bit, may depend on B.
    rows = [(weight[:, None, None] * action).sum(dim=0) for weight, action in zip(weights, actions, strict=True)]
    return torch.stack(rows).clamp(-1, 1)  # the sum of weights may round to just above 1


def fit(elites: Float[Tensor, "B E H A"], costs: Float[Tensor, "B E"]) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation (B,H,A) of the elites whose cost is finite."""
    finite = costs.isfinite()
    weights = finite.to(elites) / finite.sum(dim=1, keepdim=True).clamp_min(1)
    mean = weighted_mean(weights, elites)
    spread = (elites - mean[:, None]) / 2  # halved, so that its square stays within the bounds of an action
    return mean, 2 * weighted_mean(weights, spread**2).sqrt()
