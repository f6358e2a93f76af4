"""Cut videos into small square clips, folders of images for ``corrwise import``; the last part of each is held out.

    python -m tools.video_clips clips/frames bikes.mp4 carphone_pristine.mp4 bigbuckbunny.mp4
    corrwise import --source clips/frames/train --size 32 --out clips/video
    corrwise import --source clips/frames/held --size 32 --out clips/video-held

A video is resized to a shorter side of 64 pixels and cut into squares of 32 pixels, and each square into clips of 20
frames that follow each other within a scene. Squares in which nothing moves are left out. With ``--stride 8`` the
squares to learn from overlap; those that are held out lie side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product
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
    stride: int = 0
    """Pixels from a square to the next one of those to learn from; 0 lays them side by side."""
    least: float = 1.0
    """Mean difference between consecutive frames, in levels of 255, below which a clip is left out."""
    cut: float = 30.0
    """Mean difference between consecutive frames, in levels of 255, above which a new scene begins."""


def resized(path: Path, side: int) -> np.ndarray:
    """Return the frames of a video (n, h, w, 3), uint8, with this shorter side."""
    with av.open(str(path)) as video:
        images = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    height, width = images[0].shape[:2]
    size = round(width * side / min(height, width)), round(height * side / min(height, width))
    return np.stack([cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in images])


def clip_starts(frames: np.ndarray, length: int, cut: float) -> list[int]:
    """Return the first frames of the clips of this length that follow each other within the scenes of a video."""
    ends = [k + 1 for k in range(len(frames) - 1) if _difference(frames[k : k + 2]) > cut]
    scenes = pairwise([0, *ends, len(frames)])
    return [start for first, last in scenes for start in range(first, last - length + 1, length)]


def main(cut: Cut) -> None:
    """Write the clips of all videos."""
    for path in cut.videos:
        frames = resized(path, cut.side)
        starts = clip_starts(frames, cut.frames, cut.cut)
        first_held = round(len(starts) * (1 - cut.held))
        kept = 0
        for number, start in enumerate(starts):
            part, stride = ("train", cut.stride or cut.square) if number < first_held else ("held", cut.square)
            rows, columns = (range(0, side - cut.square + 1, stride) for side in frames.shape[1:3])
            for y, x in product(rows, columns):
                clip = frames[start : start + cut.frames, y : y + cut.square, x : x + cut.square]
                if _difference(clip) < cut.least:
                    continue
                folder = cut.out / part / f"{path.stem}-{number:02d}-{y:03d}-{x:03d}"
                folder.mkdir(parents=True, exist_ok=True)
                for k, image in enumerate(clip):
                    cv2.imwrite(str(folder / f"{k:04d}.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
                kept += 1
        print(f"{path.name}: {kept} clips")


def _difference(frames: np.ndarray) -> float:
    """Return the mean difference between consecutive frames, in levels of 255."""
    return float(np.abs(np.diff(frames.astype(np.float64), axis=0)).mean())


if __name__ == "__main__":
    main(tyro.cli(Cut))
