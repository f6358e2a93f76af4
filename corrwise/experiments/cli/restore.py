"""``corrwise restore``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from corrwise.experiments.cli.options import SPEED_ONLY, Device, FlowName, Seed
from corrwise.registry import CARRIER_PATHS
from corrwise.validation import Names, Range, check_that, validated

NAME = "restore"

AUTO = "auto"
NOT_MOVED = (FIXED, RESAMPLE) = ("fixed", "resample")  # carriers of noise of either kind that follow nothing


@validated
class RestoreConfig:
    """Restore a damaged video by an image model, frame by frame; the same command continues a run that was stopped."""

    model: Path
    """Folder of a run of corrwise train --objective restore, or of its model."""
    video: Path
    """A video (mp4, mkv, webm, avi, mov and others), a folder with videos or images, or a folder of clips."""
    damage: str = "downscale:factor=4"
    """What happened to the video: an image of its size that is white where pixels are missing; or a lower resolution,
    as downscale:factor=4. With --apply any damage of docs/restoration.md, such as random:share=0.4."""
    apply: bool = False
    """Whether the video is whole: it is damaged first, and the PSNR of the restored frames is reported."""
    out: Path = Path("runs/restored")
    """Folder for restored.mp4, side-by-side.mp4, report.png, rows and table.md. Chunks are kept in its folder parts."""
    carrier: Annotated[str, Names((AUTO, *CARRIER_PATHS))] = AUTO
    """How noise moves with the scene; auto is gp, or discrete for a model of white noise."""
    flow: FlowName = "dis"
    """Optical flow by which the scene is followed, between first guesses of the frames."""
    passes: Annotated[int, Range(1, 100)] = 1
    """How often the video is restored; from the second time on the flow is that between the frames of the pass before,
    which moves more exactly where first guesses are blurred."""
    guidance: Annotated[float, Range(0, 1_000_000)] = 1.0
    """Strength with which each frame is guided by the one before; 0 is without, in half of the time."""
    guidance_pulls: Literal["sample", "prediction"] = "sample"
    """What guidance pulls: the sample, through the network, or its predictions, which takes less time."""
    evaluations: Annotated[int, Range(1, 10_000)] | None = None
    """Evaluations of the network for a frame; none is the model's own number."""
    exact: bool = True
    """Whether known pixels stay as they are observed."""
    seed: Seed = 0
    """Seed of the noise, and of the masks of --apply."""
    clip: Annotated[int, Range(0, 1_000_000)] = 0
    """Which clip of a folder, from 0."""
    fps: Annotated[float, Range(0.01, 1000)] = 10.0
    """Frames per second of images and clips, which state none."""
    device: Device = field(default="cpu", metadata=SPEED_ONLY)
    """Where frames are restored: cpu or cuda."""

    def __post_init__(self) -> None:
        """Refuse passes that would all be the same."""
        follows = self.guidance > 0 or self.carrier not in NOT_MOVED
        check_that(
            self.passes == 1 or follows,
            f"--passes follow the scene, and the carrier {self.carrier} does not: give a --guidance or another "
            "--carrier",
        )


def run(config: RestoreConfig) -> Path:
    """Write the restored video, and return its path."""
    from corrwise.experiments.runs.restore import run_restore

    return run_restore(config)
