"""Affine probability paths from noise (t = 0) to data (t = 1), and conversions among data, velocity and noise.

A path mixes data x1 and standard normal noise x0: ``x_t = alpha(t) x1 + sigma(t) x0``. Its velocity is the derivative
in t at fixed x1 and x0. Given x_t and t, each of data, velocity and noise determines the other two.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.costs.option_text import check_known
from corrwise.predictors.generative.named import Named, make_named, option

__all__ = [
    "PATHS",
    "QUANTITIES",
    "CondOT",
    "Cosine",
    "Path",
    "Polynomial",
    "Quantity",
    "VariancePreserving",
    "check_times",
    "convert",
    "interpolate",
    "make_path",
    "snr",
    "velocity",
]

Quantity = Literal["data", "velocity", "noise"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)


@dataclass(frozen=True)
class Path(Named):
    """An affine path; each of its four functions takes times of any shape and returns that shape and dtype."""

    def alpha(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the factor of the data."""
        raise NotImplementedError

    def sigma(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the factor of the noise."""
        raise NotImplementedError

    def alpha_dot(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the derivative of ``alpha`` in t."""
        raise NotImplementedError

    def sigma_dot(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the derivative of ``sigma`` in t."""
        raise NotImplementedError

    def determinant(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return ``alpha_dot sigma - sigma_dot alpha``: zero where the velocity does not determine the data."""
        return self.alpha_dot(t) * self.sigma(t) - self.sigma_dot(t) * self.alpha(t)


@dataclass(frozen=True)
class CondOT(Path):
    """Straight lines, ``alpha = t`` and ``sigma = 1 - t``: conditional optimal transport, rectified flow."""

    name = "cond-ot"

    def alpha(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return t."""
        return t

    def sigma(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return 1 - t."""
        return 1 - t

    def alpha_dot(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return 1."""
        return torch.ones_like(t)

    def sigma_dot(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return -1."""
        return -torch.ones_like(t)

    def determinant(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return 1, exactly."""
        return torch.ones_like(t)


@dataclass(frozen=True)
class Cosine(Path):
    """A quarter of a circle, ``alpha = sin(pi t / 2)`` and ``sigma = cos(pi t / 2)``: their squares sum to 1."""

    name = "cosine"

    def alpha(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return sin(pi t / 2)."""
        return torch.sin(pi / 2 * t)

    def sigma(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return cos(pi t / 2), exactly 0 at t = 1."""
        return torch.sin(pi / 2 * (1 - t))

    def alpha_dot(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the derivative of the sine."""
        return pi / 2 * self.sigma(t)

    def sigma_dot(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the derivative of the cosine."""
        return -pi / 2 * self.alpha(t)

    def determinant(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return pi / 2, exactly."""
        return torch.full_like(t, pi / 2)


@dataclass(frozen=True)
class VariancePreserving(Path):
    """The diffusion of Song et al. (ICLR 2021) with a linear noise rate; ``alpha^2 + sigma^2 = 1``.

    With ``T = (high - low) (1 - t)^2 / 2 + low (1 - t)``, ``alpha = exp(-T / 2)`` and ``sigma = sqrt(1 - exp(-T))``. At
    t = 0 a little data remains (alpha = 0.0066 with the defaults); at t = 1 the velocity is infinite.

    Attributes:
        low: noise rate at the data.
        high: noise rate at the noise.
    """

    name = "vp"
    low: float = option(0.1, low=1e-3)
    high: float = option(20.0, low=1e-3)

    def alpha(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return exp(-T / 2)."""
        return torch.exp(-self._exponent(t) / 2)

    def sigma(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return sqrt(1 - exp(-T))."""
        return torch.sqrt(-torch.expm1(-self._exponent(t)))

    def alpha_dot(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the noise rate times alpha / 2."""
        return self._rate(t) * self.alpha(t) / 2

    def sigma_dot(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the derivative, which is minus infinity at t = 1."""
        return -self._rate(t) * torch.exp(-self._exponent(t)) / (2 * self.sigma(t))

    def determinant(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return rate alpha / (2 sigma), which ``alpha^2 + sigma^2 = 1`` leaves."""
        return self._rate(t) * self.alpha(t) / (2 * self.sigma(t))

    def _exponent(self, t: Tensor) -> Tensor:
        return (1 - t) ** 2 * (self.high - self.low) / 2 + (1 - t) * self.low

    def _rate(self, t: Tensor) -> Tensor:
        return (1 - t) * (self.high - self.low) + self.low


@dataclass(frozen=True)
class Polynomial(Path):
    """``alpha = t^power`` and ``sigma = 1 - t^power``.

    Attributes:
        power: 1 is the path of ``CondOT``.
    """

    name = "polynomial"
    power: float = option(2.0, low=1.0)

    def alpha(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return t^power."""
        return t**self.power

    def sigma(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return 1 - t^power."""
        return 1 - t**self.power

    def alpha_dot(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return power t^(power - 1)."""
        return self.power * t ** (self.power - 1)

    def sigma_dot(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return -power t^(power - 1)."""
        return -self.alpha_dot(t)

    def determinant(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return power t^(power - 1), as alpha + sigma = 1."""
        return self.alpha_dot(t)


PATHS: dict[str, type[Path]] = {kind.name: kind for kind in (CondOT, Cosine, VariancePreserving, Polynomial)}


def make_path(text: str) -> Path:
    """Return a path by name and options, such as ``polynomial:power=3``.

    Raises:
        ValueError: an unknown name or option, or a value outside its range.
    """
    return make_named("path", PATHS, text)


def interpolate(
    path: Path, data: Float[Tensor, "B *rest"], noise: Float[Tensor, "B *rest"], t: Float[Tensor, "*times"] | float
) -> Float[Tensor, "B *rest"]:
    """Return x_t between noise and data.

    Args:
        path: the path.
        data: x1.
        noise: x0.
        t: one time for each element of the batch, or one for all.

    Raises:
        ValueError: t outside [0, 1], or of another shape.
    """
    times = _times(t, data)
    return _like(path.alpha(times), data) * data + _like(path.sigma(times), data) * noise


def velocity(
    path: Path, data: Float[Tensor, "B *rest"], noise: Float[Tensor, "B *rest"], t: Float[Tensor, "*times"] | float
) -> Float[Tensor, "B *rest"]:
    """Return the derivative of x_t in t at fixed data and noise.

    Raises:
        ValueError: t outside [0, 1], or of another shape, or where the velocity is infinite.
    """
    times = _times(t, data)
    of_data, of_noise = path.alpha_dot(times), path.sigma_dot(times)
    _check_finite(f"path {path} has no velocity", times, of_data, of_noise)
    return _like(of_data, data) * data + _like(of_noise, data) * noise


def snr(path: Path, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return the signal-to-noise ratio ``alpha^2 / sigma^2``; infinite where there is no noise.

    Raises:
        ValueError: t outside [0, 1].
    """
    check_times(t)
    return (path.alpha(t) / path.sigma(t)) ** 2


def convert(
    path: Path,
    value: Float[Tensor, "B *rest"],
    x_t: Float[Tensor, "B *rest"],
    t: Float[Tensor, "*times"] | float,
    given: Quantity,
    wanted: Quantity,
) -> Float[Tensor, "B *rest"]:
    """Return the data, velocity or noise that another one of them implies at x_t.

    Args:
        path: the path.
        value: the given quantity.
        x_t: where on the path.
        t: one time for each element of the batch, or one for all.
        given: what ``value`` is.
        wanted: what to return.

    Raises:
        ValueError: an unknown quantity, t outside [0, 1], or a t at which the given quantity does not determine the
            wanted one, such as the velocity from the data at t = 1.
    """
    check_known("quantity", given, QUANTITIES)
    check_known("quantity", wanted, QUANTITIES)
    times = _times(t, x_t)
    if given == wanted:
        return value
    of_place, of_value = _factors(path, times, given, wanted)
    _check_finite(f"on path {path} the {given} does not determine the {wanted}", times, of_place, of_value)
    return _like(of_place, x_t) * x_t + _like(of_value, x_t) * value


def _factors(path: Path, t: Tensor, given: Quantity, wanted: Quantity) -> tuple[Tensor, Tensor]:
    """Return a and b of ``wanted = a x_t + b given``."""
    alpha, sigma, determinant = path.alpha(t), path.sigma(t), path.determinant(t)
    if given == "data":
        if wanted == "noise":
            return 1 / sigma, -alpha / sigma
        return path.sigma_dot(t) / sigma, determinant / sigma
    if given == "noise":
        if wanted == "data":
            return 1 / alpha, -sigma / alpha
        return path.alpha_dot(t) / alpha, -determinant / alpha
    if wanted == "data":
        return -path.sigma_dot(t) / determinant, sigma / determinant
    return path.alpha_dot(t) / determinant, -alpha / determinant


def check_times(t: Float[Tensor, "..."]) -> None:
    """Raise a ValueError that names the first time outside [0, 1], if there is one."""
    outside = ~((t >= 0) & (t <= 1))
    if outside.any():
        raise ValueError(f"t must lie in [0, 1], got {float(t[outside].flatten()[0]):g}")


def _times(t: Tensor | float, like: Tensor) -> Tensor:
    """Return times that broadcast over a batch, of at least single precision."""
    precision = torch.promote_types(like.dtype, torch.float32)
    dtype = torch.promote_types(t.dtype, precision) if isinstance(t, Tensor) else precision
    times = torch.as_tensor(t, dtype=dtype, device=like.device)
    if times.ndim > 1 or (times.ndim == 1 and (not like.ndim or times.shape[0] not in (1, like.shape[0]))):
        raise ValueError(
            f"t must be one number or one for each of a batch {tuple(like.shape)}, got {tuple(times.shape)}"
        )
    check_times(times)
    return times.reshape(-1, *[1] * (like.ndim - 1)) if times.ndim else times


def _like(factor: Tensor, value: Tensor) -> Tensor:
    return factor.to(value.dtype)


def _check_finite(sentence: str, t: Tensor, *factors: Tensor) -> None:
    for each in factors:
        if not each.isfinite().all():
            raise ValueError(f"{sentence} at t = {float(t.expand_as(each)[~each.isfinite()].flatten()[0]):g}")
