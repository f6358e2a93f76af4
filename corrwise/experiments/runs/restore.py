"""``corrwise restore``: a damaged video restored chunk by chunk, stoppable at any time, with a report."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from corrwise._writing import RunFolderError, remove_asides
from corrwise.costs.flow import FLOWS
from corrwise.envs.arrays import from_uint8
from corrwise.experiments.cli.options import device_named
from corrwise.experiments.cli.restore import RestoreConfig
from corrwise.experiments.report.restoration import Reported, draw_restoration, restoration_table
from corrwise.experiments.report.table import write_table
from corrwise.experiments.runs.damaged_frames import DamagedFrames
from corrwise.experiments.runs.damages import StatedDamage, carrier_for, stated_damage
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.restored_chunks import restored_chunks
from corrwise.experiments.runs.rows import COUNT, NUMBER, TEXT_BY_NAME, Key, Row, needed
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.runs.video_source import MADE_AGAIN, Frame, VideoSource, read_chunk
from corrwise.predictors.data.formats.video_encoding import encode_video
from corrwise.predictors.metrics import psnr
from corrwise.predictors.models.pretrained import model_folder, weights_hash
from corrwise.predictors.restoration import (
    FrameMap,
    NoiseCarrier,
    RestorationModel,
    first_guess,
    first_map,
    restored_frames,
)
from corrwise.predictors.restoration.damage import Downscale
from corrwise.predictors.restoration.maps import flow_fields
from corrwise.predictors.restoration.video import warping_differences, warping_error
from corrwise.types import Flow

Files = list[tuple[Path, int]]  # of chunks, and how many frames each has

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
    frames, flow = DamagedFrames(video, config, damage, model), FLOWS[config.flow]()
    _check_output(config, frames, flow, model, carrier)  # what cannot be restored fails before anything is written
    model.warn_untrained(damage.factor)
    values = {"source": video.stamp, "weights": weights_hash(folder), "damage": damage.stamp}
    settings = settings_of(config, "restore").with_values(
        {**values, "network": asdict(model.config)}, free=("video", "model"), evidence=("network",)
    )
    with RunFolder(config.out, settings, KEY, begun=lambda out: any((out / "parts").rglob("*.mkv"))) as run:
        _check_frames(run, frames.count)
        remove_asides(config.out)
        earlier: Files = []
        files: Files = []
        for number in range(1, config.passes + 1):
            parts, label = _folder(config, number), config.out.name
            label += f", pass {number} of {config.passes}" if config.passes > 1 else ""
            earlier = files
            maps = _maps(frames, flow, earlier)
            files = list(restored_chunks(config, frames, maps, model, carrier, parts, label))
        rate, times = frames.rate, frames.times
        encode_video(config.out / "restored.mp4", _restored(files), rate=rate, times=times, sound=video.sound)
        encode_video(config.out / "side-by-side.mp4", frames.beside(_restored(files)), rate=rate, times=times)
        reported = _report(config, frames, _maps(frames, flow, earlier), files, run)
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
            raise RunFolderError(f"{run.file} holds {problem}; {MADE_AGAIN}")


def _damage(config: RestoreConfig) -> StatedDamage:
    damage = stated_damage(config.damage)
    if not (config.apply or damage.drawn is None or isinstance(damage.drawn, Downscale)):
        wanted = "the image of a mask or downscale:factor=N as damage without --apply"
        raise ValueError(f"expected {wanted}, got {damage.drawn}")
    return damage


def _check_output(
    config: RestoreConfig, frames: DamagedFrames, flow: Flow, model: RestorationModel, carrier: NoiseCarrier
) -> None:
    """Try the flow on two frames and the model on one, and refuse what cannot take them or gives NaN."""
    pairs = iter(frames)
    operator, given = next(pairs)
    guesses = [first_guess(operator, given), first_guess(*next(pairs))]
    deque(flow_fields(guesses, flow), maxlen=0)  # refuses frames that are too small for it
    steps = [first_map(*operator.filled(given[None]).shape[-2:], device=frames.device)]
    generator = torch.Generator("cpu").manual_seed(config.seed)
    made = restored_frames(model, [(operator, given)], steps, carrier, generator, times=model.config.times(1))
    if not next(made).isfinite().all():
        raise ValueError(f"the model in {config.model} gives values that are NaN")


def _folder(config: RestoreConfig, number: int) -> Path:
    """Return the folder of a pass, without what is left of a run that was killed while it wrote.

    Raises:
        RunFolderError: it is no folder.
    """
    parts = config.out / "parts"
    folder = parts if number == config.passes else parts / f"pass-{number}"
    for each in (parts, folder):
        if each.exists() and not each.is_dir():
            raise RunFolderError(f"{each} is no folder: move it away, and the command begins again")
        each.mkdir(exist_ok=True)
    remove_asides(folder)
    return folder


def _restored(files: Files) -> Iterator[Frame]:
    return (image for file, count in files for image in read_chunk(file, count))


def _maps(frames: DamagedFrames, flow: Flow, earlier: Files) -> Iterator[FrameMap]:
    """Return the maps by which a pass follows the scene: by the frames of the pass before, where there was one."""
    return frames.maps(flow, _restored(earlier) if earlier else None)


def _report(
    config: RestoreConfig, frames: DamagedFrames, maps: Iterator[FrameMap], files: Files, run: RunFolder
) -> Reported:
    """Append the rows that are missing, and return what the report draws: some frames, their flow, and the flicker."""
    known, count = {row["frame"] for row in run.rows}, sum(count for _, count in files)
    shown = {round(i * (count - 1) / 3) for i in range(4)}
    report = Reported({}, {}, {}, np.zeros((1, 1)), config.apply)
    sources, first, before = iter(frames.video), None, None
    flicker = weight = torch.zeros(1, 1, dtype=torch.float32, device="cpu")
    for number, ((operator, given), made, step) in enumerate(zip(frames, _restored(files), maps, strict=True)):
        height, width = made.shape[:2]
        frame = from_uint8(made)
        step = step.cropped(height, width)  # of padding nothing is seen
        points, origin, seen, traced = (each.cpu() for each in (step.previous, step.points, step.visible, step.traced))
        row: Row = {"frame": number, "visible": float(seen.float().mean()), "pixels": height * width}
        if first is None or before is None:
            first = frame
        else:
            difference = warping_differences(frame, before, points) * seen
            flicker, weight = flicker + difference, weight + seen
            row["warping_previous"] = float(difference.sum() / seen.sum()) if seen.any() else None
            row["warping_first"] = warping_error(frame, first, origin, traced)
        if config.apply:
            row["psnr"] = float(psnr(frame, from_uint8(next(sources))))
        if number not in known:
            run.append(row)
        if number in shown:
            report.damaged[number] = frames.cut(operator.filled(given[None])[0])
            report.restored[number] = made
            report.flows[number] = points.numpy()
        before = frame
    return replace(report, flicker=(flicker / weight.clamp(min=1)).sqrt().numpy())
