"""Decoding video files frame by frame, with their rotation, mirroring and bit depth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from corrwise.predictors.data.formats.image_decoding import MAX_PIXELS, BitDepth, check_pixels

__all__ = ["decode_video", "has_video"]

_PLAIN = (1, 0, 0, 1)
_MISSING = 0.5  # seconds by which a complete video may be shorter than stated: its last frame's duration may be unknown
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


def decode_video(
    path: Path, depth: BitDepth, *, every: int = 1, times: list[float | None] | None = None
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Yield every n-th frame of a video file, RGB.

    The file's rotation and mirroring (its display matrix) are applied, with angles rounded to quarter turns. The aspect
    ratio of pixels is not. Truncated Matroska and WebM files decode without an error; they are refused if they end
    before the duration that they state.

    Args:
        path: the file.
        depth: scales frames of 16 bits; frames of 9 to 14 bits state their white level themselves.
        every: n.
        times: when each yielded frame is shown, in seconds, is appended here; None where the file does not state it.

    Raises:
        ValueError: the file cannot be read to its end, holds no video, or has frames of more than ``MAX_PIXELS``.
    """
    import av

    i = 0
    try:
        with av.open(str(path)) as container:
            stream = _stream(container)
            if stream is None:
                raise ValueError(f"{path} holds no video")
            context = stream.codec_context
            if context is None:
                raise ValueError(f"{path} cannot be read as a video: PyAV has no decoder for it")
            check_pixels((context.width, context.height), str(path))
            context.options = {**context.options, "max_pixels": str(MAX_PIXELS)}
            declared, frame = _duration(stream), None
            for i, frame in enumerate(container.decode(stream), 1):
                check_pixels((frame.width, frame.height), f"frame {i - 1} of {path}")
                if frame.is_corrupt:
                    raise ValueError(f"{path} cannot be read as a video past frame {i - 1}: it is damaged or cut off")
                if (i - 1) % every == 0:
                    if times is not None:
                        times.append(frame.time)
                    yield _shown(_rgb(frame, depth, f"frame {i - 1} of {path}"), _matrix(frame))
            end = _end(frame, stream)
            if declared - end > _MISSING:
                raise ValueError(
                    f"{path} cannot be read as a video past frame {i - 1}: it is cut off, with {end:.1f} of "
                    f"{declared:.1f} seconds"
                )
    except av.FFmpegError as error:
        raise ValueError(f"{path} cannot be read as a video past frame {i}: {error.strerror}") from error
    if not i:
        raise ValueError(f"{path} holds no video")


def has_video(path: Path) -> bool:
    """Return whether a file is one that PyAV opens and that holds a video."""
    import av

    try:
        with av.open(str(path)) as container:
            stream = _stream(container)
            return stream is not None and stream.codec_context is not None and stream.codec_context.width > 0
    except (av.FFmpegError, OSError, ValueError):
        return False


def _stream(container: Any) -> Any:
    """Return the first video stream that is not an album's cover image; None without one."""
    videos = list(container.streams.video)
    covers = [int(getattr(stream, "disposition", 0)) & 0x400 for stream in videos]  # AV_DISPOSITION_ATTACHED_PIC
    return next((stream for stream, cover in zip(videos, covers, strict=True) if not cover), None)


def _duration(stream: Any) -> float:
    """Return the duration in Matroska's tag in seconds, which its packets do not state; 0 without a tag."""
    tags = (value for name, value in stream.metadata.items() if name.upper().startswith("DURATION"))
    match = _CLOCK.match(next(tags, ""))
    hours, minutes, seconds = (float(part) for part in match.groups()) if match else (0.0, 0.0, 0.0)
    return 3600 * hours + 60 * minutes + seconds


def _end(frame: Any, stream: Any) -> float:
    """Return the end time of the last frame in seconds; infinity if it is not known."""
    if frame is None or frame.time is None:
        return float("inf")
    return float(frame.time + (getattr(frame, "duration", 0) or 0) * stream.time_base)


def _rgb(frame: Any, depth: BitDepth, name: str) -> np.ndarray:
    if frame.format.components[0].bits < 16:
        return np.asarray(frame.to_ndarray(format="rgb24"))
    image = frame.to_ndarray(format="gray16le" if len(frame.format.components) == 1 else "rgb48le")
    image = np.asarray(image).astype(np.uint16)
    return depth.scaled(np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image, name)


def _matrix(frame: Any) -> tuple[int, int, int, int]:
    """Return a, b, c, d of the display position x' = ax + cy, y' = bx + dy of a pixel at (x, y), with y downwards."""
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
            return a, b, c, d
    return _PLAIN


def _shown(image: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    a, b, c, d = matrix
    if max(abs(b), abs(c)) > max(abs(a), abs(d)):
        image, x, y = image.transpose(1, 0, 2), c, b
    else:
        x, y = a, d
    image = image[:, ::-1] if x < 0 else image
    return np.ascontiguousarray(image[::-1] if y < 0 else image)
