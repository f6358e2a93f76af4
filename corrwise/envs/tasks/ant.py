"""Ant: Gymnasium's quadruped, seen from above."""

from __future__ import annotations

import mujoco
import numpy as np

from corrwise.envs.tasks.models import gymnasium_model, noisy_start
from corrwise.envs.tasks.task import Camera, GoalSampling, Task

_RANGE = 0.8  # metres from the middle of the image, within which the whole body is visible


def _model() -> mujoco.MjSpec:
    return gymnasium_model("ant.xml")


def _start(model: mujoco.MjModel, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return noisy_start(model, rng, qpos=model.numeric("init_qpos").data, scale=0.1)


def _in_view(start: np.ndarray, goal: np.ndarray) -> bool:
    return bool(np.abs(goal[:2]).max() <= _RANGE)


ANT = Task(
    name="ant",
    model=_model,
    # From above all four legs, the heading and the position are visible; from the side the legs hide each other.
    camera=Camera(position=(0.0, 0.0, 5.5), target=(0.0, 0.0, 0.5), fovy=38.0, up=(0.0, 1.0, 0.0)),
    cameras={"side": Camera(position=(0.0, -5.5, 1.6), target=(0.0, 0.0, 0.4), fovy=38.0)},
    frame_skip=5,  # 50 ms
    episode_steps=30,
    start=_start,
    goal=GoalSampling(min_steps=15, max_steps=30, correlation=0.8, std=0.5, min_distance=1.0, accept=_in_view),
)
