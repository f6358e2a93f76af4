"""The planning table split by how far a body has to turn: a picture does not say which of equal limbs is which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import mujoco
import numpy as np

from corrwise.envs import TASKS
from corrwise.envs.metric import position_difference, split_state
from corrwise.experiments.markdown import markdown_table
from corrwise.experiments.planning.manifest import Manifest, frozen_manifest
from corrwise.experiments.planning.methods import BASELINE, BOUND, CEILING, OURS
from corrwise.experiments.planning.table_text import by_method, gap_closed, paired
from corrwise.experiments.stats import mean_and_error, paired_ratio

__all__ = ["turned", "turned_table"]

_HALF = 45.0  # degrees: half the turn after which Ant, which has four equal legs, looks as before
_SHOWN = (BASELINE, OURS, BOUND, CEILING)

Row = dict[str, Any]


def turned_table(rows: Iterable[Row]) -> str:
    """Return a line for each task with a free body and each side of 45 degrees: L1, ours, the bounds, and the ratio."""
    lines = []
    for task, methods in by_method(rows).items():
        if not _free(TASKS[task].compile()) or any(name not in methods for name in _SHOWN):
            continue
        angles = turned(frozen_manifest(task))
        for said, chosen in (("less than", lambda angle: angle < _HALF), ("at least", lambda angle: angle >= _HALF)):
            seeds = {seed for seed, angle in angles.items() if chosen(angle)}
            mine = {name: [row for row in methods[name] if row["seed"] in seeds] for name in _SHOWN}
            lines.append((task, f"{said} {_HALF:.0f}", *_cells(mine)))
    shown = ("L1", "ours", "exact flow", "true state")
    head = ("task", "degrees to turn", "n", *shown, "L1 / ours", "gap to exact flow closed")
    return markdown_table(head, lines) + "\n"


def turned(manifest: Manifest) -> dict[int, float]:
    """Return how many degrees the free body's orientation at the goal is from that at the start, by seed."""
    model = TASKS[manifest.task].compile()
    (start, _), (goal, _) = (split_state(model, states) for states in (manifest.starts, manifest.goals))
    first = model.jnt_dofadr[_free(model)[0]] + 3
    angles = np.degrees(np.linalg.norm(position_difference(model, start, goal)[:, first : first + 3], axis=1))
    return dict(zip(manifest.seeds.tolist(), angles.tolist(), strict=True))


def _free(model: mujoco.MjModel) -> list[int]:
    return np.flatnonzero(model.jnt_type == int(mujoco.mjtJoint.mjJNT_FREE)).tolist()


def _cells(mine: Mapping[str, Sequence[Row]]) -> list[str]:
    l1, ours, bound, _ = (mine[name] for name in _SHOWN)
    nearest = (f"{mean_and_error([row['min_distance'] for row in each])[0]:.2f}" for each in mine.values())
    ratio = paired_ratio(*paired("min_distance", l1, ours)).said(".2f")
    return [str(len(ours)), *nearest, ratio, gap_closed(ours, l1, bound)[0].said(".0%")]
