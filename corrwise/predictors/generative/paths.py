"""Affine probability paths from noise (t = 0) to data (t = 1): conversions among data, velocity and noise.

A path mixes data x1 and standard normal noise x0: ``x_t = alpha(t) x1 + sigma(t) x0``. Its velocity is the derivative
in t at fixed x1 and x0. Given x_t and t, each of data, velocity and noise determines the other two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.costs.option_text import check_known
from corrwise.predictors.generative.named import Named

__all__ = [
    "QUANTITIES",
    "Path",
    "Quantity",
    "check_times",
    "convert",
    "interpolate",
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
