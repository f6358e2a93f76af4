"""The results of ``corrwise evaluate``: a table, curves, strips of frames, and a page with videos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from corrwise._writing import write_aside
from corrwise.envs.arrays import to_uint8
from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.report.page import template
from corrwise.experiments.report.statistics import mean_and_error, mean_curve
from corrwise.experiments.report.strip import embedded
from corrwise.experiments.report.table import markdown_table, with_error
from corrwise.predictors.metrics import GRADIENT_ERROR, METRICS, PERCEPTUAL

CURVES, STRIPS, FUTURES = "curves.png", "strips.png", "futures.png"
BASELINE = "copy-last"
RESIDUALS = "+residuals"  # behind the name of a model that gets them
_WINDOWS, _COLUMNS = 6, 6  # windows, and predicted frames of each, that are drawn at most
_ROWS = 24  # rows of frames that are drawn at most, unless one window has more panels
_AROUND = 4  # px around what moves
_CHANGED = 12  # levels of 255 that are motion
_SIDE = 1.1  # inches of a frame

Row = dict[str, Any]
_NAMES = {
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "sharpness": "sharpness",
    GRADIENT_ERROR: "gradient error (lower is better)",
    "energy": "energy score (lower is better)",
    "lpips": "LPIPS (lower is better)",
    "st_lpips": "ST-LPIPS (lower is better)",
}
_EXPLAINED = {
    "sharpness": "Sharpness: the brightness gradient around what has moved and the true frame's, the smaller as a "
    "share of the larger; 1 is as sharp.",
    GRADIENT_ERROR: "Gradient error: the mean length of the difference from the true frame's brightness gradient, in "
    "levels of 255 per pixel.",
}
_MISSING = {
    "lpips": "LPIPS was not measured: it needs torchmetrics and AlexNet's weights where torch keeps its downloads.",
    "st_lpips": "ST-LPIPS was not measured: it needs stlpips-pytorch and images of 21 pixels or more.",
}


def evaluation_table(rows: Sequence[Row]) -> str:
    """Return a line for each model: means over clips, their windows and steps, with standard errors over clips."""
    metrics = metrics_of(rows)
    lines = [(model, str(windows), *cells) for model, windows, cells in table_cells(rows)]
    table = markdown_table(["model", "windows", *(_NAMES[name] for name in metrics)], lines)
    return table + "".join(f"\n{sentence}\n" for sentence in not_measured(rows))


def not_measured(rows: Sequence[Row]) -> list[str]:
    """Return a sentence about each metric that rows lack."""
    return [sentence for name, sentence in _MISSING.items() if name not in metrics_of(rows)]


def broken_frames(rows: Sequence[Row]) -> list[str]:
    """Return a sentence about each model that predicted frames which are not finite."""
    sentences = []
    for model, mine in by_model(rows).items():
        frames = sum(len(row["psnr"]) for row in mine)
        drawn = sum((row.get("samples") or 0) * len(row["psnr"]) for row in mine)
        for field, count, what in (
            ("broken", frames, "predicted"),
            ("broken_samples", drawn, "sampled"),
        ):
            broken = sum(row.get(field) or 0 for row in mine)
            if broken:
                end = "; its numbers are no result" if broken == count else ""
                sentences.append(f"{model}: {broken} of {count} {what} frames are not finite and count as black{end}")
    return sentences


def table_cells(rows: Sequence[Row]) -> Iterator[tuple[str, int, list[str]]]:
    """Yield each model's name, its number of windows, and its numbers as text."""
    for model, mine in by_model(rows).items():
        each = {name: mean_and_error(list(clip_means(mine, name).values())) for name in metrics_of(rows)}
        digits = {name: 2 if name == "psnr" else 3 for name in each}
        yield model, len(mine), [with_error(mean, error, digits[name]) for name, (mean, error) in each.items()]


def by_model(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of each model, in the order in which the models come."""
    models: dict[str, list[Row]] = {}
    for row in rows:
        models.setdefault(row["model"], []).append(row)
    return models


def clip_means(rows: Sequence[Row], metric: str) -> dict[int, float]:
    """Return a metric of each clip, over its windows and their steps, where it has any.

    Windows of one clip overlap, so they are no independent samples.
    """
    values: dict[int, list[float]] = {}
    for row in rows:
        values.setdefault(row["clip"], []).extend(value for value in row[metric] if value is not None)
    return {clip: float(np.mean(mine)) for clip, mine in sorted(values.items()) if mine}


def draw_curves(path: Path, rows: Sequence[Row]) -> None:
    """Draw each metric over the predicted steps, a line for each model; models of several seeds share a colour."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    metrics, curves = metrics_of(rows), by_model(rows)
    if all(row.get("energy") is not None for row in rows):
        metrics.append("energy")
    kinds: dict[str, list[str]] = {}
    for model in curves:
        name, _, number = model.rpartition("-")
        kinds.setdefault(name if number.isdigit() else model, []).append(model)  # seeds of one kind
    palette = colormaps["tab10" if len(kinds) <= 10 else "tab20"]
    figure = Figure(figsize=(4 * len(metrics), 3.6), layout="constrained")
    for axis, name in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        for i, (kind, models) in enumerate(kinds.items()):
            color, line = ("black", "--") if kind == BASELINE else (palette(i % palette.N), "-")
            label: str | None = f"{kind}, {len(models)} models" if len(models) > 1 else models[0]
            for model in models:
                if name != "energy" and model.endswith(RESIDUALS):
                    continue  # the same as without
                means = mean_curve([row[name] for row in curves[model]])
                seen = np.isfinite(means)
                steps = np.arange(1, len(means) + 1)[seen]
                axis.plot(steps, means[seen], label=label, color=color, linestyle=line)
                label = None  # named once
        axis.set(xlabel="predicted step", title=_NAMES[name])
    handles, labels = figure.axes[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=110)


def draw_strips(path: Path, panels: Mapping[str, Float[Tensor, "n T 3 h w"]], context: int) -> None:
    """Draw frames of each panel for the first windows: the context's last, and some that are predicted.

    Args:
        path: of a PNG.
        panels: the true frames first; all begin with the same context.
        context: how many frames that is.
    """
    from matplotlib.figure import Figure

    frames = {name: to_uint8(panel) for name, panel in panels.items()}
    true = next(iter(frames.values()))
    ahead = true.shape[1] - context
    shown = np.unique(np.linspace(0, ahead, min(ahead, _COLUMNS) + 1).round().astype(int))
    windows = min(len(true), _WINDOWS, max(1, _ROWS // len(frames)))
    rows = [(name, window) for window in range(windows) for name in frames]
    figure = Figure(figsize=(_SIDE * len(shown) + 1.4, _SIDE * len(rows) + 0.3), layout="constrained")
    for line, (name, window) in zip(figure.subplots(len(rows), len(shown), squeeze=False), rows, strict=True):
        top, left, side = moving_square(true[window, context - 1 :])
        for axis, step in zip(line, shown, strict=True):
            frame = frames[name][window, context - 1 + step]
            axis.imshow(frame[top : top + side, left : left + side], interpolation="nearest")
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for axis, step in zip(figure.axes, shown, strict=False):
        axis.set_title(f"step {step}" if step else "last seen", fontsize=9)
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=80)


def moving_square(frames: UInt8[np.ndarray, "T h w 3"]) -> tuple[int, int, int]:
    """Return the top, left and side of the smallest square, inside the frame, around all that moves in a clip."""
    height, width = frames.shape[1:3]
    moved = (np.abs(frames.astype(int) - frames[0]).max(axis=(0, 3)) > _CHANGED).nonzero()
    if not len(moved[0]):
        return 0, 0, max(height, width)
    spans = [(int(where.min()) - _AROUND, int(where.max()) + 1 + _AROUND) for where in moved]
    side = min(height, width, max(end - begin for begin, end in spans))
    starts = ((begin + end - side) // 2 for begin, end in spans)
    top, left = (min(max(0, start), whole - side) for start, whole in zip(starts, (height, width), strict=True))
    return top, left, side


def without_residuals(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of the models themselves: a prediction that draws nothing has no residuals added."""
    return [row for row in rows if not row["model"].endswith(RESIDUALS)]


def evaluation_page(
    config: EvaluateConfig,
    rows: Sequence[Row],
    videos: Sequence[str],
    warnings: Sequence[str],
    tables: Sequence[Any] = (),
) -> str:
    """Return a page that opens from disk: the tables, the curves, and the videos beside it."""
    plain = without_residuals(rows)
    return str(
        template("evaluation.html").render(
            metrics=[_NAMES[name] for name in metrics_of(plain)],
            lines=list(table_cells(plain)),
            facts={"clips": str(config.data), **{n: getattr(config, n) for n in ("windows", "horizon", "seed")}},
            warnings=warnings,
            about=" ".join(text for name, text in _EXPLAINED.items() if name in metrics_of(plain)),
            missing=not_measured(plain),
            tables=tables,
            curves=embedded((config.out / CURVES).read_bytes()),
            strips=embedded((config.out / STRIPS).read_bytes()) if videos else "",
            futures=embedded((config.out / FUTURES).read_bytes()) if videos and tables else "",
            videos=videos,
            versions=(rows[-1].get("versions") or {}) if rows else {},
        )
    )


def metrics_of(rows: Sequence[Row]) -> list[str]:
    """Return the metrics that all of these rows have, to be shown.

    Those that need weights may be missing. The error of the gradient stands where sharpness, which noise raises, stood;
    rows that lack it show their sharpness.
    """
    there = {name for name in (*METRICS, GRADIENT_ERROR, *PERCEPTUAL) if all(row.get(name) is not None for row in rows)}
    gradients = GRADIENT_ERROR if GRADIENT_ERROR in there else "sharpness"
    return [name for name in ("psnr", "ssim", gradients, *PERCEPTUAL) if name in there]
