"""Tables of several futures: the energy score over the horizon, and what the futures are together."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np

from corrwise.experiments.report.statistics import (
    Estimate,
    mean_and_error,
    mean_curve,
    paired_difference,
    paired_ratio,
)
from corrwise.experiments.report.table import markdown_table, with_error
from corrwise.experiments.runs.rows import Row
from corrwise.experiments.studies.predictors.evaluation import by_model, clip_means

_STEPS = (1, 2, 4, 8, 16, 32, 64)  # predicted steps that have a column, and the last one
_ENERGY = (
    "The energy score is E|X - y| - E|X - X'| / 2 over futures X and the frame y that came, with the Euclidean norm "
    "over all pixels and channels of [0, 1]; lower is better. It is a proper score. Means over clips; the mean over "
    "all steps with its standard error over clips, and its difference from the first model's with a 95 % interval, "
    "paired by clip (above zero: the first model is better)."
)
_FUTURES = (
    "PSNR and SSIM of the mean of the futures, and of the one that is best over the horizon; gradient error of one "
    "future. Spread / error: the standard deviation of the futures over the root mean squared error of their mean, "
    "corrected for their number, with a 95 % interval over clips: 1 where the truth is as one more future, below 1 "
    "where the futures are too much alike."
)


class Table(NamedTuple):
    """A table for people.

    Attributes:
        title: above it.
        head: names of its columns.
        lines: its cells.
        text: below it.
    """

    title: str
    head: list[str]
    lines: list[list[str]]
    text: str


def sampled_tables(rows: Sequence[Row]) -> list[Table]:
    """Return the tables of rows with futures; none where there are no such rows."""
    models = by_model([row for row in rows if row.get("energy") is not None])
    if not models:
        return []
    return [_energy(models), _futures(models)]


def sampled_page(rows: Sequence[Row]) -> str:
    """Return the tables as Markdown, each below its title."""
    return "".join(
        f"\n### {title}\n\n{markdown_table(head, lines)}\n{text}\n" for title, head, lines, text in sampled_tables(rows)
    )


def _energy(models: dict[str, list[Row]]) -> Table:
    first, *_ = models
    ahead = max(len(row["energy"]) for row in models[first])
    steps = [*(step for step in _STEPS if step < ahead), ahead]
    lines = []
    for name, rows in models.items():
        curve = _clip_curve(rows, "energy")
        mean, error = mean_and_error(list(clip_means(rows, "energy").values()))
        more = "" if name == first else _difference(rows, models[first]).text("+.3f")
        at = [f"{curve[step - 1]:.3f}" if step <= len(curve) else "" for step in steps]
        lines.append([name, *at, with_error(mean, error, 3), more])
    head = ["model", *(f"step {step}" for step in steps), "mean", f"more than {first}"]
    return Table("Energy score", head, lines, _ENERGY)


def _clip_curve(rows: Sequence[Row], metric: str) -> np.ndarray:
    """Return a metric over the predicted steps: the mean over clips of the mean over their windows."""
    clips: dict[int, list[list[float]]] = {}
    for row in rows:
        clips.setdefault(row["clip"], []).append(row[metric])
    return mean_curve([mean_curve(curves) for curves in clips.values()])


def _difference(rows: Sequence[Row], others: Sequence[Row]) -> Estimate:
    one, two = clip_means(rows, "energy"), clip_means(others, "energy")
    clips = sorted(one.keys() & two.keys())
    return paired_difference([one[clip] for clip in clips], [two[clip] for clip in clips])


def _futures(models: dict[str, list[Row]]) -> Table:
    lines = []
    for name, rows in models.items():
        means = {
            metric: mean_and_error(list(clip_means(rows, metric).values()))
            for metric in ("mean_psnr", "best_psnr", "mean_ssim", "best_ssim", "sample_gradient_error")
        }
        cells = [
            with_error(mean, error, digits)
            for (mean, error), digits in zip(means.values(), (2, 2, 3, 3, 3), strict=True)
        ]
        lines.append([name, str(rows[0]["samples"]), *cells, _calibration(rows).text(".2f")])
    head = ["mean: PSNR, dB", "best: PSNR, dB", "mean: SSIM", "best: SSIM", "gradient error", "spread / error"]
    return Table("Futures", ["model", "futures", *head], lines, _FUTURES)


def _calibration(rows: Sequence[Row]) -> Estimate:
    spread, error = clip_means(rows, "spread"), clip_means(rows, "mean_mse")
    larger = 1 + 1 / rows[0]["samples"]
    ratio = paired_ratio([larger * value for value in spread.values()], list(error.values()))
    return Estimate(*(sqrt(value) if value >= 0 else value for value in ratio))
