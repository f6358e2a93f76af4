"""How large a run may be: a bound for every number that costs memory or time, and an estimate of what they cost."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from corrwise.experiments.cli.checks import check, check_that

__all__ = ["MOST", "check_counts", "check_memory", "memory_of_machine", "ray_bytes"]

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

_FINER = 4  # rays to a side of the background for each of the picture
_LIMITS = (  # where a container says how much memory it may use
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def check_counts(config: object, *options: str, least: int = 1, unit: str = "") -> None:
    """Raise a ConfigError for the first of these options that is below the least or above its bound in ``MOST``."""
    for option in options:
        value = getattr(config, option)
        check(value >= least, option, f"at least {least}{unit}" if least else "zero or above", value)
        check(value <= MOST[option], option, f"at most {MOST[option]}{unit}", value)


def check_memory(needed: int, options: str) -> None:
    """Raise a ConfigError where a run would need more memory than the machine has.

    Args:
        needed: bytes, a low estimate: that of the largest arrays alone.
        options: what makes it less, for the sentence.
    """
    there = memory_of_machine()
    sentence = f"this run would need about {_gigabytes(needed)} of memory, and there are {_gigabytes(there)}"
    check_that(needed <= there, f"{sentence}; it needs less with a smaller {options}")


def ray_bytes(size: int, supersample: int) -> int:
    """Return the bytes that the ray caster takes for the background of a picture, whose rays are four times as fine."""
    return 24 * (_FINER * size * supersample) ** 2


def memory_of_machine() -> int:
    """Return the bytes of memory that this machine has, or that a container may use of them."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in _LIMITS:
        try:
            there = min(there, int(file.read_text()))
        except (OSError, ValueError):  # none, or "max"
            continue
    return there


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.0f} GB" if size >= 1e10 else f"{size / 1e9:.1f} GB"
