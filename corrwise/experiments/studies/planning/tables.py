"""What the rows of the planning table say, as Markdown: plain, by turning angle, and beside the paper's Table A3."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import mujoco
import numpy as np

from corrwise.envs import TASKS
from corrwise.envs.tasks.manifest import Manifest, frozen_manifest
from corrwise.envs.tasks.metric import split_state
from corrwise.experiments.cli.cost import CONTROL_NAMES
from corrwise.experiments.cli.options import TASK_NAMES
from corrwise.experiments.report.statistics import (
    Estimate,
    iqm,
    mean_and_error,
    paired_difference,
    paired_ratio,
    share_nearer,
)
from corrwise.experiments.report.summary import seconds_of
from corrwise.experiments.report.table import markdown_table
from corrwise.experiments.studies.planning.methods import BASELINE, BOUND, CEILING, METHODS, OURS, REGULARIZED, SCALED

__all__ = [
    "PAPER",
    "by_method",
    "gap_closed",
    "gap_is_clear",
    "in_order",
    "mpc_table",
    "paired",
    "paper_table",
    "turned",
    "turned_table",
]

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
    lines = [(task, *_cells(name, methods)) for task, methods in by_method(rows).items() for name in in_order(methods)]
    kept = [i for i, _ in enumerate(_HEAD) if not lines or any(line[i] for line in lines)]
    return markdown_table([_HEAD[i] for i in kept], [[line[i] for i in kept] for line in lines]) + "\n"


def by_method(rows: Iterable[Row]) -> dict[str, Rows]:
    """Return the rows of each task, by method; tasks as the command line names them, whichever was run first."""
    tasks: dict[str, Rows] = {name: {} for name in TASK_NAMES}
    for row in rows:
        tasks.setdefault(row["task"], {}).setdefault(row["method"], []).append(row)
    return {task: methods for task, methods in tasks.items() if methods}


def in_order(methods: Iterable[str]) -> list[str]:
    """Return the methods in the order of the command, those that it does not try by default at the end."""
    there = list(methods)
    return [*(name for name in METHODS if name in there), *(name for name in there if name not in METHODS)]


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


_HALF = 45.0  # degrees: half the turn after which Ant, which has four equal legs, looks as before
_SHOWN = (BASELINE, OURS, BOUND, CEILING)
_DISTANCES = {"last 10 steps": "last10_distance", "nearest": "min_distance"}


def turned_table(rows: Iterable[Row]) -> str:
    """Return two lines for each task with a free body and each side of 45 degrees: L1, ours, the bounds, the ratio."""
    lines = []
    for task, methods in by_method(rows).items():
        if not _free(TASKS[task].compile()) or any(name not in methods for name in _SHOWN):
            continue
        angles = turned(frozen_manifest(task))
        for said, chosen in (("less than", lambda angle: angle < _HALF), ("at least", lambda angle: angle >= _HALF)):
            seeds = {seed for seed, angle in angles.items() if chosen(angle)}
            mine = {name: [row for row in methods[name] if row["seed"] in seeds] for name in _SHOWN}
            for distance, column in _DISTANCES.items():
                lines.append((task, f"{said} {_HALF:.0f}", str(len(seeds)), distance, *_turned_cells(mine, column)))
    shown = ("L1", "ours", "exact flow", "true state")
    head = ("task", "degrees of yaw", "n", "distance", *shown, "L1 / ours", "gap to exact flow closed")
    return markdown_table(head, lines) + "\n"


def turned(manifest: Manifest) -> dict[int, float]:
    """Return how many degrees the free body's heading at the goal is from that at the start, 0 to 180, by seed.

    The heading is where the body's own x axis points on the floor: a body that pitches or rolls has not turned.
    """
    model = TASKS[manifest.task].compile()
    first = model.jnt_qposadr[_free(model)[0]] + 3
    start, goal = (
        _heading(split_state(model, states)[0][:, first : first + 4]) for states in (manifest.starts, manifest.goals)
    )
    angles = np.degrees(np.abs((goal - start + np.pi) % (2 * np.pi) - np.pi))
    return dict(zip(manifest.seeds.tolist(), angles.tolist(), strict=True))


def _heading(quaternion: np.ndarray) -> np.ndarray:
    """Return the angle of the x axis on the floor, radians, of orientations (n, 4), w first."""
    w, x, y, z = quaternion.T
    return np.arctan2(2 * (w * z + x * y), w * w + x * x - y * y - z * z)


def _free(model: mujoco.MjModel) -> list[int]:
    return np.flatnonzero(model.jnt_type == int(mujoco.mjtJoint.mjJNT_FREE)).tolist()


def _turned_cells(mine: Mapping[str, Sequence[Row]], column: str) -> list[str]:
    l1, ours, bound, _ = (mine[name] for name in _SHOWN)
    means = (f"{mean_and_error([row[column] for row in each])[0]:.2f}" for each in mine.values())
    ratio = paired_ratio(*paired(column, l1, ours)).said(".2f")
    return [*means, ratio, gap_closed(ours, l1, bound, column)[0].said(".0%")]


PAPER: Mapping[str, Mapping[str, float]] = MappingProxyType(  # Geng et al. 2022, Table A3; its state norm is not told
    {
        "cartpole": {BASELINE: 5.520, SCALED: 1.653, REGULARIZED: 1.623},
        "ant": {BASELINE: 1.735, SCALED: 1.710, REGULARIZED: 1.523},
        "humanoid": {BASELINE: 1.229, SCALED: 1.155, REGULARIZED: 1.176},
    }
)
COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        BASELINE: "pixel L1",
        SCALED: "corr-L1, scaled, all-pairs flow",
        REGULARIZED: "corr-L1, regularised, all-pairs flow",
        OURS: "recommended: squared displacement, learned flow",
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
