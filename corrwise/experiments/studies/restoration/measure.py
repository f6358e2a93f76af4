"""The rows of ``corrwise table restoration``: consistency, quality and time of a video that a model has restored."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.envs.arrays import to_uint8
from corrwise.experiments.cli.table_restoration import (
    COPIED,
    DIRECT,
    GROUND_TRUTH,
    GUIDANCE,
    RestorationTableConfig,
    parts_of,
)
from corrwise.experiments.report.strip import make_strip, save_strip
from corrwise.experiments.runs.damages import carrier_for
from corrwise.experiments.runs.executors import one_thread
from corrwise.experiments.runs.rows import COUNT, NUMBER, TEXT, TEXT_BY_NAME, Key, Row, RowKey, needed
from corrwise.experiments.studies.restoration.videos import DamagedVideo, HeldVideos
from corrwise.predictors.metrics import psnr, ssim, st_lpips
from corrwise.predictors.models.pretrained import model_folder
from corrwise.predictors.restoration import (
    CARRIERS,
    FrameMap,
    Guidance,
    Operator,
    RestorationModel,
    first_guess,
    restored_frames,
    warping_errors,
)
from corrwise.predictors.restoration.maps import pixel_grid, sampled_at
from corrwise.predictors.restoration.video import warping_error

__all__ = ["GUESS", "KEY", "METRICS", "NO_FLOW", "TRUE", "RestoredBy", "follows", "restored_rows", "strip_file"]

TRUE, GUESS = "true", "first guess"  # in the place of a carrier: the frames themselves, and what the network corrects
NO_FLOW = "none"
METRICS = ("warping_previous", "warping_moving", "warping_first", "psnr", "ssim", "st_lpips")
_MOVES = 0.5  # pixels from one frame to the next

KEY = Key(
    {"carrier": str, "flow": str, "model": str, "video": int},
    {
        **dict.fromkeys(("warping_previous", "warping_moving", "warping_first", "st_lpips"), needed(NUMBER, null=True)),
        **dict.fromkeys(("psnr", "ssim", "visible", "traced"), needed(NUMBER)),
        **dict.fromkeys(("carried", "seconds_frame", "seconds_maps"), NUMBER),
        **{"clip": COUNT, "start": COUNT, "frames": COUNT, "evaluations": COUNT},
        **{"noise": TEXT, "weights": TEXT, "versions": TEXT_BY_NAME},
    },
)


@dataclass(frozen=True)
class RestoredBy:
    """A carrier with a flow and a model, by which all videos are restored.

    Attributes:
        carrier: its name, with ``+guidance``, ``+direct``, ``+copied`` or none of these; ``true`` and ``first guess``
            need no model.
        flow: its name; ``none`` for frames that do not depend on it.
        model: the folder of the model; None without one.
        name: of the model in rows.
        config: the videos and the damage.
    """

    carrier: str
    flow: str
    model: Path | None
    name: str
    config: RestorationTableConfig


def follows(carrier: str) -> bool:
    """Return whether restored frames depend on the flow."""
    name, more = parts_of(carrier)
    return bool(more or CARRIERS[name].follows)


def strip_file(out: Path, carrier: str, flow: str, model: str, number: int) -> Path:
    """Return the file of a video's frames, side by side."""
    words = [carrier.replace(" ", "-"), *([] if flow == NO_FLOW else [flow]), *([model] if model else []), str(number)]
    return out / "strips" / f"{'-'.join(words)}.png"


def restored_rows(
    subject: RestoredBy, *, threads: int, progress: Callable[[], Any]
) -> Callable[[Sequence[RowKey]], Iterator[Row]]:
    """Return what makes the rows of a carrier, a video at a time and with one thread: frames are timed."""
    one_thread()
    config, held = subject.config, HeldVideos(subject.config)
    model = None if subject.model is None else RestorationModel.from_pretrained(model_folder(subject.model))
    model = None if model is None else model.requires_grad_(False)

    def rows(keys: Sequence[RowKey]) -> Iterator[Row]:
        for carrier, flow, name, number in keys:
            video = held.video(number)
            measured = held.measured_maps(video)
            made, about = (
                _without_model(subject, video) if model is None else _made(subject, model, held, video, measured)
            )
            if number < config.shown:  # before the row: what has a row is complete
                file = strip_file(config.out, carrier, flow, name, number)
                file.parent.mkdir(parents=True, exist_ok=True)
                save_strip(file, make_strip([list(to_uint8(made))]))
            place = {"clip": video.clip, "start": video.start}
            key = {"carrier": carrier, "flow": flow, "model": name, "video": number}
            yield {**key, **place, **about, **_numbers(made, video, measured)}
            progress()

    return rows


def _without_model(subject: RestoredBy, video: DamagedVideo) -> tuple[Float[Tensor, "n 3 h w"], Row]:
    if subject.carrier == TRUE:
        return video.frames, {}
    return torch.stack([first_guess(operator, given) for operator, given in video.observed]), {}


def _made(
    subject: RestoredBy, model: RestorationModel, held: HeldVideos, video: DamagedVideo, measured: Sequence[FrameMap]
) -> tuple[Float[Tensor, "n 3 h w"], Row]:
    """Return the restored frames of a video, and the processor's seconds that a frame and its map took.

    Raises:
        ValueError: a model that gives values that are not finite.
    """
    known = subject.flow == NO_FLOW  # any maps will do
    passes = 1 if subject.flow in (NO_FLOW, GROUND_TRUTH) else subject.config.passes
    made, maps = None, measured
    seconds = seconds_maps = 0.0
    for _ in range(passes):
        began = time.process_time()
        maps = measured if known else held.maps(video, subject.flow, made)
        followed = time.process_time()
        made = torch.stack(list(_frames(subject, model, video, maps)))
        if not made.isfinite().all():
            raise ValueError(f"the model in {subject.model} gives video {video.number} values that are NaN")
        seconds += (time.process_time() - followed) / len(made)
        seconds_maps += (followed - began) / len(made)
    assert made is not None
    evaluations = len(model.config.times(subject.config.evaluations))
    about: Row = {"seconds_frame": seconds, "evaluations": evaluations, "noise": model.config.noise}
    if not known:
        about["seconds_maps"] = seconds_maps
        about["carried"] = float(torch.stack([each.origin == 0 for each in maps[1:]]).float().mean())
    return made, about


def _frames(
    subject: RestoredBy, model: RestorationModel, video: DamagedVideo, maps: Sequence[FrameMap]
) -> Iterator[Float[Tensor, "3 h w"]]:
    config = subject.config
    name, more = parts_of(subject.carrier)
    frames = restored_frames(
        model,
        video.observed,
        maps,
        carrier_for(name, model),
        Generator("cpu").manual_seed((config.seed << 31) + video.number),
        guidance=_guidance(more, config),
        times=model.config.times(config.evaluations),
        exact=config.exact,
    )
    return _copied(frames, maps, video.observed if config.exact else None) if more == COPIED else frames


def _guidance(more: str, config: RestorationTableConfig) -> Guidance | None:
    if more not in (GUIDANCE, DIRECT):
        return None
    pulls: Literal["sample", "prediction"] = "sample" if more == GUIDANCE else "prediction"
    return Guidance(strength=config.strength, normalised=config.normalised, pulls=pulls)


def _copied(
    frames: Iterable[Float[Tensor, "3 h w"]],
    maps: Iterable[FrameMap],
    observed: Sequence[tuple[Operator, Tensor]] | None,
) -> Iterator[Float[Tensor, "3 h w"]]:
    """Return frames that take from the frame before, as it was made, all pixels that are still visible."""
    before: Tensor | None = None
    for number, (frame, step) in enumerate(zip(frames, maps, strict=True)):
        if before is not None:
            frame = torch.where(step.visible, sampled_at(before, step.previous), frame)
        if observed is not None:
            operator, given = observed[number]
            frame = operator.project(frame[None], given[None])[0].clamp(0, 1)
        before = frame
        yield frame


def _numbers(made: Float[Tensor, "n 3 h w"], video: DamagedVideo, maps: Sequence[FrameMap]) -> Row:
    """Return consistency and quality of a video's frames, means over frames; null where nothing is measured."""
    errors = list(warping_errors(made, maps))[1:]
    perceptual = st_lpips(made, video.frames)
    return {
        "warping_previous": _mean([previous for previous, _ in errors]),
        "warping_moving": _mean([_moving(*pair, step) for pair, step in zip(pairwise(made), maps[1:], strict=True)]),
        "warping_first": _mean([first for _, first in errors]),
        "psnr": float(psnr(made, video.frames).mean()),
        "ssim": float((1 - 2 * ssim(made, video.frames)).mean()),
        "st_lpips": None if perceptual is None else float(perceptual.mean()),
        "visible": float(torch.stack([each.visible for each in maps[1:]]).float().mean()),
        "traced": float(torch.stack([each.traced for each in maps[1:]]).float().mean()),
    }


def _moving(before: Float[Tensor, "3 h w"], frame: Float[Tensor, "3 h w"], step: FrameMap) -> float | None:
    """Return the warping error against the frame before over pixels that have moved, None where none has."""
    moved = (step.previous - pixel_grid(*step.size, device=step.previous.device)).norm(dim=-1) > _MOVES
    return warping_error(frame, before, step.previous, step.visible & moved)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
