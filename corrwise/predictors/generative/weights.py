"""Weights of the loss over time, stated on the squared error of the data and converted to that of velocity or noise.

On an affine path the three squared errors differ by a factor of t alone, so one weight has three equivalent forms:
``w_data = (determinant / sigma)^2 w_velocity = SNR w_noise`` (on straight lines ``w_velocity / (1 - t)^2``).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, exp, pi, sqrt
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.costs.option_text import check_known
from corrwise.predictors.generative.named import Named, make_named, option
from corrwise.predictors.generative.paths import QUANTITIES, Path, Quantity, check_times, snr

__all__ = [
    "END",
    "WEIGHTS",
    "ClippedInverse",
    "DataWeight",
    "EDMWeight",
    "Flowfusion",
    "MinSNR",
    "NoiseWeight",
    "SelfForcing",
    "SigmaSqrt",
    "VelocityWeight",
    "Weight",
    "check_weight",
    "make_weight",
    "time_range",
    "weight_of",
]

END = 1e-3  # how near to 0 and 1 times are drawn where a weight is zero or infinite at an end


@dataclass(frozen=True)
class Weight(Named):
    """A weight of the loss over time; ``weight(path, t)`` is the one on the squared error of the data.

    Attributes:
        of: on which squared error ``factor`` stands.
    """

    of: ClassVar[Quantity] = "data"

    def factor(self, path: Path, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the weight on the squared error of ``of``."""
        raise NotImplementedError

    def __call__(self, path: Path, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the weight on the squared error of the data.

        Raises:
            ValueError: t outside [0, 1].
        """
        return weight_of(self, path, t, "data")


def weight_of(weight: Weight, path: Path, t: Float[Tensor, "..."], quantity: Quantity) -> Float[Tensor, "..."]:
    """Return the same weight as it stands on the squared error of another quantity.

    Args:
        weight: the weight.
        path: on which the quantities are related.
        t: times of any shape.
        quantity: whose squared error the result multiplies.

    Raises:
        ValueError: an unknown quantity, or t outside [0, 1].
    """
    check_known("quantity", quantity, QUANTITIES)
    check_times(t)
    factor = weight.factor(path, t)
    if quantity == weight.of:
        return factor
    return factor * _error_ratio(path, t, weight.of) / _error_ratio(path, t, quantity)


def _error_ratio(path: Path, t: Tensor, quantity: Quantity) -> Tensor:
    """Return the squared error of a quantity for a squared error of the data of 1."""
    if quantity == "data":
        return torch.ones_like(t)
    return snr(path, t) if quantity == "noise" else (path.determinant(t) / path.sigma(t)) ** 2


def check_weight(weight: Weight, path: Path) -> None:
    """Check that a weight is positive and finite inside (0, 1), at 20,000 times that crowd towards both ends.

    Raises:
        ValueError: it is zero, negative or infinite there; the sentence names the weight and the first such t.
    """
    near = torch.logspace(-6, -2, 5_000, dtype=torch.float64, device="cpu")
    inside = torch.linspace(0, 1, 10_001, dtype=torch.float64, device="cpu")[1:-1]
    t = torch.cat((near, inside, 1 - near)).sort().values
    w = weight(path, t)
    wrong = ~((w > 0) & w.isfinite())
    if wrong.any():
        first = int(wrong.nonzero()[0])
        raise ValueError(
            f"weight {weight} must be positive and finite inside (0, 1), got {float(w[first]):g} at t = {t[first]:g}"
        )


def time_range(weight: Weight, path: Path, quantity: Quantity) -> tuple[float, float]:
    """Return the interval from which times can be drawn for the weighted squared error of a quantity.

    Returns:
        0 and 1, or ``END`` and ``1 - END`` where the weight on that quantity is zero or infinite at 0 or 1, or where
        the quantity itself is infinite.
    """
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64, device="cpu")
    w = weight_of(weight, path, ends, quantity)
    plain = bool(((w > 0) & w.isfinite()).all())
    if quantity == "velocity":
        plain &= bool((path.alpha_dot(ends).isfinite() & path.sigma_dot(ends).isfinite()).all())
    return (0.0, 1.0) if plain else (END, 1 - END)


class _One(Weight):
    """1 on the squared error of one quantity, whose name the weight has."""

    def factor(self, path: Path, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return 1."""
        return torch.ones_like(t)


@dataclass(frozen=True)
class VelocityWeight(_One):
    """1 on the squared error of the velocity: flow matching; on straight lines ``1 / (1 - t)^2`` on the data."""

    name = of = "velocity"


@dataclass(frozen=True)
class DataWeight(_One):
    """1 on the squared error of the data; on straight lines ``(1 - t)^2`` on the velocity."""

    name = of = "data"


@dataclass(frozen=True)
class NoiseWeight(_One):
    """1 on the squared error of the noise: DDPM's simple loss; on straight lines ``t^2`` on the velocity."""

    name = of = "noise"


@dataclass(frozen=True)
class Flowfusion(Weight):
    """``1 / (1 + epsilon - t)^power`` on the data, a weight that stays finite: the default of Flowfusion.jl.

    Attributes:
        power: 2 is the velocity's weight but for ``epsilon``.
        epsilon: keeps the weight finite at t = 1.
    """

    name = "flowfusion"
    power: float = option(2.0, low=0.0)
    epsilon: float = option(0.05, low=0.0)

    def factor(self, path: Path, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the power."""
        return (1 - t + self.epsilon) ** -self.power


@dataclass(frozen=True)
class MinSNR(Weight):
    """``min(SNR, gamma)`` on the data (Hang et al., ICCV 2023).

    Attributes:
        gamma: the largest weight.
    """

    name = "min-snr"
    gamma: float = option(5.0, low=1e-6)

    def factor(self, path: Path, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the smaller one."""
        return snr(path, t).clamp(max=self.gamma)


@dataclass(frozen=True)
class ClippedInverse(Weight):
    """``max(1, gamma / (1 - t + epsilon))`` on the velocity; with the defaults the maximum is never 1.

    Attributes:
        gamma: the numerator.
        epsilon: keeps the weight finite at t = 1.
    """

    name = "clipped-inverse"
    of = "velocity"
    gamma: float = option(5.0, low=0.0)
    epsilon: float = option(0.05, low=0.0)

    def factor(self, path: Path, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the larger one."""
        return (self.gamma / (1 - t + self.epsilon)).clamp(min=1)


@dataclass(frozen=True)
class SigmaSqrt(Weight):
    """``1 / sigma^2`` on the data: "sigma_sqrt" of diffusers; on straight lines the same as ``velocity``."""

    name = "sigma-sqrt"

    def factor(self, path: Path, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the inverse variance of the noise."""
        return path.sigma(t) ** -2


@dataclass(frozen=True)
class EDMWeight(Weight):
    """``1 / s^2 + 1 / sigma_data^2`` on the data, with the noise level ``s = sigma / alpha`` (Karras et al., 2022).

    It is 1 on the squared error of EDM's preconditioned target, which DIAMOND trains on as well.

    Attributes:
        sigma_data: standard deviation of the data.
    """

    name = "edm"
    sigma_data: float = option(0.5, low=1e-6)

    def factor(self, path: Path, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the sum."""
        return snr(path, t) + self.sigma_data**-2


@dataclass(frozen=True)
class SelfForcing(Weight):
    """``exp(-2 (t - 1/2)^2) - exp(-1/2)`` on the velocity, scaled to a mean of 1 over [0, 1]; zero at both ends.

    The scheduler of Self-Forcing takes the mean over its 1000 steps; this is the limit of many steps.
    """

    name = "self-forcing"
    of = "velocity"

    def factor(self, path: Path, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the scaled bump."""
        mean = sqrt(pi / 2) * erf(sqrt(0.5)) - exp(-0.5)
        return (torch.exp(-2 * (t - 0.5) ** 2) - exp(-0.5)) / mean


WEIGHTS: dict[str, type[Weight]] = {
    kind.name: kind
    for kind in (
        VelocityWeight,
        DataWeight,
        NoiseWeight,
        Flowfusion,
        MinSNR,
        ClippedInverse,
        SigmaSqrt,
        EDMWeight,
        SelfForcing,
    )
}


def make_weight(text: str) -> Weight:
    """Return a weight by name and options, such as ``min-snr:gamma=5``.

    Raises:
        ValueError: an unknown name or option, or a value outside its range.
    """
    return make_named("weight", WEIGHTS, text)
