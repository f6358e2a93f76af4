"""The probability paths by name: how much data and how much noise there is at each time."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.predictors.generative.named import make_named, option
from corrwise.predictors.generative.paths import Path

__all__ = ["PATHS", "CondOT", "Cosine", "Polynomial", "VariancePreserving", "make_path"]


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
