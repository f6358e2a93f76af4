"""Chunks of a restored video that are kept without loss, and what the next one begins with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from corrwise._files import load_checkpoint, reading
from corrwise._writing import write_bytes_atomic
from corrwise.experiments.cli.restore import RestoreConfig
from corrwise.experiments.runs.damaged_frames import DamagedFrames
from corrwise.experiments.runs.video_source import MADE_AGAIN, Frame
from corrwise.predictors.data.formats.video_encoding import encode_lossless
from corrwise.predictors.restoration import FrameMap, Guidance, NoiseCarrier, RestorationModel
from corrwise.predictors.restoration.guidance import Sampled
from corrwise.predictors.restoration.video import sampled_frames

CHUNK = 16  # frames that are restored, and kept, together


@dataclass
class Kept:
    """What there is of a restored video.

    Attributes:
        counts: frames of each chunk.
        hashes: of each chunk's file.
        last: the last frame's sample; None without any.
        ended: whether the last chunk ends the video.
    """

    counts: list[int] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    last: Sampled | None = None
    ended: bool = False


def restored_chunks(
    config: RestoreConfig,
    frames: DamagedFrames,
    maps: Iterable[FrameMap],
    model: RestorationModel,
    carrier: NoiseCarrier,
    parts: Path,
    label: str,
) -> Iterator[tuple[Path, int]]:
    """Yield the files of all chunks in order and how many frames each has, after making those that are not there.

    What the next chunk begins with is kept of the last chunk alone.

    Raises:
        ValueError: a chunk or a state that is damaged, that another run has made, or that was changed since.
    """
    times = model.config.times(config.evaluations)
    kept = _kept(parts, frames, len(times) if config.guidance else 0)
    yield from ((_file(parts, number), count) for number, count in enumerate(kept.counts))
    if kept.ended:
        return
    done = CHUNK * len(kept.counts)
    _remove_from(parts, done)
    samples = sampled_frames(
        model,
        frames,
        maps,
        carrier,
        torch.Generator("cpu").manual_seed(config.seed),
        guidance=Guidance(strength=config.guidance, pulls=config.guidance_pulls),
        times=times,
        exact=config.exact,
        start=done,
        before=kept.last,
    )
    made: list[Frame] = []
    sample: Sampled | None = None
    with tqdm(unit="frame", desc=label, initial=done, total=frames.count) as bar:
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
                file = _file(parts, len(kept.counts))
                encode_lossless(file, made)
                kept.counts.append(len(made))
                kept.hashes.append(_hash(file))
                kept.last = sample if config.guidance else replace(sample, predictions=())
                kept.ended = len(made) < CHUNK
                _keep(file.with_suffix(".pt"), kept)
                _file(parts, len(kept.counts) - 2).with_suffix(".pt").unlink(missing_ok=True)
                yield file, len(made)
                done, made = done + len(made), []
            if taken is None:
                return


def _file(parts: Path, number: int) -> Path:
    """Return the file of a chunk by its number."""
    return parts / f"{CHUNK * number:08d}.mkv"


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _remove_from(parts: Path, frame: int) -> None:
    """Remove chunks and states from a frame on: those of a run that had more of them, which is begun again."""
    for file in (*parts.glob("*.mkv"), *parts.glob("*.pt")):
        if file.stem.isdecimal() and int(file.stem) >= frame:
            file.unlink()


def _kept(parts: Path, frames: DamagedFrames, predictions: int) -> Kept:
    """Return the chunks that are there, with what the next one begins with.

    Raises:
        ValueError: a state that is damaged, or of other frames or another number of predictions; or a chunk that is not
            the one that was written.
    """
    chunks = 0
    while _file(parts, chunks).is_file():
        chunks += 1
    while chunks and not _file(parts, chunks - 1).with_suffix(".pt").is_file():
        chunks -= 1
    if not chunks:
        return Kept()
    file = _file(parts, chunks - 1).with_suffix(".pt")
    problem = "holds no state of a video; delete the folder parts, and the command begins again"
    state = load_checkpoint(file, device=frames.device, problem=problem)
    with reading(file, problem):
        last, counts = Sampled(state["image"], list(state["predictions"])), [int(each) for each in state["counts"]]
        hashes = [str(each) for each in state["hashes"]]
        if not len(counts) == len(hashes) == chunks:
            raise ValueError(f"expected {chunks} chunks, got {len(counts)} with {len(hashes)} hashes")
        _check_state(state, (predictions, 3, *frames.padded))
        kept = Kept(counts, hashes, last, bool(state["ended"]))
    for number, written in enumerate(kept.hashes):
        if _hash(chunk := _file(parts, number)) != written:
            raise ValueError(f"{chunk} is not the chunk that was written; {MADE_AGAIN}")
    return kept


def _keep(file: Path, kept: Kept) -> None:
    """Write what the next chunk begins with."""
    sample = kept.last
    assert sample is not None
    every = sample.predictions
    predictions = torch.stack(list(every)) if every else sample.image.new_empty((0, *sample.image.shape))
    counts = torch.tensor(kept.counts, dtype=torch.int64, device="cpu")
    state = {"image": sample.image, "predictions": predictions, "counts": counts}
    data = BytesIO()  # torch states no reason where a disk is full
    torch.save({**state, "hashes": kept.hashes, "ended": kept.ended}, data)
    write_bytes_atomic(file, data.getvalue())


def _check_state(state: Mapping[str, Any], shape: tuple[int, ...]) -> None:
    for name, wanted in (("predictions", shape), ("image", shape[1:])):
        if tuple(state[name].shape) != wanted:
            raise ValueError(f"expected {name} of shape {wanted}, got {tuple(state[name].shape)}")
        if not state[name].isfinite().all():
            raise ValueError(f"expected {name} that are finite")
