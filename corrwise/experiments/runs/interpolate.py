"""``corrwise interpolate``: a video with more frames, made chunk by chunk, stoppable at any time."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from tqdm import tqdm

from corrwise._files import local_path
from corrwise._writing import write_aside
from corrwise.envs.arrays import to_uint8
from corrwise.experiments.cli.interpolate import InterpolateConfig
from corrwise.experiments.cli.mpc import INTERPOLATOR_NAMES
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.interpolators import interpolator_of
from corrwise.experiments.runs.settings import settings_of
from corrwise.predictors.data import ClipFolder
from corrwise.predictors.data.formats.image_decoding import BitDepth, read_image
from corrwise.predictors.data.formats.media_files import files_stamp, scan_media
from corrwise.predictors.data.formats.video_decoding import decode_video
from corrwise.predictors.data.formats.video_encoding import encode_lossless, encode_video
from corrwise.predictors.interpolation.video import upsample
from corrwise.predictors.models.pretrained import model_folder, weights_hash
from corrwise.types import FixedTimes, Interpolator

CHUNK = 16  # gaps that are made, and kept, together
_BINS = 8  # of each colour, in the histograms that tell scenes apart
_IMAGES = "frame-{:06d}.png"

Frame = UInt8[np.ndarray, "h w 3"]


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
    video = _Source(config)
    parts = config.out.with_name(config.out.name + ".parts")
    settings = settings_of(config, "interpolate").with_values(
        {"source": video.stamp, "weights": _weights(config.model)}, free=("video", "out")
    )
    _check_out(config.out, video, begun=(parts / "config.json").is_file())
    with RunFolder(parts, settings, begun=lambda out: any(out.glob("*.mkv"))):
        chunks = list(_chunks(config, video, model, parts))
        frames = (image for file, count in chunks for image in _read_chunk(file, count))
        if config.out.suffix == ".mp4":
            rate, times = video.rate * config.times, _times(video.times, config.times)
            encode_video(config.out, frames, rate=rate, times=times, sound=video.sound)
        else:
            _write_images(config.out, frames)
    shutil.rmtree(parts)
    return config.out


def _check_out(out: Path, video: _Source, *, begun: bool) -> None:
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


class _Source:
    """The frames of a video file, of a folder of images, or of one clip of a folder of clips.

    Attributes:
        files: of which it is read.
        stamp: what changes when its files do.
        sound: the file whose sound goes along; None without one.
    """

    def __init__(self, config: InterpolateConfig) -> None:
        path = local_path(config.video)
        self._stated, self._times, self.sound = Fraction(config.fps).limit_denominator(1001), list[float | None](), None
        if (path / "index.json").is_file():
            self._clips, self._clip, self._media = ClipFolder(path), config.clip, None
            if config.clip >= len(self._clips.lengths):
                raise ValueError(f"{path} has {len(self._clips.lengths)} clips, got clip {config.clip}")
            self.files = [path / "index.json"]
            self.stamp = files_stamp(self.files)
            return
        clips = scan_media(path).clips
        if config.clip >= len(clips):
            raise ValueError(f"{path} has {len(clips)} clips, got clip {config.clip}")
        self._media = clips[config.clip]
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


def _chunks(config: InterpolateConfig, video: _Source, model: Interpolator, parts: Path) -> Iterator[tuple[Path, int]]:
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


def _read_chunk(file: Path, count: int) -> Iterator[Frame]:
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
        raise ValueError(f"{error}; delete this file, and the same command makes it again") from error
    if read != count:
        raise ValueError(
            f"expected {count} frames in {file}, got {read}; delete this file, and the same command makes it again"
        )


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


def _write_images(folder: Path, frames: Iterable[Frame]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(frames):
        with write_aside(folder / _IMAGES.format(i)) as aside:
            Image.fromarray(image).save(aside, format="png")


def _weights(model: str) -> str | None:
    return None if model.partition(":")[0] in INTERPOLATOR_NAMES else weights_hash(model_folder(model))
