"""``corrwise restore``: a damaged video restored chunk by chunk, stoppable at any time, with a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from io import BytesIO
from itertools import tee
from math import lcm
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from corrwise._files import load_checkpoint, reading
from corrwise._writing import RunFolderError, write_bytes_atomic
from corrwise.costs.flow import FLOWS
from corrwise.envs.arrays import to_uint8
from corrwise.experiments.cli.options import device_named
from corrwise.experiments.cli.restore import RestoreConfig
from corrwise.experiments.report.restoration import Reported, draw_restoration, restoration_table
from corrwise.experiments.report.table import write_table
from corrwise.experiments.runs.damages import StatedDamage, carrier_for, psnr, stated_damage
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.rows import COUNT, NUMBER, TEXT_BY_NAME, Key, Row, needed
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.runs.video_source import Frame, VideoSource, read_chunk
from corrwise.predictors.data.formats.video_encoding import encode_lossless, encode_video
from corrwise.predictors.models.pretrained import model_folder, weights_hash
from corrwise.predictors.restoration import (
    FrameMap,
    Guidance,
    NoiseCarrier,
    Operator,
    RestorationModel,
    first_guess,
    first_map,
    restored_frames,
    video_maps,
)
from corrwise.predictors.restoration.damage import Downscale
from corrwise.predictors.restoration.guidance import Sampled
from corrwise.predictors.restoration.video import sampled_frames, warping_differences, warping_error
from corrwise.types import Flow

CHUNK = 16  # frames that are restored, and kept, together
KEY = Key(
    {"frame": int},
    {
        **dict.fromkeys(("warping_previous", "warping_first", "psnr"), NUMBER),
        **{"visible": needed(NUMBER), "pixels": COUNT, "versions": TEXT_BY_NAME},
    },
)


def run_restore(config: RestoreConfig) -> Path:
    """Restore a video, and return the path of the new one.

    Chunks are kept without loss in the folder ``parts`` of the output; the same command goes on there.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, ValueError: a model, a video or a damage that cannot be used.
    """
    folder, device = model_folder(config.model), device_named(config.device)
    model = RestorationModel.from_pretrained(folder).to(device).requires_grad_(False)
    carrier = carrier_for(config.carrier, model)
    video, damage = VideoSource(config.video, config.clip, config.fps), _damage(config)
    if any(file.resolve().parent in (config.out.resolve(), (config.out / "parts").resolve()) for file in video.files):
        raise ValueError(f"expected an output folder without the source's files, got {config.out}")
    frames, flow = _Frames(video, config, damage, model), FLOWS[config.flow]()
    _check_output(config, frames, model, carrier)  # what cannot be restored fails before anything is written
    model.warn_untrained(damage.factor)
    values = {"source": video.stamp, "weights": weights_hash(folder), "damage": damage.stamp}
    settings = settings_of(config, "restore").with_values(
        {**values, "network": asdict(model.config)}, free=("video", "model"), evidence=("network",)
    )
    parts = config.out / "parts"
    with RunFolder(config.out, settings, KEY, begun=lambda out: any((out / "parts").glob("*.mkv"))) as run:
        _check_frames(run, frames.count)
        if parts.exists() and not parts.is_dir():
            raise RunFolderError(f"{parts} is no folder: move it away, and the command begins again")
        parts.mkdir(exist_ok=True)
        for left in parts.glob(".*"):  # of a run that was killed while it wrote
            left.unlink()
        files = list(_chunks(config, frames, flow, model, carrier, parts))
        rate, times = frames.rate, frames.times
        encode_video(config.out / "restored.mp4", _restored(files), rate=rate, times=times, sound=video.sound)
        encode_video(config.out / "side-by-side.mp4", frames.beside(_restored(files)), rate=rate, times=times)
        reported = _report(config, frames, flow, files, run)
        draw_restoration(config.out / "report.png", reported, run.rows)
        write_table(config.out, lambda: (restoration_table(run.rows), []))
    return config.out / "restored.mp4"


def _check_frames(run: RunFolder, count: int) -> None:
    """Refuse edited rows: of frames that the video does not have, or several of one frame."""
    for frame, rows in Counter(row["frame"] for row in run.rows).items():
        problem = "" if rows == 1 else f"{rows} rows of frame {frame}"
        if not 0 <= frame < count:
            problem = f"a row of frame {frame}, and the video has the frames 0 to {count - 1}"
        if problem:
            raise RunFolderError(f"{run.file} holds {problem}; delete this file, and the same command makes it again")


def _damage(config: RestoreConfig) -> StatedDamage:
    damage = stated_damage(config.damage)
    if not (config.apply or damage.drawn is None or isinstance(damage.drawn, Downscale)):
        wanted = "the image of a mask or downscale:factor=N as damage without --apply"
        raise ValueError(f"expected {wanted}, got {damage.drawn}")
    return damage


def _check_output(config: RestoreConfig, frames: _Frames, model: RestorationModel, carrier: NoiseCarrier) -> None:
    """Restore the first frame by a single evaluation, and refuse a model that takes no such images or gives NaN."""
    operator, given = next(iter(frames))
    steps = [first_map(*operator.filled(given[None]).shape[-2:], device=frames.device)]
    generator = torch.Generator("cpu").manual_seed(config.seed)
    made = restored_frames(model, [(operator, given)], steps, carrier, generator, times=model.config.times(1))
    if not next(made).isfinite().all():
        raise ValueError(f"the model in {config.model} gives values that are NaN")


class _Frames:
    """The frames of a source, padded to sides that the network takes, with what happened to each.

    The source is read to its end.

    Attributes:
        size: of the restored frames, height and width.
        padded: their size with padding.
        count: of frames.
        rate: of frames per second.
        times: when each is shown, in seconds; None where the source does not state it.

    Raises:
        ValueError: a video that cannot be read, of one frame, of frames of several sizes, or a mask of another size.
    """

    def __init__(
        self, video: VideoSource, config: RestoreConfig, damage: StatedDamage, model: RestorationModel
    ) -> None:
        self.video, self.damage, self.device = video, damage, next(model.parameters()).device
        self._apply, self._seed = config.apply, config.seed
        self._side = lcm(model.network.side, damage.factor)
        self._scale = 1 if config.apply else damage.factor
        shapes = [image.shape[:2] for image in video]
        for number, shape in enumerate(shapes):
            if shape != shapes[0]:
                raise ValueError(f"expected frames of one size, got {shapes[0]} and, in frame {number}, {shape}")
        if len(shapes) < 2:
            raise ValueError(f"expected a video of at least 2 frames in {config.video}, got {len(shapes)}")
        self.size, self.count = (shapes[0][0] * self._scale, shapes[0][1] * self._scale), len(shapes)
        self.padded = tuple(length + -length % self._side for length in self.size)
        self.rate, self.times = video.rate, video.times or None
        damage.check_size("video", self.size)

    def __iter__(self) -> Iterator[tuple[Operator, Float[Tensor, "C oh ow"]]]:
        """Yield the operator of each frame, and what is observed of it."""
        for number, image in enumerate(self.video):
            side = self._side // self._scale
            pad = [(0, -length % side) for length in image.shape[:2]]
            whole = np.pad(image, (*pad, (0, 0)), mode="edge")
            tensor = _in_units(whole).to(self.device)
            padded = tensor.shape[1] * self._scale, tensor.shape[2] * self._scale
            operator = self.damage.operator(number, self.size, padded, self._seed, self.device)
            yield operator, operator.apply(tensor[None])[0] if self._apply else tensor

    def maps(self, flow: Flow) -> Iterator[FrameMap]:
        """Return the map of each frame, by the flow between first guesses."""
        return video_maps((first_guess(*pair) for pair in self), flow)

    def cut(self, image: Float[Tensor, "C H W"]) -> Frame:
        """Return a frame without its padding."""
        return np.ascontiguousarray(to_uint8(image[None].cpu())[0][: self.size[0], : self.size[1]])

    def beside(self, restored: Iterator[Frame]) -> Iterator[Frame]:
        """Yield each damaged frame beside the restored one, and beside the whole one where it is known."""
        sources = iter(self.video)
        for (operator, observed), made in zip(self, restored, strict=True):
            panels = [self.cut(operator.filled(observed[None])[0]), made]
            if self._apply:
                panels.append(next(sources))
            yield np.concatenate(panels, axis=1)


def _chunks(
    config: RestoreConfig, frames: _Frames, flow: Flow, model: RestorationModel, carrier: NoiseCarrier, parts: Path
) -> Iterator[tuple[Path, int]]:
    """Yield the files of all chunks in order and how many frames each has, after making those that are not there.

    What the next chunk begins with is kept of the last chunk alone.
    """
    times = model.config.times(config.evaluations)
    done = 0
    while (parts / f"{done:08d}.mkv").is_file():
        done += CHUNK
    while done and not (parts / f"{done - CHUNK:08d}.pt").is_file():
        done -= CHUNK
    before = None
    if done:
        file = parts / f"{done - CHUNK:08d}.pt"
        problem = "holds no state of a video; delete the folder parts, and the command begins again"
        state = load_checkpoint(file, device=frames.device, problem=problem)
        with reading(file, problem):
            before = Sampled(state["image"], list(state["predictions"]))
            counts = [int(each) for each in state["counts"]]
            if CHUNK * len(counts) != done:
                raise ValueError(f"expected {done // CHUNK} chunks, got {len(counts)}")
            _check_state(state, (len(times) if config.guidance else 0, 3, *frames.padded))
        yield from ((parts / f"{CHUNK * i:08d}.mkv", count) for i, count in enumerate(counts))
        if state["ended"]:
            return
    else:
        counts = []
    observed, again = tee(frames)
    samples = sampled_frames(
        model,
        observed,
        video_maps((first_guess(*pair) for pair in again), flow),
        carrier,
        torch.Generator("cpu").manual_seed(config.seed),
        guidance=Guidance(strength=config.guidance),
        times=times,
        exact=config.exact,
        start=done,
        before=before,
    )
    made: list[Frame] = []
    sample: Sampled | None = None
    with tqdm(unit="frame", desc=config.out.name, initial=done, total=frames.count) as bar:
        while True:
            taken = next(samples, None)
            if taken is not None:
                sample = taken
                if not sample.image.isfinite().all():
                    raise ValueError(f"the model in {config.model} gives frame {done + len(made)} values that are NaN")
                made.append(frames.cut(sample.image))
                bar.update()
            if made and (taken is None or len(made) == CHUNK):
                assert sample is not None
                file = parts / f"{done:08d}.mkv"
                encode_lossless(file, made)
                counts.append(len(made))
                kept = sample if config.guidance else replace(sample, predictions=())
                _keep(file.with_suffix(".pt"), kept, counts, ended=len(made) < CHUNK)
                (parts / f"{done - CHUNK:08d}.pt").unlink(missing_ok=True)
                yield file, len(made)
                done, made = done + len(made), []
            if taken is None:
                return


def _keep(file: Path, sample: Sampled, counts: list[int], *, ended: bool) -> None:
    """Write what the next chunk begins with."""
    kept = sample.predictions
    predictions = torch.stack(list(kept)) if kept else sample.image.new_empty((0, *sample.image.shape))
    state = {"image": sample.image, "predictions": predictions}
    data = BytesIO()  # torch states no reason where a disk is full
    torch.save({**state, "counts": torch.tensor(counts, dtype=torch.int64, device="cpu"), "ended": ended}, data)
    write_bytes_atomic(file, data.getvalue())


def _check_state(state: Mapping[str, Any], shape: tuple[int, ...]) -> None:
    for name, wanted in (("predictions", shape), ("image", shape[1:])):
        if tuple(state[name].shape) != wanted:
            raise ValueError(f"expected {name} of shape {wanted}, got {tuple(state[name].shape)}")
        if not state[name].isfinite().all():
            raise ValueError(f"expected {name} that are finite")


def _in_units(image: Frame) -> Float[Tensor, "3 h w"]:
    """Return a frame in [0, 1]."""
    return torch.from_numpy(image).permute(2, 0, 1).float() / 255


def _restored(files: list[tuple[Path, int]]) -> Iterator[Frame]:
    return (image for file, count in files for image in read_chunk(file, count))


def _report(
    config: RestoreConfig, frames: _Frames, flow: Flow, files: list[tuple[Path, int]], run: RunFolder
) -> Reported:
    """Append the rows that are missing, and return what the report draws: some frames, their flow, and the flicker."""
    known, count = {row["frame"] for row in run.rows}, sum(count for _, count in files)
    shown = {round(i * (count - 1) / 3) for i in range(4)}
    report = Reported({}, {}, {}, np.zeros((1, 1)), config.apply)
    sources, first, before = iter(frames.video), None, None
    flicker = weight = torch.zeros(1, 1, dtype=torch.float32, device="cpu")
    for number, ((operator, given), made, step) in enumerate(
        zip(frames, _restored(files), frames.maps(flow), strict=True)
    ):
        height, width = made.shape[:2]
        frame = _in_units(made)
        points, origin, seen, traced = (
            each[:height, :width].cpu() for each in (step.previous, step.points, step.visible, step.traced)
        )
        row: Row = {"frame": number, "visible": float(seen.float().mean()), "pixels": height * width}
        if first is None or before is None:
            first = frame
        else:
            difference = warping_differences(frame, before, points) * seen
            flicker, weight = flicker + difference, weight + seen
            row["warping_previous"] = float(difference.sum() / seen.sum()) if seen.any() else None
            row["warping_first"] = warping_error(frame, first, origin, traced)
        if config.apply:
            row["psnr"] = psnr(frame[None], _in_units(next(sources))[None])
        if number not in known:
            run.append(row)
        if number in shown:
            report.damaged[number] = frames.cut(operator.filled(given[None])[0])
            report.restored[number] = made
            report.flows[number] = points.numpy()
        before = frame
    return replace(report, flicker=(flicker / weight.clamp(min=1)).sqrt().numpy())
