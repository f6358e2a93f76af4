"""Every number the agent can be tuned with, and how options are checked; free of torch: help answers at once."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any, Literal, get_args

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


def check_numbers(config: Any) -> None:
    """Raise a ValueError for the first int option that is no whole number, or float option that is not finite."""
    for option in fields(config):
        value = getattr(config, option.name)
        if option.type == "int":
            require_whole(option.name, value)
        if option.type == "float":
            require(isinstance(value, Real) and math.isfinite(value), option.name, "a finite number", value)


@dataclass(frozen=True)
class AgentConfig:
    """What :class:`corrwise.mpc.VisualMPC` does around the planner."""

    aggregate: AggregateName = "last"
    """How the costs of the predicted frames become one number per candidate."""
    gamma: float = 0.95
    """Discount of ``discounted`` per step, in (0, 1]."""
    k: float = 10.0
    """How often ``last-times-k`` counts the last step."""
    action_change_penalty: float = 0.0
    """Weight of the mean squared difference of successive actions, which is added to the cost: in the cost's unit, for
    actions that change by 1, half their range. The action executed last counts, too, where there is one."""
    context_frames: int = 1
    """How many past frames the predictor is shown (K)."""
    max_frames: int = 256
    """About how many predicted frames may exist at a time; bounds the memory, not the result."""
    reproducible: bool = True
    """Compare the frames of one environment at a time with its goal, so that an environment's plan does not depend, to
    the last bit, on which others are planned for. False compares those of all environments in one call (as many as
    ``max_frames`` allows), which suits a GPU; float rounding then depends on the number of environments."""
    seed: int | tuple[int, ...] = 0
    """Where the random numbers come from; see :func:`corrwise.mpc.generator`. With one seed, row i of a batch draws
    from ``(seed, i)``; with a tuple, which has a seed for each row, from ``(seed[i], 0)``, as it would alone."""
    device: str | None = None
    """Where costs are computed, such as ``cuda``; None is where the predictor's weights are, or else the goal."""

    def __post_init__(self) -> None:
        check_numbers(self)
        penalty = self.action_change_penalty
        require(penalty >= 0, "action_change_penalty", "zero or above", penalty)
        require(self.context_frames >= 1, "context_frames", "at least 1", self.context_frames)
        require(self.max_frames >= 1, "max_frames", "at least 1", self.max_frames)
        for seed in self.seed if isinstance(self.seed, tuple) else (self.seed,):
            require_whole("seed", seed)
            require(0 <= seed < 2**32, "seed", "in [0, 2^32)", seed)
