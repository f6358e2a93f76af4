"""The planning table split by how far a body has to turn about the vertical: equal limbs look alike from above."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import mujoco
import numpy as np

from corrwise.envs import TASKS
from corrwise.envs.tasks.metric import split_state
from corrwise.experiments.report.markdown import markdown_table
from corrwise.experiments.runs.manifest import Manifest, frozen_manifest
from corrwise.experiments.studies.planning.methods import BASELINE, BOUND, CEILING, OURS
from corrwise.experiments.studies.planning.text import by_method, gap_closed, paired
from corrwise.experiments.report.statistics import mean_and_error, paired_ratio

__all__ = ["turned", "turned_table"]

_HALF = 45.0  # degrees: half the turn after which Ant, which has four equal legs, looks as before
_SHOWN = (BASELINE, OURS, BOUND, CEILING)
_DISTANCES = {"last 10 steps": "last10_distance", "nearest": "min_distance"}

Row = dict[str, Any]


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
                lines.append((task, f"{said} {_HALF:.0f}", str(len(seeds)), distance, *_cells(mine, column)))
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


def _cells(mine: Mapping[str, Sequence[Row]], column: str) -> list[str]:
    l1, ours, bound, _ = (mine[name] for name in _SHOWN)
    means = (f"{mean_and_error([row[column] for row in each])[0]:.2f}" for each in mine.values())
    ratio = paired_ratio(*paired(column, l1, ours)).said(".2f")
    return [*means, ratio, gap_closed(ours, l1, bound, column)[0].said(".0%")]
