"""``corrwise import``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated

from corrwise.experiments.cli.options import CHOOSES_ROWS, Size, Steps
from corrwise.validation import Range, check, validated

NAME = "import"


@validated
class ImportConfig:
    """Make clips of videos, images or a Minari dataset; the same command continues an import that was stopped."""

    source: Path
    """A video (mp4, mkv, webm, avi, mov and others), a folder with videos or folders of images (png, jpg, tif, webp and
    others), or the folder of a Minari dataset in HDF5. Links are followed. Actions, if there are any, lie beside a clip
    as <name>.npy or actions.npy, a row for every step between frames."""
    out: Path = Path("clips/imported")
    """Folder of HDF5 shards with at most ten clips each, and an index."""
    size: Size = 64
    """Pixels to a side that every frame is resized to, whatever its shape."""
    key: str = "pixels"
    """Name of the observation that holds the images of a Minari dataset, where it has several."""
    low: Annotated[float, Range()] = -1.0
    """Lowest number in an action; actions from low to high are mapped to [-1, 1]."""
    high: Annotated[float, Range()] = 1.0
    """Highest number in an action."""
    every: Steps = 1
    """Keep every n-th frame; for video without actions only."""
    white: Annotated[int, Range(1, 2**16 - 1)] | None = None
    """The value that is white in images of more than 8 bits, such as 4095 in images of 12 bits; without it 65535, and
    clips whose values stay at or below 16383 are refused."""
    skip_broken: bool = field(default=False, metadata=CHOOSES_ROWS)
    """Skip clips that cannot be read, and list them at the end."""

    def __post_init__(self) -> None:
        """Refuse an empty range of actions."""
        check(self.low < self.high, "high", f"above low ({self.low:g})", self.high)


def run(config: ImportConfig) -> Path:
    """Import the clips, and return their folder."""
    from corrwise.experiments.runs.import_clips import run_import

    return run_import(config)
