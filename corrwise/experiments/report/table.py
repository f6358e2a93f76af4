"""The cells of the report's table: numbers as text, intervals and times as small drawings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from corrwise.experiments.report.plot import whisker
from corrwise.experiments.report.summary import Method, Summary
from corrwise.experiments.report.words import ENOUGH_PAIRS, NONE, number, percent, signed

__all__ = ["table_rows", "term_rows"]

Row = dict[str, Any]


def table_rows(
    lines: Sequence[Summary],
    names: dict[Method, str],
    styles: dict[Method, str],
    *,
    decimals: int,
    baseline: str = "l1",
) -> list[Row]:
    """Return what the template writes into each row of the table."""
    reach = _reach(lines)
    slowest = max((sum(ln.seconds.values()) for ln in lines), default=0.0)
    lost = any(ln.cost == baseline and ln.refused.everything for ln in lines)
    table = []
    for ln in lines:
        method = (ln.task, ln.cost, ln.planner, ln.predictor)
        told = {"name": names[method], "style": styles[method], "alone": _alone(ln, baseline, lost)}
        table.append({**told, **_cells(ln, decimals, reach), **_time(ln, slowest)})
    return table


def term_rows(lines: Sequence[Summary], names: dict[Method, str], styles: dict[Method, str]) -> list[Row]:
    """Return the rows about what the correspondence-wise costs were made of; none for rows that do not say."""
    return [
        {
            "name": names[ln.task, ln.cost, ln.planner, ln.predictor],
            "style": styles[ln.task, ln.cost, ln.planner, ln.predictor],
            "residual": number(ln.terms["residual"], 4),
            "displacement": number(ln.terms["displacement_px"], 2),
            "occluded": percent(ln.terms["occluded"], 1),
        }
        for ln in lines
        if any(math.isfinite(value) for value in ln.terms.values())
    ]


def _alone(ln: Summary, baseline: str, lost: bool) -> str:
    """Say why a line is compared with nothing."""
    if ln.refused.everything:
        return "nothing was planned"
    if ln.cost == baseline:
        return "the baseline"
    return f"{baseline} planned nothing" if lost else "no shared episode"


def _reach(lines: Sequence[Summary]) -> float:
    """Return how far the axis of the differences goes: a control far off must not shrink the methods to dots."""
    far = {
        control: max(
            (abs(x) for ln in lines if ln.control == control for x in ln.difference if abs(x) >= 0), default=0.0
        )
        for control in (False, True)
    }
    return max(far[False], min(far[True], 2 * far[False] or far[True]))


def _cells(ln: Summary, d: int, reach: float) -> Row:
    value, low, high = ln.difference
    return {
        "line": ln,
        "nearest": number(ln.nearest, d),
        "error": number(ln.nearest_error, d),
        "iqm": number(ln.nearest_iqm, d),
        "final": number(ln.final, d),
        "last10": number(ln.last10, d),
        "difference": signed(value, d),
        "interval": f"{signed(low, d)} to {signed(high, d)}" if math.isfinite(low) else "one pair: no interval",
        "whisker": whisker(ln.difference, reach=reach) if ln.pairs else None,
        "verdict": _verdict(ln),
        "ratio": number(ln.ratio.value, 2 if abs(ln.ratio.value) >= 0.1 else 3),
        "ratio_interval": f"{number(ln.ratio.low, 2)} to {number(ln.ratio.high, 2)}",
        "nearer": percent(ln.nearer),
    }


def _verdict(ln: Summary) -> str:
    """Say which way the interval points, and whether there are enough pairs to believe it."""
    if not ln.difference.excludes_zero:
        return "open"
    return ("better" if ln.difference.value < 0 else "worse") + ("" if ln.pairs >= ENOUGH_PAIRS else " tentative")


def _time(ln: Summary, slowest: float) -> Row:
    total = sum(ln.seconds.values())
    if not (math.isfinite(total) and slowest > 0):
        return {"milliseconds": NONE, "phases": []}
    phases = [(name, f"{1000 * s:.1f}", f"{100 * s / slowest:.2f}") for name, s in ln.seconds.items() if s > 0]
    return {"milliseconds": f"{1000 * total:.0f}" if total >= 0.01 else f"{1000 * total:.1f}", "phases": phases}
