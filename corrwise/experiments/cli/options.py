"""What options of several commands share: their types, with bounds, and an estimate of the memory that they ask for.

Bounds lie far beyond any use that makes sense, short of what no machine can hold.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from corrwise.experiments.cli.checks import SEVERAL, Names, Range, check_that
from corrwise.registry import TASK_PATHS

__all__ = [
    "BODY_NAMES",
    "TASK_NAMES",
    "Accelerator",
    "Count",
    "Device",
    "Horizon",
    "Lockstep",
    "OwnTask",
    "Processes",
    "Seed",
    "Size",
    "Steps",
    "Supersample",
    "Tasks",
    "check_memory",
    "device_named",
    "memory_of_machine",
    "ray_bytes",
]

TASK_NAMES = tuple(TASK_PATHS)
BODY_NAMES = ("cartpole", "ant", "humanoid")  # tasks that differ in more than where episodes start


def _has_a_colon(name: str) -> bool:
    return ":" in name


OwnTask = Annotated[str, Names(TASK_NAMES, "gym:ID, dm_control:DOMAIN or your own as file.py:NAME", _has_a_colon)]
Tasks = Annotated[tuple[Annotated[str, Names(TASK_NAMES)], ...], SEVERAL]
Accelerator = Literal["auto", "cpu", "cuda"]
Device = Literal["cpu", "cuda"]

Count = Annotated[int, Range(1, 1_000_000)]  # episodes, candidates, pairs, windows
Horizon = Annotated[int, Range(1, 10_000)]  # steps that are planned or predicted, iterations, repeats
Steps = Annotated[int, Range(1, 1_000_000_000)]
Lockstep = Annotated[int, Range(1, 100_000)]
Processes = Annotated[int, Range(0, 1024)]  # 0 is one for each core
Size = Annotated[int, Range(16, 8192, " pixels")]
Supersample = Annotated[int, Range(1, 16)]
Seed = Annotated[int, Range(0, 2**31 - 1)]

_FINER = 4  # rays to a side of the background for each of the image
_LIMITS = (  # where a container says how much memory it may use
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def check_memory(needed: int, options: str) -> None:
    """Raise a ConfigError where a run would need more memory than the machine has.

    Args:
        needed: bytes, a low estimate: that of the largest arrays alone.
        options: what makes it less, for the sentence.
    """
    there = memory_of_machine()
    sentence = f"this run would need about {_gigabytes(needed)} of memory, and there are {_gigabytes(there)}"
    check_that(needed <= there, f"{sentence}; it needs less with a smaller {options}")


def device_named(name: str) -> str:
    """Return "cuda" or "cpu" for what ``--device`` names: "auto", "cuda" or "cpu".

    Raises:
        RuntimeError: a GPU is asked for, and there is none.
    """
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("--device cuda needs a GPU, and torch finds no GPU here; use --device cpu")
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"


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
