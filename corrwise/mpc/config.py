"""Every number a planner or the agent can be tuned with; free of torch, so that ``corrwise --help`` answers at once."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, fields
from numbers import Real
from typing import Literal, get_args

AggregateName = Literal["last", "sum", "mean", "discounted", "last-times-k", "min"]
AGGREGATE_NAMES: tuple[str, ...] = get_args(AggregateName)


def require(ok: bool, name: str, wanted: str, value: object) -> None:
    """Raise a ValueError that names the field, what it must be and what it was, unless ``ok``."""
    if not ok:
        raise ValueError(f"{name} must be {wanted}, got {value}")


def require_whole(name: str, value: object) -> None:
    """Raise a ValueError unless ``value`` is a whole number."""
    try:
        operator.index(value)  # type: ignore[arg-type]  # whether it is one is the question
    except TypeError:
        raise ValueError(f"{name} must be a whole number, got {value}") from None


def check_budget(planner: object) -> None:
    """Raise a ValueError for the first of a planner's sizes that is no whole number or below 1."""
    for name in ("action_dim", "horizon", "candidates", "iterations"):
        require_whole(name, getattr(planner, name))
        require(getattr(planner, name) >= 1, name, "at least 1", getattr(planner, name))


@dataclass(frozen=True)
class RandomShootingConfig:
    """Uniform random action sequences; the cheapest is executed."""

    hold: int = 1
    """Each random action is held for this many steps; longer holds reach further."""

    def __post_init__(self) -> None:
        _check_numbers(self)
        require(self.hold >= 1, "hold", "at least 1", self.hold)


@dataclass(frozen=True)
class CEMConfig:
    """Cross-entropy method: fit a Gaussian to the cheapest candidates and sample again."""

    initial_std: float = 0.5
    """Standard deviation at the start of every plan; actions span [-1, 1]."""
    min_std: float = 0.05
    """The standard deviation never falls below this, so that later iterations still explore."""
    elite_fraction: float = 0.2
    """Share of the candidates that the next Gaussian is fitted to (at least one)."""
    momentum: float = 0.1
    """Share of the old mean and std that is kept in each refit; 0 forgets them."""
    executes: Literal["mean", "best"] = "mean"
    """Act on the fitted mean or on the cheapest candidate seen."""

    def __post_init__(self) -> None:
        _check_gaussian(self)


@dataclass(frozen=True)
class ICEMConfig:
    """Sample-efficient CEM (Pinneri et al. 2020): coloured noise, elites that live on, a shrinking population."""

    initial_std: float = 0.5
    """Standard deviation at the start of every plan; actions span [-1, 1]."""
    min_std: float = 0.05
    """The standard deviation never falls below this, so that later iterations still explore."""
    elite_fraction: float = 0.2
    """Share of the candidates that the next Gaussian is fitted to (at least one, at most half)."""
    momentum: float = 0.1
    """Share of the old mean and std that is kept in each refit; 0 forgets them."""
    noise_beta: float = 2.0
    """Exponent of the noise's power spectrum 1 / f^beta: 0 is white, 2 is a slow drift that moves bodies further."""
    keep_fraction: float = 0.3
    """Share of the elites scored again in the next iteration and, shifted by one step, in the next plan."""
    decay: float = 1.25
    """The population shrinks by this factor with each iteration, down to twice the elites."""

    def __post_init__(self) -> None:
        _check_gaussian(self)
        require(self.noise_beta >= 0, "noise_beta", "zero or above", self.noise_beta)
        require(0 <= self.keep_fraction <= 1, "keep_fraction", "in [0, 1]", self.keep_fraction)
        require(self.decay >= 1, "decay", "at least 1", self.decay)


@dataclass(frozen=True)
class MPPIConfig:
    """Model-predictive path integral control: a soft average of all candidates, weighted by their costs."""

    initial_std: float = 0.5
    """Standard deviation of the noise; actions span [-1, 1]."""
    temperature: float = 0.5
    """Softness of the average, in standard deviations of the candidates' costs: towards 0 only the best candidate
    counts, a large value weighs all of them alike."""
    correlation: float = 0.7
    """AR(1) coefficient of the noise from one step to the next, in [0, 1); its variance does not depend on it."""

    def __post_init__(self) -> None:
        _check_numbers(self)
        require(self.initial_std > 0, "initial_std", "positive", self.initial_std)
        require(self.temperature > 0, "temperature", "positive", self.temperature)
        require(0 <= self.correlation < 1, "correlation", "in [0, 1)", self.correlation)


@dataclass(frozen=True)
class AgentConfig:
    """What :class:`corrwise.mpc.VisualMPC` does around the planner."""

    aggregate: AggregateName = "last"
    """How the costs of the predicted frames become one number per candidate."""
    gamma: float = 0.95
    """Discount of ``discounted`` per step, in (0, 1]."""
    k: float = 10.0
    """How often ``last-times-k`` counts the last step."""
    context_frames: int = 1
    """How many past frames the predictor is shown (K)."""
    max_frames: int = 256
    """About how many predicted frames may exist at a time; bounds the memory, not the result."""
    seed: int = 0
    """Where the random numbers of all environments come from; see :func:`corrwise.mpc.generator`."""
    device: str | None = None
    """Where costs are computed, such as ``cuda``; None is where the predictor's weights are, or else the goal."""

    def __post_init__(self) -> None:
        _check_numbers(self)
        require(self.context_frames >= 1, "context_frames", "at least 1", self.context_frames)
        require(self.max_frames >= 1, "max_frames", "at least 1", self.max_frames)
        require(0 <= self.seed < 2**32, "seed", "in [0, 2^32)", self.seed)


PLANNER_CONFIGS: dict[str, type] = {
    "random": RandomShootingConfig,
    "cem": CEMConfig,
    "icem": ICEMConfig,
    "mppi": MPPIConfig,
}
PLANNER_NAMES: tuple[str, ...] = tuple(PLANNER_CONFIGS)


def _check_numbers(config: RandomShootingConfig | CEMConfig | ICEMConfig | MPPIConfig | AgentConfig) -> None:
    """Raise a ValueError for the first int option that is no whole number, or float option that is not finite."""
    for option in fields(config):
        value = getattr(config, option.name)
        if option.type == "int":
            require_whole(option.name, value)
        if option.type == "float":
            require(isinstance(value, Real) and math.isfinite(value), option.name, "a finite number", value)


def _check_gaussian(config: CEMConfig | ICEMConfig) -> None:
    _check_numbers(config)
    require(config.initial_std > 0, "initial_std", "positive", config.initial_std)
    require(config.min_std >= 0, "min_std", "zero or above", config.min_std)
    require(0 < config.elite_fraction <= 1, "elite_fraction", "in (0, 1]", config.elite_fraction)
    require(0 <= config.momentum < 1, "momentum", "in [0, 1)", config.momentum)
