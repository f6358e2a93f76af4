"""Options of ``corrwise import``; free of torch, so that help and argument errors come at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from corrwise.experiments.cli.checks import check
from corrwise.experiments.cli.marks import CHOOSES_ROWS
from corrwise.experiments.cli.sizes import check_counts


@dataclass(frozen=True)
class ImportConfig:
    """Make clips of videos, images or a Minari dataset; the same command continues an import that was stopped."""

    source: Path
    """A video (mp4, mkv, webm, avi, mov and others), a folder with videos or folders of images (png, jpg, tif, webp and
    others), or the folder of a Minari dataset in HDF5. Links are followed. Actions, if there are any, lie beside a clip
    as <name>.npy or actions.npy, a row for every step between frames."""
    out: Path = Path("clips/imported")
    """Folder of HDF5 shards with at most ten clips each, and an index."""
    size: int = 64
    """Pixels to a side that every frame is resized to, whatever its shape."""
    key: str = "pixels"
    """Which observation of a Minari dataset shows the pictures, where there are several."""
    low: float = -1.0
    """Lowest number in an action; actions from low to high are mapped to [-1, 1]."""
    high: float = 1.0
    """Highest number in an action."""
    every: int = 1
    """Keep every n-th frame; for video without actions only."""
    white: int | None = None
    """The value that is white in images of more than 8 bits, such as 4095 in images of 12 bits; without it 65535, and
    clips whose values stay at or below 16383 are refused."""
    skip_broken: bool = field(default=False, metadata=CHOOSES_ROWS)
    """Go on without clips that cannot be read, and list them at the end."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no clips."""
        check_counts(self, "size", least=16, unit=" pixels")
        check_counts(self, "every")
        white = self.white
        check(white is None or 1 <= white < 2**16, "white", f"from 1 to {2**16 - 1}", white)
        check(-inf < self.low < inf, "low", "finite", self.low)
        check(self.low < self.high < inf, "high", f"finite and above low ({self.low:g})", self.high)
