"""A bound for every number that costs memory or time."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from corrwise.experiments.cli.checks import check

__all__ = ["MOST", "check_counts"]

MOST: Mapping[str, int] = MappingProxyType({  # far beyond any use that makes sense, short of what no machine can hold
    **dict.fromkeys(("size", "hindsight_size", "crop", "reach"), 8192),
    **{"supersample": 16, "dis_finest_scale": 16},
    **dict.fromkeys(("episodes", "clips", "held", "plans", "pairs", "timed_pairs"), 1_000_000),
    **dict.fromkeys(("candidates", "windows", "batch", "pictures"), 1_000_000),
    **dict.fromkeys(("videos", "lockstep", "copies", "seeds", "hindsight_seeds"), 100_000),
    **dict.fromkeys(("horizon", "iterations", "context", "context_frames"), 10_000),
    **dict.fromkeys(("look", "looks", "shown", "repeats"), 10_000),
    **dict.fromkeys(("steps", "hindsight_steps", "warm", "every", "max_frames"), 1_000_000_000),
    **dict.fromkeys(("workers", "threads"), 1024),
    **dict.fromkeys(("fine", "coarse", "width", "heads", "hidden"), 8192),
    **dict.fromkeys(("updates", "refinements"), 100),
})  # fmt: skip
"""The largest value of each option, by its name, whichever command it belongs to."""


def check_counts(config: object, *options: str, least: int = 1, unit: str = "") -> None:
    """Raise a ConfigError for the first of these options that is below the least or above its bound in ``MOST``."""
    for option in options:
        value = getattr(config, option)
        check(value >= least, option, f"at least {least}{unit}" if least else "zero or above", value)
        check(value <= MOST[option], option, f"at most {MOST[option]}{unit}", value)
