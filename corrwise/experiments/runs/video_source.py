"""Videos of commands that change them: the frames of a source, and chunks of frames that are kept without loss."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from corrwise._files import local_path
from corrwise._writing import write_aside
from corrwise.predictors.data import ClipFolder
from corrwise.predictors.data.formats.image_decoding import BitDepth, read_image
from corrwise.predictors.data.formats.media_files import files_stamp, scan_media
from corrwise.predictors.data.formats.video_decoding import decode_video

__all__ = ["MADE_AGAIN", "Frame", "VideoSource", "read_chunk", "write_images"]

MADE_AGAIN = "delete this file, and the same command makes it again"
_IMAGES = "frame-{:06d}.png"

Frame = UInt8[np.ndarray, "h w 3"]


class VideoSource:
    """The frames of a video file, of a folder of images, or of one clip of a folder of clips.

    Args:
        video: the file or the folder.
        clip: which clip of a folder, from 0.
        fps: frames per second of images and clips, which state none.

    Attributes:
        files: of which it is read.
        stamp: what changes when its files do.
        sound: the file whose sound goes along; None without one.
    """

    def __init__(self, video: Path, clip: int, fps: float) -> None:
        path = local_path(video)
        self._stated, self._times, self.sound = Fraction(fps).limit_denominator(1001), list[float | None](), None
        if (path / "index.json").is_file():
            self._clips, self._clip, self._media = ClipFolder(path), clip, None
            if clip >= len(self._clips.lengths):
                raise ValueError(f"{path} has {len(self._clips.lengths)} clips, got clip {clip}")
            self.files = [path / "index.json"]
            self.stamp = files_stamp(self.files)
            return
        clips = scan_media(path).clips
        if not clips:
            raise ValueError(f"expected a video, a folder of images or a folder of clips, got {path}")
        if clip >= len(clips):
            raise ValueError(f"{path} has {len(clips)} clips, got clip {clip}")
        self._media = clips[clip]
        self.files = list(self._media.files)
        self.stamp = files_stamp(self.files)
        if self._media.is_video:
            self.sound = self._media.files[0]

    @property
    def times(self) -> list[float]:
        """When each frame that has been read is shown, in seconds; empty where the file does not state it."""
        times = [time for time in self._times if time is not None]
        stated = len(times) == len(self._times) and all(before < after for before, after in pairwise(times))
        return times if stated else []

    @property
    def rate(self) -> Fraction:
        """Frames per second of those that have been read."""
        if len(times := self.times) < 2:
            return self._stated
        return Fraction((len(times) - 1) / (times[-1] - times[0])).limit_denominator(1001)

    def __iter__(self) -> Iterator[Frame]:
        if self._media is None:
            for start in range(self._clips.lengths[self._clip]):
                yield self._clips.read(self._clip, start, start + 1)[0][0]
        elif self._media.is_video:
            self._times.clear()
            yield from decode_video(self._media.files[0], BitDepth(), times=self._times)
        else:
            depth = BitDepth()
            yield from (read_image(file, depth) for file in self._media.files)


def read_chunk(file: Path, count: int) -> Iterator[Frame]:
    """Yield the frames of a chunk.

    Raises:
        ValueError: it is damaged, or has another number of frames.
    """
    read = 0
    try:
        for image in decode_video(file, BitDepth()):
            read += 1
            yield image
    except ValueError as error:
        raise ValueError(f"{error}; {MADE_AGAIN}") from error
    if read != count:
        raise ValueError(f"expected {count} frames in {file}, got {read}; {MADE_AGAIN}")


def write_images(folder: Path, frames: Iterable[Frame]) -> None:
    """Write frames as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(frames):
        with write_aside(folder / _IMAGES.format(i)) as aside:
            Image.fromarray(image).save(aside, format="png")
