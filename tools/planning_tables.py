"""The tables of docs/results/table-mpc that no command writes: beside the paper's Table A3, and by turning angle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import mujoco
import numpy as np

from corrwise.envs import TASKS
from corrwise.envs.tasks.manifest import Manifest, frozen_manifest
from corrwise.envs.tasks.metric import split_state
from corrwise.experiments.cli.options import TASK_NAMES
from corrwise.experiments.report.statistics import mean_and_error, paired_ratio
from corrwise.experiments.report.table import markdown_table
from corrwise.experiments.studies.planning import (
    BASELINE,
    BOUND,
    CEILING,
    OURS,
    REGULARIZED,
    SCALED,
    Row,
    by_method,
    gap_closed,
    paired,
)

PAPER: Mapping[str, Mapping[str, float]] = MappingProxyType(  # Geng et al. 2022, Table A3; its state norm is not given
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

    The line below has the same of the smallest distance, which flatters a body that swings past its goal. A ratio is of
    means, over the episodes that both methods have. A method without rows has no column.
    """
    tasks = by_method(rows)
    columns = [name for name in COLUMNS if any(name in methods for methods in tasks.values())]
    lines = []
    for task in (name for name in TASK_NAMES if name in tasks):
        methods = tasks[task]
        for label, column in ((f"**{task}**, last 10 steps", "last10_distance"), ("nearest", "min_distance")):
            lines.append(
                [label, *(_measured(column, methods.get(name, []), methods.get(BASELINE, [])) for name in columns)]
            )
        if task in PAPER:
            lines.append(["the paper's", *(_published(PAPER[task], name) for name in columns)])
    return markdown_table(["", *(COLUMNS[name] for name in columns)], lines)


def _measured(column: str, mine: Sequence[Row], l1: Sequence[Row]) -> str:
    if not mine:
        return ""
    distance = mean_and_error([row[column] for row in mine])[0]
    return _cell(f"{distance:.2f}", None if mine is l1 else paired_ratio(*paired(column, l1, mine)).value)


def _published(numbers: Mapping[str, float], name: str) -> str:
    if name not in numbers:
        return ""
    return _cell(f"{numbers[name]:.3f}", None if name == BASELINE else numbers[BASELINE] / numbers[name])


def _cell(distance: str, times: float | None) -> str:
    return distance if times is None or times != times else f"{distance} ({times:.2f}x)"


_HALF = 45.0  # degrees: half the turn after which Ant, which has four equal legs, has the same image
_SHOWN = (BASELINE, OURS, BOUND, CEILING)
_DISTANCES = {"last 10 steps": "last10_distance", "nearest": "min_distance"}


def turned_table(rows: Iterable[Row]) -> str:
    """Return two lines for each task with a free body and each side of 45 degrees: L1, ours, the bounds, the ratio."""
    lines = []
    for task, methods in by_method(rows).items():
        if not _free(TASKS[task].compile()) or any(name not in methods for name in _SHOWN):
            continue
        angles = turned(frozen_manifest(task))
        for label, chosen in (("less than", lambda angle: angle < _HALF), ("at least", lambda angle: angle >= _HALF)):
            seeds = {seed for seed, angle in angles.items() if chosen(angle)}
            mine = {name: [row for row in methods[name] if row["seed"] in seeds] for name in _SHOWN}
            for distance, column in _DISTANCES.items():
                lines.append((task, f"{label} {_HALF:.0f}", str(len(seeds)), distance, *_turned_cells(mine, column)))
    shown = ("L1", "ours", "exact flow", "true state")
    head = ("task", "degrees of yaw", "n", "distance", *shown, "L1 / ours", "gap to exact flow closed")
    return markdown_table(head, lines)


def turned(manifest: Manifest) -> dict[int, float]:
    """Return how many degrees the free body's heading at the goal is from that at the start, 0 to 180, by seed.

    The heading is where the body's own x axis points on the ground: a body that pitches or rolls has not turned.
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
    ratio = paired_ratio(*paired(column, l1, ours)).text(".2f")
    return [*means, ratio, gap_closed(ours, l1, bound, column)[0].text(".0%")]
