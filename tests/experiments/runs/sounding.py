"""Videos with sound, and what two files have in common: audio packets to the bit, and when frames are shown."""

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np

from corrwise.predictors.data.formats.image_decoding import BitDepth
from corrwise.predictors.data.formats.video_decoding import decode_video


def with_sound(
    path: Path, frames: Sequence[np.ndarray], codec: str = "aac", rate: int = 16000, fps: int = 10, pixels="yuv420p"
) -> Path:
    """Write a video of these frames with a tone as long; yuv444p has odd sizes too."""
    with av.open(str(path), "w") as container:
        video, audio = container.add_stream("libx264", rate=fps), container.add_stream(codec, rate=rate, layout="mono")
        (video.height, video.width), video.pix_fmt = frames[0].shape[:2], pixels
        for frame in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(video.encode())
        tone = (8000 * np.sin(np.arange(len(frames) * rate // fps) / 10)).astype(np.int16)
        for start in range(0, len(tone), 1024):
            frame = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate, start
            container.mux(audio.encode(frame))
        container.mux(audio.encode())
    return path


def sound_of(path: Path) -> tuple[list[bytes], list[float]]:
    """Return the packets of the first audio stream, and their times in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        return [bytes(packet) for packet in packets], [float(packet.pts * stream.time_base) for packet in packets]


def frame_times(path: Path) -> list[float]:
    """Return when each frame is shown, in seconds."""
    times: list[float | None] = []
    list(decode_video(path, BitDepth(), times=times))
    return times
