"""Measure how much of a body each predicted frame draws, and where: beside the metrics of ``corrwise evaluate``.

    python -m tools.predicted_bodies docs/results/training-losses

needs the models and the clips that ``corrwise table predictors`` left in that folder. The windows are those of its
table. A row of ``bodies/rows.jsonl`` has the four measures of each predicted frame of a window; a model whose weights
have rows is not measured again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from corrwise._writing import jsonable
from corrwise.experiments.runs.rows import COUNT, NUMBERS, Key, append_row, needed, read_rows, six_digits
from corrwise.experiments.studies.predictors.evaluate import predict
from corrwise.predictors import CopyLast
from corrwise.predictors.data import ClipWindows
from corrwise.predictors.data.sources import open_clips
from corrwise.predictors.models.pretrained import model_folder, weights_hash
from corrwise.predictors.models.registry import load_model

ROWS = Path("bodies") / "rows.jsonl"
MEASURES = ("drawn", "place", "ahead", "still")
KEY = Key(
    {"model": str, "weights": str, "window": int},
    {"clip": needed(COUNT), **dict.fromkeys(MEASURES, needed(NUMBERS))},
)
_SEEN = 0.04  # difference of a channel from the background from which on a pixel shows the body
_CONTEXT, _SHOWN, _WINDOWS, _TOGETHER = 2, 10, 100, 20  # frames of a window, and windows, as in the table


def body_measures(
    predicted: Float[Tensor, "n T 3 h w"],
    true: Float[Tensor, "n T 3 h w"],
    last: Float[Tensor, "n 3 h w"],
    background: Float[Tensor, "3 h w"],
) -> dict[str, Float[Tensor, "n T"]]:
    """Return the measures of each predicted frame.

    ``drawn``: the difference from the background that the body makes, as a share of the true frame's; below 1 a part is
    lost, above 1 there is too much. ``place``: the distance in pixels between the centres of these differences.
    ``ahead``: the part of it along the body's horizontal motion, in pixels; negative behind. ``still``: the mean
    absolute error of the pixels that show no body in either frame, in levels of 255.
    """
    differences = ((frames - background).abs().amax(dim=2) for frames in (predicted, true, last[:, None]))
    mine, wanted, before = (each * (each > _SEEN) for each in differences)
    one, two = _centre(mine), _centre(wanted)
    moving = torch.diff(two[..., 0], dim=1, prepend=_centre(before)[..., 0]).sign()
    empty = (mine == 0) & (wanted == 0)
    error = (predicted - true).abs().mean(dim=2) * empty
    return {
        "drawn": mine.sum(dim=(-2, -1)) / wanted.sum(dim=(-2, -1)),
        "place": (one - two).norm(dim=-1),
        "ahead": (one - two)[..., 0] * moving,
        "still": 255 * error.sum(dim=(-2, -1)) / empty.sum(dim=(-2, -1)),
    }


def _centre(weight: Float[Tensor, "n T h w"]) -> Float[Tensor, "n T 2"]:
    plain: dict[str, Any] = {"dtype": weight.dtype, "device": weight.device}
    across, down = (torch.arange(side, **plain) for side in (weight.shape[-1], weight.shape[-2]))
    sums = (weight.sum(dim=-2) * across).sum(dim=-1), (weight.sum(dim=-1) * down).sum(dim=-1)
    return torch.stack(sums, dim=-1) / weight.sum(dim=(-2, -1))[..., None]


def measure(folder: Path, task: str = "cartpole") -> Iterator[dict[str, Any]]:
    """Yield a row for each model of a folder of ``corrwise table predictors`` and window of its held-out clips."""
    file, clips = folder / ROWS, open_clips(folder / "clips" / f"{task}-held")
    done = {row["weights"] for row in read_rows(file, KEY)}
    windows = ClipWindows(clips, _CONTEXT + _SHOWN)
    chosen = np.random.default_rng(0).integers(len(windows), size=_WINDOWS)
    batch = windows.windows(chosen)
    background = batch.frames.flatten(0, 1).median(dim=0).values
    numbers = windows.clips(chosen)
    trained = (path.parent for path in sorted((folder / "models" / task).glob("*/model")))
    models = {path.name: path for path in trained if "-warm-" not in path.name}
    for name, path in {"copy-last": None, **models}.items():
        weights = weights_hash(model_folder(str(path))) if path else ""
        if weights in done:
            continue
        model = load_model(model_folder(str(path))).requires_grad_(False) if path else CopyLast()
        frames = torch.cat([predict(model, part, _CONTEXT) for part in batch.split(_TOGETHER)])
        values = body_measures(frames, batch.frames[:, _CONTEXT:], batch.frames[:, _CONTEXT - 1], background)
        for window in range(_WINDOWS):
            about = {"model": name, "weights": weights, "clip": int(numbers[window]), "window": window}
            yield about | {key: six_digits(jsonable(value[window].double())) for key, value in values.items()}


if __name__ == "__main__":
    FOLDER = Path(sys.argv[1])
    (FOLDER / ROWS).parent.mkdir(exist_ok=True)
    for ROW in measure(FOLDER):
        append_row(FOLDER / ROWS, ROW)
