"""``corrwise preview``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from corrwise.experiments.cli.options import OwnTask
from corrwise.validation import Range, check, check_that, validated

NAME = "preview"


@validated
class PreviewConfig:
    """Draw starts and goals of a task on one sheet, and mark what is cut off, thinner than a pixel or hidden."""

    task: tyro.conf.Positional[OwnTask]
    """cartpole, ant, humanoid, cartpole-short, cartpole-gusts; or your own, as file.py:NAME, which runs
    that file as Python code."""
    count: Annotated[int, Range(1, 200)] = 12
    """How many episodes."""
    seed: int = 0
    """Seed of the first episode; episode i has seed + i. The frozen test episodes have seeds from 10000 on."""
    size: Annotated[int, Range(16, 512, " pixels")] = 64
    """Pixels to a side of the images."""
    out: Path = Path("runs/preview")
    """A PNG file, or a folder in which it is called like the task."""

    @property
    def file(self) -> Path:
        """Where the sheet is written."""
        return self.out if self.out.suffix == ".png" else self.out / f"{self.task.rpartition(':')[2]}.png"

    def __post_init__(self) -> None:
        """Refuse options that do not fit together."""
        check(0 <= self.seed < 2**32 - self.count, "seed", "zero or above and below 2^32", self.seed)
        fits = self.out.suffix in ("", ".png") or self.out.is_dir()
        check(fits, "out", "a .png file or a folder", self.out)
        check_that(not self.file.is_dir(), f"out must be a file if it ends in .png, got the folder {self.file}")


def run(config: PreviewConfig) -> Path:
    """Draw the sheet, and return its path."""
    from corrwise.experiments.runs.preview import run_preview

    return run_preview(config)
