"""Humanoid: Gymnasium's 17-motor body, seen from the front and side, standing or fallen."""

from __future__ import annotations

import mujoco
import numpy as np

from corrwise.envs.tasks.models import gymnasium_model, noisy_start
from corrwise.envs.tasks.task import Camera, GoalSampling, Task

_RANGE = 0.5  # metres from the middle of the image, within which the whole body is visible


def _model() -> mujoco.MjSpec:
    return gymnasium_model("humanoid.xml")


def _start(model: mujoco.MjModel, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return noisy_start(model, rng, qpos=model.qpos0, scale=0.1)


def _in_view(start: np.ndarray, goal: np.ndarray) -> bool:
    return bool(np.abs(goal[:2]).max() <= _RANGE)


HUMANOID = Task(
    name="humanoid",
    model=_model,
    camera=Camera(position=(2.6, -2.6, 1.5), target=(0.05, 0.0, 0.8), fovy=36.0),
    cameras={
        "side": Camera(position=(-2.6, -2.6, 1.5), target=(0.05, 0.0, 0.8), fovy=36.0),
        "top": Camera(position=(0.0, 0.0, 5.0), target=(0.0, 0.0, 0.8), fovy=36.0, up=(0.0, 1.0, 0.0)),
    },
    frame_skip=5,  # 15 ms
    episode_steps=30,
    start=_start,
    goal=GoalSampling(min_steps=15, max_steps=30, correlation=0.8, std=0.5, min_distance=1.0, accept=_in_view),
)
