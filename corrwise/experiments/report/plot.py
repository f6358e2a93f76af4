"""Geometry of the report's lines, bars and ticks, which the templates draw as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from corrwise.experiments.report.statistics import Estimate, mean_curve

Series = Sequence[float | int | None] | np.ndarray
WIDTH, HEIGHT = 1180, 340
LEFT, RIGHT, TOP, BOTTOM = 56, 260, 14, 46  # names such as corr-l1:flow=all-pairs,form=reg stand at the right
LABEL_GAP = 17


@dataclass(frozen=True)
class Curve:
    """One method: its mean line, a thin line per episode, and where its name stands at the right edge."""

    name: str
    style: str
    mean: str
    episodes: list[str]
    end_x: float
    end_y: float
    label_y: float


@dataclass(frozen=True)
class Plot:
    """Distance over time. Ticks are (position in the plot, text)."""

    curves: list[Curve]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def distance_plot(methods: Mapping[tuple[str, str], Sequence[Series]]) -> Plot | None:
    """Lay out distance over time for methods, (name, style) -> one series per episode; None without any number.

    Controls show their mean only: their single episodes would fill the plot and stretch its scale.
    """
    series = {key: [np.asarray(s, dtype=float) for s in many if len(s)] for key, many in methods.items()}
    series = {key: many for key, many in series.items() if any(np.isfinite(s).any() for s in many)}
    if not series:
        return None
    means = {key: mean_curve(many) for key, many in series.items()}
    thin = {key: [] if "control" in key[1] else many for key, many in series.items()}
    drawn = [*means.values(), *(s for many in thin.values() for s in many)]
    steps = max(max(len(s) for s in drawn) - 1, 1)
    x_ticks = [t for t in nice_ticks(steps, whole=True) if t <= steps]
    y_ticks = nice_ticks(max(np.nanmax(s, initial=0.0) for s in drawn))

    def x(step: float | int) -> float:
        return LEFT + step * (WIDTH - RIGHT - LEFT) / steps

    def y(distance: float) -> float:
        return HEIGHT - BOTTOM - distance * (HEIGHT - BOTTOM - TOP) / y_ticks[-1]

    def place(values: np.ndarray) -> list[tuple[float, float]]:
        return [(x(step), y(float(distance))) for step, distance in enumerate(values)]

    lines = {key: place(mean) for key, mean in means.items()}
    ends = [[point for point in line if math.isfinite(point[1])][-1] for line in lines.values()]
    curves = [
        Curve(*key, _path(lines[key]), [_path(place(s)) for s in thin[key]], *end, label)
        for key, end, label in zip(series, ends, _spread([end_y for _, end_y in ends]), strict=True)
    ]
    return Plot(curves, [(x(t), f"{t:g}") for t in x_ticks], [(y(t), f"{t:g}") for t in y_ticks])


def curve_points(series: Series, *, top: float, width: int = 100, height: int = 30) -> str:
    """Return the SVG path of a small curve that fills ``width`` and has ``top`` at its upper edge."""
    values = np.asarray(series, dtype=float)
    return _path(zip(np.linspace(0, width, len(values)), height * (1 - values / top), strict=True))


def whisker(estimate: Estimate, *, reach: float | int, width: int = 130) -> dict[str, float] | None:
    """Return the x positions of an interval on an axis from -reach to +reach; None without a value within reach."""
    if not abs(estimate.value) <= reach or reach == 0:
        return None
    low, high = (e if math.isfinite(e) else estimate.value for e in (estimate.low, estimate.high))
    ends = {"low": low, "value": estimate.value, "high": high}
    return {name: round(width / 2 + max(-1.0, min(1.0, x / reach)) * (width / 2 - 6), 1) for name, x in ends.items()}


def nice_ticks(highest: float | int, *, count: int = 5, whole: bool = False) -> list[float]:
    """Return round numbers from 0 to at least ``highest``, about ``count`` of them; whole numbers on request."""
    if not 1e-100 < highest < math.inf:
        return [0.0, 1.0]
    raw = highest / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    step = max(1.0, float(math.ceil(step))) if whole else float(step)
    return [round(i * step, 10) for i in range(math.ceil(highest / step - 1e-9) + 1)]


def _path(points: Iterable[tuple[float, float]]) -> str:
    parts, pen = [], "M"
    for x, y in points:
        if math.isfinite(y):
            parts.append(f"{pen}{x:.1f} {y:.1f}")
        pen = "L" if math.isfinite(y) else "M"  # a gap lifts the pen
    return "".join(parts)


def _spread(wanted: Sequence[float]) -> list[float]:
    """Move labels apart until none overlaps another, keeping their order and staying inside the plot."""
    order = np.argsort(wanted, kind="stable")
    placed = [wanted[i] for i in order]
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + LABEL_GAP)
    limit = float(HEIGHT - BOTTOM)
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], limit)
        limit = placed[i] - LABEL_GAP
    return [placed[i] for i in np.argsort(order)]
