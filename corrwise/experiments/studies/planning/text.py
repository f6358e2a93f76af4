"""What the rows of the planning table say, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from corrwise.experiments.report.markdown import markdown_table
from corrwise.experiments.cli.cost import CONTROL_NAMES
from corrwise.experiments.cli.mpc import TASK_NAMES
from corrwise.experiments.studies.planning.methods import BASELINE, BOUND, CEILING, METHODS
from corrwise.experiments.report.statistics import Estimate, iqm, mean_and_error, paired_difference, paired_ratio, share_nearer
from corrwise.experiments.report.summary import seconds_of

__all__ = ["by_method", "gap_closed", "gap_is_clear", "mpc_table", "paired"]

Row = dict[str, Any]
Rows = dict[str, list[Row]]

_HEAD = (
    "task", "method", "n", "last 10", "last 10: L1 / this", "nearest", "IQM", "L1 / this", "nearer than L1",
    "gap to state closed", "gap to exact flow closed", "s a plan", "simulate / render / flow / rest",
)  # fmt: skip


def mpc_table(rows: Iterable[Row]) -> str:
    """Return one line per task and method; ratios and shares are paired by episode, with 95 % bootstrap intervals.

    A tie is half nearer. A share of a gap that may be none is left out, and so is a column in which nothing stands.
    """
    lines = [
        (task, *_cells(name, methods))
        for task, methods in by_method(rows).items()
        for name in METHODS
        if name in methods
    ]
    kept = [i for i, _ in enumerate(_HEAD) if not lines or any(line[i] for line in lines)]
    return markdown_table([_HEAD[i] for i in kept], [[line[i] for i in kept] for line in lines]) + "\n"


def by_method(rows: Iterable[Row]) -> dict[str, Rows]:
    """Return the rows of each task, by method; tasks as the command line names them, whichever was run first."""
    tasks: dict[str, Rows] = {name: {} for name in TASK_NAMES}
    for row in rows:
        tasks.setdefault(row["task"], {}).setdefault(row["method"], []).append(row)
    return {task: methods for task, methods in tasks.items() if methods}


def paired(column: str, *runs: Sequence[Row]) -> list[list[float | None]]:
    """Return a column of each run on the episodes that all of them have."""
    values = [{row["seed"]: row.get(column) for row in rows} for rows in runs]
    seeds = sorted(set.intersection(*(set(each) for each in values)))
    return [[each[seed] for seed in seeds] for each in values]


def gap_closed(
    ours: Sequence[Row], floor: Sequence[Row], bound: Sequence[Row], column: str = "min_distance"
) -> tuple[Estimate, int]:
    """Return (floor - ours) / (floor - bound) of the mean distances on the episodes that all three have.

    1 is what the bound reaches with the same planner, 0 what the floor does. With the number of episodes, and a paired
    bootstrap interval.
    """
    near, least, most = (np.array(each, dtype=float) for each in paired(column, ours, floor, bound))
    return paired_ratio(least - near, least - most), int(np.isfinite(near + least + most).sum())


def gap_is_clear(floor: Sequence[Row], bound: Sequence[Row], column: str = "min_distance") -> bool:
    """Return whether the bound comes nearer than the floor, or farther: whether a share of that gap means anything."""
    whole = paired_difference(*paired(column, floor, bound))
    return whole.low != whole.low or whole.excludes_zero  # one episode has no interval


def _cells(name: str, methods: Rows) -> list[str]:
    mine, l1 = methods[name], methods.get(BASELINE, [])
    nearest = [row["min_distance"] for row in mine]
    said = f"*{name}*" if name in CONTROL_NAMES else f"`{name}`"
    seconds = seconds_of(mine)
    rest = seconds["predict"] + seconds["plan"] + seconds["other"]
    phases = " / ".join(f"{each:.2f}" for each in (seconds["simulate"], seconds["render"], seconds["flow"], rest))
    return [
        said,
        str(len(mine)),
        f"{mean_and_error([row['last10_distance'] for row in mine])[0]:.2f}",
        _ratio("last10_distance", l1, mine) if name != BASELINE else "1",
        f"{mean_and_error(nearest)[0]:.2f}",
        f"{iqm(nearest):.2f}",
        _ratio("min_distance", l1, mine) if name != BASELINE else "1",
        _percent(share_nearer(*reversed(paired("min_distance", l1, mine)))) if name != BASELINE and l1 else "",
        *(_gap(mine, l1, methods.get(best, [])) for best in (CEILING, BOUND)),
        f"{sum(seconds.values()):.2f}",
        phases,
    ]


def _ratio(column: str, l1: Sequence[Row], mine: Sequence[Row]) -> str:
    return paired_ratio(*paired(column, l1, mine)).said(".2f")


def _gap(mine: Sequence[Row], l1: Sequence[Row], best: Sequence[Row]) -> str:
    if not l1 or not best or not gap_is_clear(l1, best):
        return ""
    return gap_closed(mine, l1, best)[0].said(".0%") if mine is not l1 else "0 %"


def _percent(share: float) -> str:
    return "" if share != share else f"{share:.0%}"
