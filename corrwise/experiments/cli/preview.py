"""Options of ``corrwise preview``; free of torch, so that help and argument errors come at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from corrwise.experiments.cli.checks import check, check_name, check_that
from corrwise.experiments.cli.mpc import TASK_NAMES


@dataclass(frozen=True)
class PreviewConfig:
    """Draw starts and goals of a task on one sheet, and mark what is cut off, thinner than a pixel or hidden."""

    task: tyro.conf.Positional[str]
    """cartpole, ant, humanoid, cartpole-short; or your own, as file.py:NAME, which runs that file
    as Python code."""
    count: int = 12
    """How many episodes."""
    seed: int = 0
    """Seed of the first episode; episode i has seed + i. The frozen test episodes have seeds from 10000 on."""
    size: int = 64
    """Pixels to a side of the images."""
    out: Path = Path("runs/preview")
    """A PNG file, or a folder in which it is called like the task."""

    @property
    def file(self) -> Path:
        """Where the sheet is written."""
        return self.out if self.out.suffix == ".png" else self.out / f"{self.task.rpartition(':')[2]}.png"

    def __post_init__(self) -> None:
        """Refuse unknown names and sizes that make no sheet."""
        if ":" not in self.task:
            check_name("task", self.task, TASK_NAMES, or_else="your own as file.py:NAME")
        check(1 <= self.count <= 200, "count", "1 to 200", self.count)
        check(0 <= self.seed < 2**32 - self.count, "seed", "zero or above and below 2^32", self.seed)
        check(16 <= self.size <= 512, "size", "16 to 512 pixels", self.size)
        fits = self.out.suffix in ("", ".png") or self.out.is_dir()
        check(fits, "out", "a .png file or a folder", self.out)
        check_that(not self.file.is_dir(), f"out must be a file if it ends in .png, got the folder {self.file}")
