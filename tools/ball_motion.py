"""Measure how the ball of tools/stop_and_go.py moves in sampled futures by its place, which needs no optical flow.

    python -m tools.ball_motion docs/results/motion/ball clips/stop-and-go-held

The models are those of a folder of ``corrwise table motion``; teachers sample with 16 evaluations, students with their
own number. A row is written for each model, and for the true frames; models that have one are not measured again. The
table between the marks ``ball`` of the folder's README.md is made from the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from jaxtyping import Float
from torch import Tensor

from corrwise.experiments.cli.table_motion import ARMS, TEACHER
from corrwise.experiments.report.statistics import mean_and_error
from corrwise.experiments.report.table import markdown_table
from corrwise.experiments.runs.rows import NUMBER, NUMBERS, Key, Row, append_row, needed, read_rows, six_digits
from corrwise.predictors.data import Batch
from corrwise.predictors.data.sources import open_clips
from corrwise.predictors.generative.denoiser import Denoiser
from corrwise.predictors.models.registry import load_model
from corrwise.predictors.training.flow_matching import futures
from tools.results_table import filled

ROWS, PAGE, TRUE = "ball.jsonl", "README.md", "true"
FRAMES, STARTS, FUTURES = 8, (0, 8), 2  # predicted frames of a window, first frames of windows, futures of each
_SHOWN = 0.25  # difference from the background, summed over channels, from which a pixel is the ball
_MOVES, _FARTHEST = 1.0, 4.0  # pixels a frame: half the ball's speed, and twice
MEASURES = ("moving", "starting", "speed")
KEY = Key({"model": str}, {**dict.fromkeys(MEASURES, needed(NUMBER)), "speeds": needed(NUMBERS), "lost": NUMBER})


@dataclass(frozen=True)
class Measured:
    """What to measure."""

    folder: tyro.conf.Positional[Path]
    """Folder of corrwise table motion."""
    held: tyro.conf.Positional[Path]
    """Folder of clips."""


def places(frames: Float[Tensor, "n T 3 h w"]) -> Float[Tensor, "n T 2"]:
    """Return the centre (x, y) of the ball in each frame, in pixels; NaN where there is no ball."""
    difference = (frames - frames[..., :1, :1]).abs().sum(dim=2)
    weight = difference.where(difference > _SHOWN, 0.0)
    weight = weight / weight.sum(dim=(-2, -1), keepdim=True)
    x, y = (torch.arange(side, dtype=torch.float32, device="cpu") for side in (frames.shape[-1], frames.shape[-2]))
    return torch.stack([(weight.sum(dim=-2) * x).sum(dim=-1), (weight.sum(dim=-1) * y).sum(dim=-1)], dim=-1)


def measures(frames: Float[Tensor, "n T 3 h w"]) -> Row:
    """Return how the ball moves between the frames, the first of which is where it comes from.

    ``moving`` is the share of steps in which it moves, ``starting`` the same of those before which it rested, ``speed``
    the mean distance in pixels a frame, and ``speeds`` that of each video. Steps in which there is no ball, or that are
    longer than a ball's can be, count in none of them: ``lost`` is their share.
    """
    distances = places(frames).diff(dim=1).norm(dim=-1)
    followed = distances <= _FARTHEST  # not where it is NaN
    moved, rested = followed & (distances > _MOVES), followed & (distances <= _MOVES)
    rested_before, later = rested[:, :-1] & followed[:, 1:], distances.where(followed, torch.nan)[:, 1:]
    return {
        "moving": float(moved[:, 1:].sum() / followed[:, 1:].sum()),
        "starting": float((moved[:, 1:] & rested_before).sum() / rested_before.sum().clamp(min=1)),
        "speed": float(later.nanmean()),
        "speeds": later.nanmean(dim=1).nan_to_num(0.0).tolist(),
        "lost": float(1 - followed[:, 1:].float().mean()),
    }


def windows(held: Path, context: int) -> Batch:
    """Return the windows of context and predicted frames."""
    clips, length = open_clips(held), context + FRAMES
    read = [clips.read(clip, start, start + length)[0] for clip in range(len(clips.lengths)) for start in STARTS]
    frames = torch.from_numpy(np.stack(read)).permute(0, 1, 4, 2, 3).float() / 255
    return Batch(frames, torch.zeros(len(read), length - 1, 0, dtype=torch.float32, device="cpu"))


def run(options: Measured) -> None:
    """Measure what has no row yet, and fill the page."""
    path = options.folder / ROWS
    done = {row["model"] for row in read_rows(path, KEY)}
    models = {each.parent.name: each for each in sorted(options.folder.glob("models/*/model"))}
    for name in (TRUE, *models):
        if name in done:
            continue
        if name == TRUE:
            measured = measures(windows(options.held, context=2).frames)
        else:
            model = load_model(models[name])
            assert isinstance(model, Denoiser)
            if not model.config.sample_at:
                model.config = replace(model.config, evaluations=16)
            batch = windows(options.held, model.config.context)
            seen = batch.frames[:, : model.config.context]
            made = [futures(model, batch, torch.Generator().manual_seed(seed)) for seed in range(FUTURES)]
            measured = measures(torch.cat([torch.cat([seen, each], dim=1) for each in made]))
        append_row(path, {"model": name, **{key: six_digits(value) for key, value in measured.items()}})
        print(name, {key: measured[key] for key in MEASURES}, flush=True)
    page = options.folder / PAGE
    if page.exists():
        page.write_text(filled(page.read_text(), {"ball": table(read_rows(path, KEY))}))


def table(rows: Sequence[Row]) -> str:
    """Return a line for each arm: means over its models."""
    arms: dict[str, list[Row]] = {}
    for row in rows:
        name = row["model"]
        arms.setdefault(name if name == TRUE else name.rpartition("-")[0], []).append(row)
    order = (TRUE, TEACHER, *ARMS)
    lines = []
    for arm in sorted(arms, key=lambda name: (order.index(name) if name in order else len(order), name)):
        moving, starting, speed = (float(np.mean([row[each] for row in arms[arm]])) for each in MEASURES)
        error = mean_and_error(np.mean([row["speeds"] for row in arms[arm]], axis=0).tolist())[1]
        share = speed / arms[TRUE][0]["speed"]
        seeds = ", ".join(f"{row['speed']:.2f}" for row in arms[arm])
        lines.append(
            (f"`{arm}`", f"{moving:.0%}", f"{starting:.0%}", f"{speed:.2f} ± {error:.2f}", f"{share:.0%}", seeds)
        )
    return markdown_table(("arm", "moves", "starts from rest", "px a frame", "of the true one", "each model"), lines)


if __name__ == "__main__":
    run(tyro.cli(Measured))
