"""Cartpole: dm_control's cart and pole on a track made wide, so that starts and goals lie metres apart."""

from __future__ import annotations

import mujoco
import numpy as np

from corrwise.envs.package_models import dm_control_model
from corrwise.envs.task import Camera, GoalSampling, Task

TRACK = 2.7  # metres to either side of the middle; dm_control's own track has 1.8
_GOAL_APART = 1.5  # metres between the cart's start and its goal, about four cart lengths


def _model() -> mujoco.MjSpec:
    spec = dm_control_model("cartpole.xml")
    spec.joint("slider").range = [-TRACK, TRACK]
    for rail in ("rail1", "rail2"):
        spec.geom(rail).size[1] = TRACK + 0.2
    return spec


def _start(model: mujoco.MjModel, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Stand still anywhere on the track, the pole at any angle."""
    qpos = np.array([rng.uniform(-TRACK + 0.3, TRACK - 0.3), rng.uniform(-np.pi, np.pi)])
    return qpos, np.zeros(model.nv)


def _metres_apart(start: np.ndarray, goal: np.ndarray) -> bool:
    return bool(abs(goal[0] - start[0]) >= _GOAL_APART and abs(goal[0]) <= TRACK)


CARTPOLE = Task(
    name="cartpole",
    model=_model,
    camera=Camera(position=(0.0, -7.6, 1.0), target=(0.0, 0.0, 1.0), fovy=45.0),
    frame_skip=5,  # 50 ms
    episode_steps=40,
    start=_start,
    goal=GoalSampling(min_steps=16, max_steps=40, correlation=0.97, min_distance=_GOAL_APART, accept=_metres_apart),
)
