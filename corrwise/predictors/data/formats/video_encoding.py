"""Video files from frames that come one after the other: H.264 with sound for people, and FFV1 without loss."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from corrwise._writing import write_aside

__all__ = ["encode_lossless", "encode_video"]

_TICKS = Fraction(1, 90_000)  # seconds; of frames that have times of their own
_IN_MP4 = {"aac", "mp3", "mp3float", "ac3", "eac3", "opus", "alac", "flac"}  # audio that is copied as it is

Image = UInt8[np.ndarray, "h w 3"]


def encode_video(
    path: Path,
    frames: Iterable[Image],
    *,
    rate: Fraction | int = 10,
    times: Iterable[float] | None = None,
    sound: Path | None = None,
) -> None:
    """Write an mp4 that browsers play (H.264, yuv420p, index first); it appears as a whole.

    Odd sizes get their last line or column repeated, because yuv420p halves both.

    Args:
        path: of the file.
        frames: all of one size.
        rate: frames per second.
        times: when each frame is shown, in seconds; None shows them at equal distances.
        sound: a media file whose first audio stream goes along at its own times; one without sound gives none.

    Raises:
        ValueError: no frames, frames of several sizes, or a rate that is not above 0.
        OSError: the file cannot be written.
    """
    import av

    if rate <= 0:
        raise ValueError(f"expected frames per second above 0, got {rate}")
    fast_start = {"movflags": "+faststart"}
    with write_aside(path) as aside, av.open(str(aside), "w", format="mp4", options=fast_start) as container:
        stream: Any = container.add_stream("libx264", rate=rate, options={"crf": "18", "preset": "veryfast"})
        stream.pix_fmt = "yuv420p"
        if times is not None:
            stream.codec_context.time_base = _TICKS  # that of the rate would move frames to even distances
        _encode(container, stream, map(_even, frames), times, sound, str(path))


def encode_lossless(path: Path, frames: Iterable[Image]) -> None:
    """Write frames without any loss, as FFV1 in Matroska; the file appears as a whole.

    Raises:
        ValueError: no frames, or frames of several sizes.
        OSError: the file cannot be written.
    """
    import av

    with write_aside(path) as aside, av.open(str(aside), "w", format="matroska") as container:
        stream: Any = container.add_stream("ffv1", rate=10)
        stream.pix_fmt = "bgr0"
        _encode(container, stream, frames, None, None, str(path))


def _encode(
    container: Any, stream: Any, frames: Iterable[Image], times: Iterable[float] | None, sound: Path | None, name: str
) -> None:
    import av

    shape, clock = None, None if times is None else iter(times)
    packets = iter(()) if sound is None else _audio(container, sound)
    waiting = next(packets, None)
    for image in frames:
        if shape is None:
            shape = image.shape
            stream.height, stream.width = shape[:2]
        if image.shape != shape:
            raise ValueError(f"expected frames of one size for {name}, got {shape} and {image.shape}")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        if clock is not None:
            seconds = next(clock)
            frame.pts, frame.time_base = round(seconds / _TICKS), _TICKS
            while waiting is not None and waiting[0] <= seconds:  # side by side in the file: players read little ahead
                container.mux(waiting[1])
                waiting = next(packets, None)
        container.mux(stream.encode(frame))
    if shape is None:
        raise ValueError(f"expected at least one frame for {name}, got none")
    container.mux(stream.encode())
    while waiting is not None:
        container.mux(waiting[1])
        waiting = next(packets, None)


def _even(image: Image) -> UInt8[np.ndarray, "H W 3"]:
    return np.pad(image, ((0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)), mode="edge")


def _audio(container: Any, path: Path) -> Iterator[tuple[float, Any]]:
    """Yield the packets of a file's first audio stream and their times; audio that mp4 does not hold becomes AAC."""
    import av

    with av.open(str(path)) as source:
        if not source.streams.audio:
            return
        sound: Any = source.streams.audio[0]
        if sound.codec_context.name in _IN_MP4:
            stream = container.add_stream_from_template(sound)
            for packet in source.demux(sound):
                if packet.dts is not None:
                    packet.stream = stream
                    yield float((packet.pts or packet.dts) * sound.time_base), packet
            return
        rates = av.Codec("aac", "w").audio_rates or [sound.codec_context.sample_rate]
        nearest = min(rates, key=lambda rate: abs(rate - sound.codec_context.sample_rate))
        stream = container.add_stream("aac", rate=nearest)
        for frame in source.decode(sound):
            for packet in stream.encode(frame):
                yield float(frame.time or 0.0), packet
        for packet in stream.encode():
            yield float("inf"), packet
