"""The table: one line per task and method, made from rows alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from corrwise.experiments.report.rejected import Refused
from corrwise.experiments.report.statistics import (
    Estimate,
    iqm,
    mean_and_error,
    paired_difference,
    paired_ratio,
    share_nearer,
)
from corrwise.experiments.runs.rows import row_key

__all__ = ["CONTROLS", "PHASES", "TERMS", "Method", "Summary", "seconds_of", "summarize"]

Row = dict[str, Any]
Method = tuple[str, str, str, str]  # task, cost, planner, predictor
CONTROLS = ("state", "exact-flow", "exact-flow-squared", "zero-action", "random-action")
PHASES = ("simulate", "render", "predict", "flow", "plan")
TERMS = ("residual", "displacement_px", "occluded")  # of a correspondence-wise cost; null in the rows of the others


@dataclass(frozen=True)
class Summary:
    """One line of the table. Distances are position-only; a NaN is a number that the rows do not hold.

    Attributes:
        task, cost, planner, predictor: what was run.
        control: whether the cost is a yardstick (zero or random actions, the true state) and no method.
        n: episodes.
        start, final, last10: mean distances at the start, at the end and over the last 10 steps.
        nearest, nearest_error: mean over episodes of the smallest distance, and its standard error.
        nearest_iqm: its interquartile mean.
        pairs: seeds shared with the baseline; 0 for the baseline itself and where there is nothing to compare.
        difference: nearest minus the baseline's, paired by seed; below zero is better than the baseline.
        ratio: the baseline's nearest over this one's, paired by seed: how many times nearer.
        nearer: share of pairs that came nearer than the baseline.
        seconds: per control step, by phase; ``other`` is what the phases do not explain.
        terms: mean over episodes of what the rows say a correspondence-wise cost was made of, by name (``TERMS``); NaN
            for other costs and for rows from before they were noted.
        refused: candidates whose cost was not finite, over all episodes.
    """

    task: str
    cost: str
    planner: str
    predictor: str
    control: bool
    n: int
    start: float
    nearest: float
    nearest_error: float
    nearest_iqm: float
    final: float
    last10: float
    pairs: int
    difference: Estimate
    ratio: Estimate
    nearer: float
    seconds: dict[str, float]
    terms: dict[str, float]
    refused: Refused


def summarize(rows: Iterable[Row], *, baseline: str = "l1") -> list[Summary]:
    """Return one line per (task, cost, planner, predictor), in the order of first appearance, controls last.

    Every line is compared with the cost named ``baseline`` of the same task, planner and predictor (or the task's only
    one) on the seeds that both have, unless one of the two planned nothing because all its candidates were refused. Of
    rows with the same key the last counts.
    """
    unique = {row_key(row): row for row in rows}
    methods: dict[Method, list[Row]] = {}
    for (task, cost, planner, predictor, _), row in unique.items():
        methods.setdefault((task, cost, planner, predictor), []).append(row)
    order = sorted(methods, key=lambda method: CONTROLS.index(method[1]) + 1 if method[1] in CONTROLS else 0)
    return [_summary(m, methods[m], _baseline(m, methods, baseline)) for m in order]


def _baseline(method: Method, methods: dict[Method, list[Row]], name: str) -> list[Row]:
    task, cost, *how = method
    if cost == name:
        return []
    same = [row for other, rows in methods.items() if other == (task, name, *how) for row in rows]
    others = [rows for other, rows in methods.items() if other[:2] == (task, name)]
    return same or (others[0] if len(others) == 1 else [])


def _summary(method: Method, rows: list[Row], baseline: list[Row]) -> Summary:
    nearest = _column(rows, "min_distance")
    refused = Refused.in_rows(rows)
    compared = not refused.everything and not Refused.in_rows(baseline).everything  # with a plan on both sides
    theirs = {row["seed"]: row for row in baseline if compared}
    paired = [row for row in rows if row["seed"] in theirs]
    a, b = _column(paired, "min_distance"), _column([theirs[row["seed"]] for row in paired], "min_distance")
    mean, error = mean_and_error(nearest)
    return Summary(
        *method,
        control=method[1] in CONTROLS,
        n=len(rows),
        start=mean_and_error(_column(rows, "start_distance"))[0],
        nearest=mean,
        nearest_error=error,
        nearest_iqm=iqm(nearest),
        final=mean_and_error(_column(rows, "final_distance"))[0],
        last10=mean_and_error(_column(rows, "last10_distance"))[0],
        pairs=len(paired),
        difference=paired_difference(a, b),
        ratio=paired_ratio(b, a),
        nearer=share_nearer(a, b),
        seconds=seconds_of(rows),
        terms={name: mean_and_error(_column(rows, name))[0] for name in TERMS},
        refused=refused,
    )


def seconds_of(rows: Sequence[Row]) -> dict[str, float]:
    """Return the mean seconds of a control step by phase; ``other`` is what the phases do not explain."""
    total: Counter[str] = Counter()
    for row in rows:
        parts = {phase: row.get(f"seconds_{phase}") or 0.0 for phase in PHASES}
        total.update({**parts, "other": max((row.get("seconds") or 0.0) - sum(parts.values()), 0.0)})
    steps = sum(row.get("steps") or 0 for row in rows)
    return {phase: total[phase] / steps if steps else float("nan") for phase in (*PHASES, "other")}


def _column(rows: Sequence[Row], name: str) -> list[Any]:
    return [row.get(name) for row in rows]
