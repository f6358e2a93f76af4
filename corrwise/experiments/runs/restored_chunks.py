"""Chunks of a restored video that are kept without loss, and what the next one begins with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from corrwise._files import load_checkpoint, reading
from corrwise._writing import write_bytes_atomic
from corrwise.experiments.cli.restore import RestoreConfig
from corrwise.experiments.runs.damaged_frames import DamagedFrames
from corrwise.experiments.runs.video_source import Frame
from corrwise.predictors.data.formats.video_encoding import encode_lossless
from corrwise.predictors.restoration import FrameMap, Guidance, NoiseCarrier, RestorationModel
from corrwise.predictors.restoration.guidance import Sampled
from corrwise.predictors.restoration.video import sampled_frames

CHUNK = 16  # frames that are restored, and kept, together


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
    """
    times = model.config.times(config.evaluations)
    counts, before, ended = _kept(parts, frames, len(times) if config.guidance else 0)
    yield from ((_file(parts, number), count) for number, count in enumerate(counts))
    if ended:
        return
    done = CHUNK * len(counts)
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
        before=before,
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
                file = _file(parts, len(counts))
                encode_lossless(file, made)
                counts.append(len(made))
                kept = sample if config.guidance else replace(sample, predictions=())
                _keep(file.with_suffix(".pt"), kept, counts, ended=len(made) < CHUNK)
                _file(parts, len(counts) - 2).with_suffix(".pt").unlink(missing_ok=True)
                yield file, len(made)
                done, made = done + len(made), []
            if taken is None:
                return


def _file(parts: Path, number: int) -> Path:
    """Return the file of a chunk by its number."""
    return parts / f"{CHUNK * number:08d}.mkv"


def _kept(parts: Path, frames: DamagedFrames, predictions: int) -> tuple[list[int], Sampled | None, bool]:
    """Return how many frames each chunk has that is there, the last one's sample, and whether it ends the video.

    Raises:
        ValueError: a state that is damaged, or of other frames or another number of predictions.
    """
    chunks = 0
    while _file(parts, chunks).is_file():
        chunks += 1
    while chunks and not _file(parts, chunks - 1).with_suffix(".pt").is_file():
        chunks -= 1
    if not chunks:
        return [], None, False
    file = _file(parts, chunks - 1).with_suffix(".pt")
    problem = "holds no state of a video; delete the folder parts, and the command begins again"
    state = load_checkpoint(file, device=frames.device, problem=problem)
    with reading(file, problem):
        sample, counts = Sampled(state["image"], list(state["predictions"])), [int(each) for each in state["counts"]]
        if len(counts) != chunks:
            raise ValueError(f"expected {chunks} chunks, got {len(counts)}")
        _check_state(state, (predictions, 3, *frames.padded))
        return counts, sample, bool(state["ended"])


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
