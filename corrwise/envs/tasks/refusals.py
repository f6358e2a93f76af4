"""Why a start or a goal was refused, in words that say what to change."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Any

import mujoco
import numpy as np
from jaxtyping import Float64

from corrwise.envs.tasks.task import Task

__all__ = ["Reason", "no_goal", "valid_start"]


class Reason(Enum):
    """Why a hidden action sequence led to no goal: what it did, and what to change."""

    NEAR = "ended less than {distance} from their start", "lower min_distance or raise max_steps, std or correlation"
    REFUSED = "were refused by accept", "loosen accept, or change where episodes start"
    DIVERGED = "diverged", "lower the model's timestep or the std of the hidden actions"
    DEEP = (
        "ended in contacts too deep to be sound",
        "draw starts that do not penetrate, or stiffen the model's contacts",
    )
    OUT_OF_VIEW = (
        "ended with a part outside the image",
        "move the camera away, widen its fovy, or leave in_view=False",
    )
    START_OUT_OF_VIEW = (
        "had a start with a part outside the image",
        "draw starts inside the image, move the camera away, or leave in_view=False",
    )


def no_goal(task: Task, refused: Counter[Reason]) -> str:
    """Return the sentence for a task whose goals were all refused: how many for which reason, and what to change."""
    counts = refused.most_common()
    what = ", ".join(f"{count} {reason.value[0].format(distance=task.goal.min_distance)}" for reason, count in counts)
    return (
        f"{task.name}: none of {refused.total()} hidden action sequences reached a goal: {what}; "
        f"{counts[0][0].value[1]}"
    )


def valid_start(
    task: Task, model: mujoco.MjModel, start: Any
) -> tuple[Float64[np.ndarray, "nq"], Float64[np.ndarray, "nv"]]:
    """Return the positions and velocities that a task's start consists of.

    Raises:
        ValueError: if it is not a pair of the model's sizes, or one of its numbers is not finite.
    """
    try:
        qpos, qvel = (np.asarray(part, dtype=np.float64) for part in start)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{task.name}: start must return two arrays (qpos, qvel), got {start!r:.80}") from error
    for name, values, size in (("qpos", qpos, model.nq), ("qvel", qvel, model.nv)):
        if values.shape != (size,):
            raise ValueError(
                f"{task.name}: start must return qpos ({model.nq},) and qvel ({model.nv},), "
                f"got {qpos.shape} and {qvel.shape}"
            )
        wrong = np.flatnonzero(~(np.abs(values) <= mujoco.mjMAXVAL))
        if len(wrong):
            raise ValueError(
                f"{task.name}: start must return finite numbers, got {name}[{wrong[0]}] = {values[wrong[0]]}"
            )
    return qpos, qvel
