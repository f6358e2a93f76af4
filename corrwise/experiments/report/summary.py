"""The table of a run: one line per task and method, made from rows alone, and rejected candidates."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from corrwise.experiments.report.statistics import (
    Estimate,
    iqm,
    mean_and_error,
    paired_difference,
    paired_ratio,
    share_nearer,
)
from corrwise.experiments.runs.rows import TERMS, row_key

Row = dict[str, Any]


@dataclass(frozen=True)
class Rejections:
    """Candidates and plans of some episodes that were rejected.

    Attributes:
        candidates: those whose cost was not finite.
        scored: all candidates; 0 where rows have no count.
        plans, of: plans in which every candidate was rejected, and all plans.
    """

    candidates: int
    scored: int
    plans: int
    of: int

    @classmethod
    def in_rows(cls, rows: Sequence[Row]) -> Rejections:
        """Count over episodes."""
        names = ("rejected", "scored", "plans_rejected", "steps")
        return cls(*(sum(row.get(name) or 0 for row in rows) for name in names))

    @property
    def everything(self) -> bool:
        """Whether no candidate was left in any plan, so that nothing was planned."""
        return 0 < self.scored == self.candidates

    def sentence(self, name: str) -> str:
        """Return a warning about a method of this name; empty where nothing was rejected."""
        if not self.candidates:
            return ""
        some = f"{self.candidates}{f' of {self.scored}' if self.scored else ''} candidates"
        sentence = f"{name}: {some} had a cost that is not finite and were rejected"
        if self.everything:
            return f"{sentence}, all in every plan; nothing was planned, and its numbers are no result"
        return f"{sentence}; in {self.plans} of {self.of} plans all were" if self.scored else sentence


def rejection_warnings(rows: Iterable[Row], by: Sequence[str]) -> list[str]:
    """Return a sentence about each method whose candidates were rejected; ``by`` are the fields that tell methods."""
    methods = _methods(rows, by).items()
    sentences = (Rejections.in_rows(mine).sentence(", ".join(filter(None, method))) for method, mine in methods)
    return [sentence for sentence in sentences if sentence]


def planned_rows(rows: Iterable[Row], by: Sequence[str]) -> list[Row]:
    """Return the rows of the methods that planned at all."""
    return [row for mine in _methods(rows, by).values() if not Rejections.in_rows(mine).everything for row in mine]


def quoted(sentences: Sequence[str]) -> str:
    """Return warnings in Markdown, to stand above a table."""
    return "".join(f"> **Warning:** {sentence}.\n\n" for sentence in sentences)


def warn(sentences: Sequence[str]) -> None:
    """Print warnings on the terminal."""
    for sentence in sentences:
        print(f"corrwise: warning: {sentence}", file=sys.stderr)


def _methods(rows: Iterable[Row], by: Sequence[str]) -> dict[tuple[str, ...], list[Row]]:
    methods: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        methods.setdefault(tuple(str(row[name]) for name in by), []).append(row)
    return methods


Method = tuple[str, str, str, str]  # task, cost, planner, predictor
CONTROLS = ("state", "exact-flow", "exact-flow-squared", "zero-action", "random-action")
PHASES = ("simulate", "render", "predict", "flow", "plan")


@dataclass(frozen=True)
class Summary:
    """One line of the table. Distances are position-only; NaN stands for a number that the rows lack.

    Attributes:
        task, cost, planner, predictor: what was run.
        control: whether the cost is a control (zero or random actions, exact flow, the true state).
        n: episodes.
        steps: the fewest and the most steps of an episode; None where no row states them.
        start, final, nearest: mean distances at the start and at the end, and mean smallest distance of an episode.
        last10, last10_error: mean over episodes of the distance over the last 10 steps, and its standard error; an
            episode of fewer than 10 counts whole, from its start.
        last10_iqm: its interquartile mean.
        pairs: seeds shared with the baseline; 0 for the baseline itself and without a comparison.
        difference: last10 minus the baseline's, paired by seed; below zero is better than the baseline.
        ratio: the baseline's last10 over this one's, paired by seed: how many times nearer.
        nearer: share of pairs that ended nearer than the baseline.
        seconds: per control step, by phase; ``other`` is the rest.
        terms: mean over episodes of the parts of a correspondence-wise cost, by name (``TERMS``); NaN for other costs
            and for older rows.
        rejected: candidates whose cost was not finite, over all episodes.
    """

    task: str
    cost: str
    planner: str
    predictor: str
    control: bool
    n: int
    steps: tuple[int, int] | None
    start: float
    last10: float
    last10_error: float
    last10_iqm: float
    final: float
    nearest: float
    pairs: int
    difference: Estimate
    ratio: Estimate
    nearer: float
    seconds: dict[str, float]
    terms: dict[str, float]
    rejected: Rejections

    @property
    def method(self) -> Method:
        """Task, cost, planner and predictor."""
        return self.task, self.cost, self.planner, self.predictor

    @property
    def has_terms(self) -> bool:
        """Whether any part of the cost is known."""
        return any(value == value for value in self.terms.values())


def summarize(rows: Iterable[Row], *, baseline: str = "l1") -> list[Summary]:
    """Return one line per (task, cost, planner, predictor), in the order of first appearance, controls last.

    Every line is compared with the cost named ``baseline`` of the same task, planner and predictor (or the task's only
    one) on the seeds that both have, unless one of the two planned nothing because all its candidates were rejected. Of
    rows with the same key the last counts.
    """
    unique = {row_key(row): row for row in rows}
    methods: dict[Method, list[Row]] = {}
    for (task, cost, planner, predictor, _), row in unique.items():
        methods.setdefault((task, cost, planner, predictor), []).append(row)
    order = sorted(methods, key=lambda method: CONTROLS.index(method[1]) + 1 if method[1] in CONTROLS else 0)
    return [_summary(m, methods[m], _baseline(m, methods, baseline)) for m in order]


def averaged(lines: Iterable[Summary]) -> str:
    """Return over which distances of an episode ``last10`` is the mean: those of the last 10 steps, where it has 10."""
    steps = [line.steps for line in lines if line.steps]
    least, most = min((low for low, _ in steps), default=10), max((high for _, high in steps), default=10)
    if least >= 10:
        return "last 10 steps"
    if least < most:
        return "last 10 steps or fewer"
    return f"start and {most} step{'' if most == 1 else 's'}"


def _baseline(method: Method, methods: dict[Method, list[Row]], name: str) -> list[Row]:
    task, cost, *how = method
    if cost == name:
        return []
    same = [row for other, rows in methods.items() if other == (task, name, *how) for row in rows]
    others = [rows for other, rows in methods.items() if other[:2] == (task, name)]
    return same or (others[0] if len(others) == 1 else [])


def _summary(method: Method, rows: list[Row], baseline: list[Row]) -> Summary:
    last10 = _column(rows, "last10_distance")
    rejected = Rejections.in_rows(rows)
    compared = not rejected.everything and not Rejections.in_rows(baseline).everything  # with a plan on both sides
    base = {row["seed"]: row for row in baseline if compared}
    paired = [row for row in rows if row["seed"] in base]
    a, b = _column(paired, "last10_distance"), _column([base[row["seed"]] for row in paired], "last10_distance")
    mean, error = mean_and_error(last10)
    steps = [row["steps"] for row in rows if row.get("steps") is not None]
    return Summary(
        *method,
        control=method[1] in CONTROLS,
        n=len(rows),
        steps=(min(steps), max(steps)) if steps else None,
        start=mean_and_error(_column(rows, "start_distance"))[0],
        last10=mean,
        last10_error=error,
        last10_iqm=iqm(last10),
        final=mean_and_error(_column(rows, "final_distance"))[0],
        nearest=mean_and_error(_column(rows, "min_distance"))[0],
        pairs=len(paired),
        difference=paired_difference(a, b),
        ratio=paired_ratio(b, a),
        nearer=share_nearer(a, b),
        seconds=seconds_of(rows),
        terms={name: mean_and_error(_column(rows, name))[0] for name in TERMS},
        rejected=rejected,
    )


def seconds_of(rows: Sequence[Row]) -> dict[str, float]:
    """Return the mean seconds of a control step by phase; ``other`` is the rest, but for what restores a goal once."""
    total: Counter[str] = Counter()
    for row in rows:
        parts = {phase: row.get(f"seconds_{phase}") or 0.0 for phase in PHASES}
        spent = (row.get("seconds") or 0.0) - (row.get("seconds_restore") or 0.0)
        total.update({**parts, "other": max(spent - sum(parts.values()), 0.0)})
    steps = sum(row.get("steps") or 0 for row in rows)
    return {phase: total[phase] / steps if steps else float("nan") for phase in (*PHASES, "other")}


def _column(rows: Sequence[Row], name: str) -> list[Any]:
    return [row.get(name) for row in rows]
