"""How good predicted frames are, and what rows of them say: a table, curves, and a page with videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corrwise._writing import write_aside
from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.report.page import template
from corrwise.experiments.report.statistics import mean_and_error, mean_curve
from corrwise.experiments.report.strip import embedded
from corrwise.experiments.report.table import markdown_table
from corrwise.predictors.metrics import METRICS

CURVES, STRIPS = "curves.png", "strips.png"
FLOOR = "copy-last"  # what every model is judged beside

Row = dict[str, Any]
_NAMES = {"psnr": "PSNR, dB", "ssim": "SSIM", "sharpness": "sharpness", "lpips": "LPIPS (lower is better)"}


def evaluation_table(rows: Sequence[Row]) -> str:
    """Return a line for each model: means over clips, their windows and steps, with standard errors over clips."""
    metrics = _metrics(rows)
    lines = [(model, str(windows), *cells) for model, windows, cells in table_cells(rows)]
    table = markdown_table(["model", "windows", *(_NAMES[name] for name in metrics)], lines)
    told = "\nLPIPS was not measured: it needs torchmetrics and AlexNet's weights where torch keeps its downloads.\n"
    return table + ("" if "lpips" in metrics else told)


def broken_frames(rows: Sequence[Row]) -> list[str]:
    """Return a sentence about each model that predicted frames which are not finite."""
    said = []
    for model in dict.fromkeys(row["model"] for row in rows):
        mine = [row for row in rows if row["model"] == model]
        broken, frames = sum(row.get("broken") or 0 for row in mine), sum(len(row["psnr"]) for row in mine)
        if broken:
            end = "; its numbers are no result" if broken == frames else ""
            said.append(f"{model}: {broken} of {frames} predicted frames are not finite and count as black{end}")
    return said


def table_cells(rows: Sequence[Row]) -> Iterator[tuple[str, int, list[str]]]:
    """Yield each model's name, its number of windows, and its numbers as text."""
    for model in dict.fromkeys(row["model"] for row in rows):
        mine = [row for row in rows if row["model"] == model]
        cells = []
        for name in _metrics(rows):
            mean, error = mean_and_error(list(clip_means(mine, name).values()))
            cells.append(f"{mean:.{_digits(name)}f} ± {error:.{_digits(name)}f}")
        yield model, len(mine), cells


def clip_means(rows: Sequence[Row], metric: str) -> dict[int, float]:
    """Return a metric of each clip, over its windows and their steps, where it has one.

    Windows of one clip overlap, so they say little more than one of them does.
    """
    found: dict[int, list[float]] = {}
    for row in rows:
        found.setdefault(row["clip"], []).extend(value for value in row[metric] if value is not None)
    return {clip: float(np.mean(values)) for clip, values in sorted(found.items()) if values}


def draw_curves(path: Path, rows: Sequence[Row]) -> None:
    """Draw each metric over the predicted steps, a line for each model; models of several seeds share a colour."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    metrics = _metrics(rows)
    kinds: dict[str, list[str]] = {}
    for model in dict.fromkeys(row["model"] for row in rows):
        kinds.setdefault(_kind(model), []).append(model)
    palette = colormaps["tab10" if len(kinds) <= 10 else "tab20"]
    figure = Figure(figsize=(4 * len(metrics), 3.6), layout="constrained")
    for axis, name in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        for i, (kind, models) in enumerate(kinds.items()):
            color, line = ("black", "--") if kind == FLOOR else (palette(i % palette.N), "-")
            label: str | None = f"{kind}, {len(models)} models" if len(models) > 1 else models[0]
            for model in models:
                means = mean_curve([row[name] for row in rows if row["model"] == model])
                seen = np.isfinite(means)
                steps = np.arange(1, len(means) + 1)[seen]
                axis.plot(steps, means[seen], label=label, color=color, linestyle=line)
                label = None  # named once
        axis.set(xlabel="predicted step", title=_NAMES[name])
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=110)


def _kind(model: str) -> str:
    """Return the name that models of several seeds share."""
    name, _, number = model.rpartition("-")
    return name if number.isdigit() else model


def evaluation_page(config: EvaluateConfig, rows: Sequence[Row], videos: Sequence[str]) -> str:
    """Return a page that opens from disk: the table, the curves, and the videos beside it."""
    return str(
        template("evaluation.html").render(
            metrics=[_NAMES[name] for name in _metrics(rows)],
            lines=list(table_cells(rows)),
            facts={
                "clips": str(config.data),
                "windows": config.windows,
                "horizon": config.horizon,
                "seed": config.seed,
            },
            warnings=broken_frames(rows),
            lpips="lpips" in _metrics(rows),
            curves=embedded((config.out / CURVES).read_bytes()),
            strips=embedded((config.out / STRIPS).read_bytes()) if videos else "",
            videos=videos,
            versions=(rows[-1].get("versions") or {}) if rows else {},
        )
    )


def _metrics(rows: Sequence[Row]) -> list[str]:
    return [name for name in (*METRICS, "lpips") if all(row.get(name) is not None for row in rows)]


def _digits(name: str) -> int:
    return 2 if name == "psnr" else 3
