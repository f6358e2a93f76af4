"""Time laws: the distributions that a training step draws its times from, with t = 0 noise and t = 1 data.

Papers that count time the other way are converted here: their noise time is ``1 - t``. A time law also gives a time
grid for a solver: its quantiles at equal steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi, sqrt

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.predictors.generative.named import Named, make_named, option
from corrwise.predictors.generative.paths import check_times

__all__ = [
    "TIME_LAWS",
    "CosMap",
    "LogitNormal",
    "Mode",
    "Shifted",
    "Skewed",
    "TimeLaw",
    "Uniform",
    "make_time_law",
]


@dataclass(frozen=True)
class TimeLaw(Named):
    """A distribution on [0, 1] with a positive density; its functions return the shape and dtype that they take."""

    def density(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the density at t in (0, 1)."""
        raise NotImplementedError

    def distribution(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the probability of a time of at most t."""
        raise NotImplementedError

    def quantile(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the time below which the probability u lies; 0 and 1 are their own."""
        raise NotImplementedError

    def sample(self, n: int, generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> Float[Tensor, "n"]:
        """Return random times, of single precision and on the CPU.

        Args:
            n: how many.
            generator: the source of randomness, on the CPU.
            low: the times are drawn from the law restricted to the interval from here
            high: to here.

        Raises:
            ValueError: ``low`` and ``high`` are no interval in [0, 1].
        """
        ends = torch.tensor([low, high], dtype=torch.float64, device="cpu")
        check_times(ends)
        if not low < high:
            raise ValueError(f"low must be below high, got {low:g} and {high:g}")
        below, above = self.distribution(ends)
        u = torch.rand(n, generator=generator, dtype=torch.float64, device="cpu")
        return self.quantile(below + (above - below) * u).clamp(low, high).float().clamp(low, high)


@dataclass(frozen=True)
class Uniform(TimeLaw):
    """The uniform law."""

    name = "uniform"

    def density(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return 1."""
        return torch.ones_like(t)

    def distribution(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return t."""
        return t

    def quantile(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return u."""
        return u


class _NormalLogit(TimeLaw):
    """The logit of t is normal."""

    def _mean_std(self) -> tuple[float, float]:
        raise NotImplementedError

    def density(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the normal density of the logit over ``t (1 - t)``."""
        mean, std = self._mean_std()
        exponent = -((torch.logit(t) - mean) ** 2) / (2 * std**2)
        return torch.exp(exponent - torch.log(t) - torch.log1p(-t) - log(std * sqrt(2 * pi)))

    def distribution(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the normal distribution of the logit."""
        mean, std = self._mean_std()
        return torch.special.ndtr((torch.logit(t) - mean) / std)

    def quantile(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the sigmoid of a normal quantile."""
        mean, std = self._mean_std()
        return torch.sigmoid(mean + std * torch.special.ndtri(u))


@dataclass(frozen=True)
class LogitNormal(_NormalLogit):
    """``t = sigmoid(mean + std n)`` with a standard normal n (Esser et al., 2024, Eq. 19).

    The paper counts noise time, so its mean has the other sign.

    Attributes:
        mean: of the logit of t; above zero favours the data.
        std: of the logit of t.
    """

    name = "logit-normal"
    mean: float = option(0.0)
    std: float = option(1.0, low=1e-3)

    def _mean_std(self) -> tuple[float, float]:
        return self.mean, self.std


@dataclass(frozen=True)
class Skewed(_NormalLogit):
    """``t = 1 / (1 + s)`` where log s is normal: the noise levels of EDM (Karras et al., 2022) on straight lines.

    The defaults are those of the image example of Meta's flow_matching; EDM and DIAMOND draw with ``mean=-0.4``. That
    example clips t below 1e-4, which has a probability of 2e-18.

    Attributes:
        mean: of log s; below zero favours the data.
        std: of log s.
    """

    name = "skewed"
    mean: float = option(-1.2)
    std: float = option(1.2, low=1e-3)

    def _mean_std(self) -> tuple[float, float]:
        return -self.mean, self.std


@dataclass(frozen=True)
class Mode(TimeLaw):
    """The law with heavy tails of Esser et al. (2024, Eq. 20), which is symmetric in t and 1 - t.

    Attributes:
        scale: above zero favours the middle, below zero the ends; 0 is uniform.
    """

    name = "mode"
    scale: float = option(1.29, low=-0.99, high=1.75)

    def density(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return one over the slope of the quantile."""
        u = self.distribution(t)
        return 1 / (1 + self.scale * (1 - pi / 2 * torch.sin(pi * u)))

    def distribution(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the inverse of the quantile, by bisection to the last digit."""
        below, above = torch.zeros_like(t), torch.ones_like(t)
        for _ in range(64):
            middle = (below + above) / 2
            less = self.quantile(middle) < t
            below, above = torch.where(less, middle, below), torch.where(less, above, middle)
        middle = (below + above) / 2
        return torch.where((t <= 0) | (t >= 1), t, middle)  # exact at the ends

    def quantile(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return ``u + scale (cos^2(pi u / 2) - 1 + u)``."""
        return (u + self.scale * (u - torch.sin(pi / 2 * u) ** 2)).clamp(0, 1)


@dataclass(frozen=True)
class CosMap(TimeLaw):
    """Uniform times of the cosine path, carried over to straight lines at equal signal-to-noise ratio (Esser, Eq. 21).

    It is symmetric in t and 1 - t.
    """

    name = "cosmap"

    def density(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return ``2 / (pi (1 - 2 t + 2 t^2))``."""
        return 2 / (pi * (1 - 2 * t + 2 * t**2))

    def distribution(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return ``2 / pi atan(t / (1 - t))``."""
        return 2 / pi * torch.atan2(t, 1 - t)

    def quantile(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return ``sin / (sin + cos)`` of the angle ``pi u / 2``."""
        sine, cosine = torch.sin(pi / 2 * u), torch.sin(pi / 2 * (1 - u))
        return sine / (sine + cosine)


@dataclass(frozen=True)
class Shifted(TimeLaw):
    """Uniform noise times ``s`` moved to ``shift s / (1 + (shift - 1) s)``, where ``s = 1 - t`` (Esser et al., Eq. 23).

    Attributes:
        shift: above 1 favours the noise; Wan uses 5 to 8.
    """

    name = "shifted"
    shift: float = option(5.0, low=1e-3)

    def density(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return ``shift / (1 + (shift - 1) t)^2``."""
        return self.shift / (1 + (self.shift - 1) * t) ** 2

    def distribution(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return ``shift t / (1 + (shift - 1) t)``."""
        return self.shift * t / (1 + (self.shift - 1) * t)

    def quantile(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return ``u / (shift - (shift - 1) u)``."""
        return u / (u + self.shift * (1 - u))


TIME_LAWS: dict[str, type[TimeLaw]] = {
    kind.name: kind for kind in (Uniform, LogitNormal, Mode, CosMap, Skewed, Shifted)
}


def make_time_law(text: str) -> TimeLaw:
    """Return a time law by name and options, such as ``logit-normal:mean=0,std=1``.

    Raises:
        ValueError: an unknown name or option, or a value outside its range.
    """
    return make_named("time law", TIME_LAWS, text)
