"""Types of options that commands share: what they may be stands in the annotation, see ``checks``.

Bounds lie far beyond any use that makes sense, short of what no machine can hold.
"""

from __future__ import annotations

from typing import Annotated, Literal

from corrwise.experiments.cli.checks import SEVERAL, Names, Range
from corrwise.registry import TASK_PATHS

__all__ = [
    "BODY_NAMES",
    "TASK_NAMES",
    "Batch",
    "Count",
    "Horizon",
    "Lockstep",
    "OwnTask",
    "Processes",
    "Seed",
    "Size",
    "Steps",
    "Supersample",
    "Tasks",
]

TASK_NAMES = tuple(TASK_PATHS)
BODY_NAMES = ("cartpole", "ant", "humanoid")  # tasks that differ in more than where episodes start


def _is_file_of_ones_own(name: str) -> bool:
    return ":" in name


OwnTask = Annotated[str, Names(TASK_NAMES, "your own as file.py:NAME", _is_file_of_ones_own)]
Tasks = Annotated[tuple[Annotated[str, Names(TASK_NAMES)], ...], SEVERAL]
Accelerator = Literal["auto", "cpu", "cuda"]

Count = Annotated[int, Range(1, 1_000_000)]  # episodes, candidates, pairs, windows
Batch = Count
Horizon = Annotated[int, Range(1, 10_000)]  # steps that are planned or predicted, iterations, repeats
Steps = Annotated[int, Range(1, 1_000_000_000)]
Lockstep = Annotated[int, Range(1, 100_000)]
Processes = Annotated[int, Range(0, 1024)]  # 0 is one for each core
Size = Annotated[int, Range(16, 8192, " pixels")]
Supersample = Annotated[int, Range(1, 16)]
Seed = Annotated[int, Range(0, 2**31 - 1)]
