"""Cut videos into small square clips, folders of images for ``corrwise import``; the last part of each is held out.

    python -m tools.video_clips clips/frames bikes.mp4 carphone_pristine.mp4 bigbuckbunny.mp4
    corrwise import --source clips/frames/train --size 32 --out clips/video
    corrwise import --source clips/frames/held --size 32 --out clips/video-held

A video is resized to a shorter side of 64 pixels and cut into squares of 32 pixels, and each square into clips of 20
frames that follow each other. Squares in which nothing moves are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import av
import cv2
import numpy as np
import tyro


@dataclass(frozen=True)
class Cut:
    """How to cut videos."""

    out: tyro.conf.Positional[Path]
    """Folder for train/ and held/, with a folder of images for each clip."""
    videos: tyro.conf.Positional[tuple[Path, ...]]
    """Files."""
    side: int = 64
    """Shorter side of the resized frames, in pixels."""
    square: int = 32
    """Side of a clip, in pixels."""
    frames: int = 20
    """Frames of a clip."""
    held: float = 0.25
    """Share of each video's time, at its end, that is held out."""
    least: float = 1.0
    """Mean difference between consecutive frames, in levels of 255, below which a clip is left out."""


def resized(path: Path, side: int) -> np.ndarray:
    """Return the frames of a video (n, h, w, 3), uint8, with this shorter side."""
    with av.open(str(path)) as video:
        images = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    height, width = images[0].shape[:2]
    size = round(width * side / min(height, width)), round(height * side / min(height, width))
    return np.stack([cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in images])


def main(cut: Cut) -> None:
    """Write the clips of all videos."""
    for path in cut.videos:
        frames = resized(path, cut.side)
        count, height, width = frames.shape[:3]
        starts = range(0, count - cut.frames + 1, cut.frames)
        first_held = round(len(starts) * (1 - cut.held))
        kept = 0
        for number, y, x in product(range(len(starts)), range(height // cut.square), range(width // cut.square)):
            rows, columns = (slice(i * cut.square, (i + 1) * cut.square) for i in (y, x))
            clip = frames[starts[number] : starts[number] + cut.frames, rows, columns]
            if np.abs(np.diff(clip.astype(np.float64), axis=0)).mean() < cut.least:
                continue
            part = "train" if number < first_held else "held"
            folder = cut.out / part / f"{path.stem}-{number:02d}-{y}-{x}"
            folder.mkdir(parents=True, exist_ok=True)
            for k, image in enumerate(clip):
                cv2.imwrite(str(folder / f"{k:04d}.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            kept += 1
        print(f"{path.name}: {kept} clips")


if __name__ == "__main__":
    main(tyro.cli(Cut))
