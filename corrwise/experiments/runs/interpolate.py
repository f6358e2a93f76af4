"""``corrwise interpolate``: a video with more frames, made chunk by chunk, stoppable at any time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from corrwise.envs.arrays import to_uint8
from corrwise.experiments.cli.interpolate import InterpolateConfig
from corrwise.experiments.cli.mpc import INTERPOLATOR_NAMES
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.interpolators import interpolator_of
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.runs.video_source import Frame, VideoSource, read_chunk, write_images
from corrwise.predictors.data.formats.video_encoding import encode_lossless, encode_video
from corrwise.predictors.interpolation.video import upsample
from corrwise.predictors.models.pretrained import model_folder, weights_hash
from corrwise.types import FixedTimes, Interpolator

CHUNK = 16  # gaps that are made, and kept, together
_BINS = 8  # of each colour, in the histograms that tell scenes apart


def run_interpolate(config: InterpolateConfig) -> Path:
    """Write the video with more frames, and return its path.

    Chunks are kept without loss in a folder beside the output until it is whole; the same command goes on there.

    Raises:
        ConfigMismatch, RunFolderError: the folder beside the output is another run's, or cannot be used.
        FileNotFoundError, ValueError: a model or a video that cannot be used, or a folder for images that holds files.
    """
    model = interpolator_of(config.model, config.options, device=config.device)
    two = torch.zeros(1, 2, 3, 16, 16, dtype=torch.float32, device=config.device)
    upsample(two, config.times, model)  # a factor out of reach fails before anything is read
    video = VideoSource(config.video, config.clip, config.fps)
    parts = config.out.with_name(config.out.name + ".parts")
    settings = settings_of(config, "interpolate").with_values(
        {"source": video.stamp, "weights": _weights(config.model)}, free=("video", "out")
    )
    _check_out(config.out, video, begun=(parts / "config.json").is_file())
    with RunFolder(parts, settings, begun=lambda out: any(out.glob("*.mkv"))):
        chunks = list(_chunks(config, video, model, parts))
        frames = (image for file, count in chunks for image in read_chunk(file, count))
        if config.out.suffix == ".mp4":
            rate, times = video.rate * config.times, _times(video.times, config.times)
            encode_video(config.out, frames, rate=rate, times=times, sound=video.sound)
        else:
            write_images(config.out, frames)
    shutil.rmtree(parts)
    return config.out


def _check_out(out: Path, video: VideoSource, *, begun: bool) -> None:
    """Refuse an output that is not of its kind, is the source, or holds files of others, before anything is made."""
    if out.suffix == ".mp4":
        if out.is_dir():
            raise ValueError(f"expected a file as {out}, which is a folder")
        if out.exists() and any(out.samefile(file) for file in video.files):
            raise ValueError(f"expected an output beside the source, got {out} for both")
    elif out.is_dir():
        if any(out.iterdir()) and not begun:
            raise ValueError(f"expected an empty or a new folder for the images, got {out}, which holds files")
    elif out.exists():
        raise ValueError(f"expected a folder for the images as {out}, which is a file; a video ends in .mp4")


def _chunks(
    config: InterpolateConfig, video: VideoSource, model: Interpolator, parts: Path
) -> Iterator[tuple[Path, int]]:
    """Yield the files of all chunks in order and how many frames each has, after making those that are not there."""
    beside = len(model.known) // 2 - 1 if isinstance(model, FixedTimes) else 0
    reach = 2 * beside  # frames beyond a chunk on which repeated rounds of a model may depend
    frames: list[Frame] = []
    first, source, ended = 0, iter(video), False  # of ``frames``; of the video
    done = 0  # frames whose gap to the next one is in a chunk
    with tqdm(unit="frame", desc=config.out.name) as bar:
        while not ended:
            needed = done + CHUNK + 2 + reach  # one more than is used, so that the last chunk is known to be the last
            while first + len(frames) < needed and not ended:
                image = next(source, None)
                ended = image is None
                if image is not None:
                    if frames and image.shape != frames[0].shape:
                        raise ValueError(
                            f"expected frames of one size, got {frames[0].shape[:2]} and, in frame "
                            f"{first + len(frames)}, {image.shape[:2]}"
                        )
                    frames.append(image)
            count = first + len(frames)
            if count < 2:
                raise ValueError(f"expected a video of at least 2 frames in {config.video}, got {count}")
            last = count - 1 if ended else done + CHUNK
            while done < last:
                stop = min(done + CHUNK, last)
                file, end = parts / f"{done:08d}.mkv", int(ended and stop == count - 1)
                if not file.exists():
                    low, high = max(first, done - reach), min(count, stop + 1 + reach)
                    made = _made(frames[low - first : high - first], config, model)
                    encode_lossless(file, made[(done - low) * config.times : (stop - low) * config.times + end])
                yield file, (stop - done) * config.times + end
                bar.update(stop - done)
                done = stop
            kept = max(first, done - reach)
            frames, first = frames[kept - first :], kept


def _made(frames: Sequence[Frame], config: InterpolateConfig, model: Interpolator) -> list[Frame]:
    """Return the frames and those in between; across a cut the nearest frame is repeated."""
    made: list[Frame] = []
    scenes = _scenes(frames, config.cut)
    for i, scene in enumerate(scenes):
        made += _interpolated(scene, config, model)
        if i + 1 < len(scenes):
            here, there = (config.times - 1) // 2, config.times // 2
            made += [scene[-1]] * here + [scenes[i + 1][0]] * there
    return made


def _interpolated(scene: Sequence[Frame], config: InterpolateConfig, model: Interpolator) -> list[Frame]:
    if len(scene) == 1:
        return list(scene)
    images = torch.from_numpy(np.stack(scene)).permute(0, 3, 1, 2).float().div(255).to(config.device)
    with torch.no_grad():
        video = upsample(images[None], config.times, model)[0].cpu()
    made = list(to_uint8(video))
    made[:: config.times] = scene  # as they were, to the bit
    return made


def _scenes(frames: Sequence[Frame], cut: float) -> list[list[Frame]]:
    """Return the frames apart wherever the histogram of colours changes by more than a share of all pixels."""
    scenes = [[frames[0]]]
    for frame, (before, after) in zip(frames[1:], pairwise(map(_histogram, frames)), strict=True):
        if np.abs(before - after).sum() / 2 > cut:
            scenes.append([])
        scenes[-1].append(frame)
    return scenes


def _histogram(frame: Frame) -> np.ndarray:
    bins = (frame.astype(np.int64) * _BINS // 256) @ (_BINS**2, _BINS, 1)
    return np.bincount(bins.ravel(), minlength=_BINS**3) / bins.size


def _times(times: Sequence[float], factor: int) -> list[float] | None:
    """Return when each frame of the new video is shown, where the old one states it."""
    if not times:
        return None
    places = np.arange((len(times) - 1) * factor + 1) / factor
    return [float(time) for time in np.interp(places, np.arange(len(times)), times)]


def _weights(model: str) -> str | None:
    return None if model.partition(":")[0] in INTERPOLATOR_NAMES else weights_hash(model_folder(model))
