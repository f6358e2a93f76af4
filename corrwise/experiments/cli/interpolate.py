"""``corrwise interpolate``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated

from corrwise.experiments.cli.options import SPEED_ONLY, Device
from corrwise.validation import Range, check, validated

NAME = "interpolate"


@validated
class InterpolateConfig:
    """Multiply the frames of a video; the same command continues a run that was stopped."""

    video: Path
    """A video (mp4, mkv, webm, avi, mov and others), a folder with videos or images, or a folder of clips."""
    model: str = "half-flow:flow=dis"
    """blend, half-flow or average, with options as half-flow:flow=dis; or the folder of a trained interpolator
    (corrwise train --objective interpolate)."""
    times: Annotated[int, Range(2, 64)] = 2
    """How many frames there are for one. A model of the middle alone reaches 2, 4, 8 and so on."""
    out: Path = Path("runs/interpolated.mp4")
    """An mp4, or a folder for PNG files. Chunks are kept beside it until it is whole."""
    options: tuple[str, ...] = ()
    """More options of half-flow and average, such as flow=learned."""
    clip: Annotated[int, Range(0, 1_000_000)] = 0
    """Which clip of a folder, from 0."""
    fps: Annotated[float, Range(0.01, 1000)] = 10.0
    """Frames per second of images and clips, which state none."""
    cut: Annotated[float, Range(0, 1)] = 0.5
    """Share of pixels that change their colour at a scene cut, across which nothing is blended; 1 for no cuts."""
    device: Device = field(default="cpu", metadata=SPEED_ONLY)
    """Where frames are made: cpu or cuda."""

    def __post_init__(self) -> None:
        """Refuse outputs that are neither an mp4 nor a folder."""
        check(self.out.suffix in ("", ".mp4"), "out", "an .mp4 file or a folder", self.out)


def run(config: InterpolateConfig) -> Path:
    """Write the video, and return its path."""
    from corrwise.experiments.runs.interpolate import run_interpolate

    return run_interpolate(config)
