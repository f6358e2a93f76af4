"""The planning table in the shape of the paper's Table A3, with the paper's own numbers under ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from corrwise.experiments.cli.mpc import TASK_NAMES
from corrwise.experiments.studies.planning.methods import BASELINE
from corrwise.experiments.studies.planning.text import by_method, paired
from corrwise.experiments.report.statistics import mean_and_error, paired_ratio

__all__ = ["PAPER", "paper_table"]

Row = dict[str, Any]

PAPER: Mapping[str, Mapping[str, float]] = MappingProxyType(  # Geng et al. 2022, Table A3; its state norm is not told
    {
        "cartpole": {"l1": 5.520, "corr-l1": 1.653, "corr-l1-reg": 1.623},
        "ant": {"l1": 1.735, "corr-l1": 1.710, "corr-l1-reg": 1.523},
        "humanoid": {"l1": 1.229, "corr-l1": 1.155, "corr-l1-reg": 1.176},
    }
)
COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "l1": "pixel L1",
        "corr-l1": "corr-L1, scaled",
        "corr-l1-reg": "corr-L1, regularised",
        "corr-l1-disp": "corr-L1, learned flow",
        "exact-flow": "*exact flow*",
        "exact-flow-squared": "*exact flow, squared*",
        "state": "*true state*",
        "zero-action": "*no action*",
    }
)


def paper_table(rows: Iterable[Row]) -> str:
    """Return the mean distance over an episode's last ten steps, and how many times less than L1's that is.

    Under it stands the same of the smallest distance, which flatters a body that swings past its goal. A ratio is of
    means, over the episodes that both methods have. A method without rows has no column.
    """
    tasks = by_method(rows)
    columns = [name for name in COLUMNS if any(name in methods for methods in tasks.values())]
    lines = ["| | " + " | ".join(COLUMNS[name] for name in columns) + " |", "|" + "---|" * (len(columns) + 1)]
    for task in (name for name in TASK_NAMES if name in tasks):
        methods = tasks[task]
        for said, column in ((f"**{task}**, last 10 steps", "last10_distance"), ("nearest", "min_distance")):
            cells = [_ours(column, methods.get(name, []), methods.get(BASELINE, [])) for name in columns]
            lines.append("| " + " | ".join([said, *cells]) + " |")
        if task in PAPER:
            lines.append("| " + " | ".join(["the paper's", *(_theirs(PAPER[task], name) for name in columns)]) + " |")
    return "\n".join(lines) + "\n"


def _ours(column: str, mine: Sequence[Row], l1: Sequence[Row]) -> str:
    if not mine:
        return ""
    distance = mean_and_error([row[column] for row in mine])[0]
    return _cell(f"{distance:.2f}", None if mine is l1 else paired_ratio(*paired(column, l1, mine)).value)


def _theirs(numbers: Mapping[str, float], name: str) -> str:
    if name not in numbers:
        return ""
    return _cell(f"{numbers[name]:.3f}", None if name == BASELINE else numbers[BASELINE] / numbers[name])


def _cell(distance: str, times: float | None) -> str:
    return distance if times is None or times != times else f"{distance} ({times:.2f}x)"
