"""Cartpole: dm_control's cart and pole, on a wide track with starts and goals metres apart, or on the original."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import mujoco
import numpy as np

from corrwise.envs.tasks.models import dm_control_model
from corrwise.envs.tasks.task import Camera, GoalSampling, Task

TRACK, SHORT = 2.7, 1.8  # metres to either side of the middle; the short track is dm_control's own
_APART, _SHORT_APART = 1.5, 0.5  # metres between the cart's start and its goal; a cart is 0.4 long


def _model(track: float) -> mujoco.MjSpec:
    spec = dm_control_model("cartpole.xml")
    spec.joint("slider").range = [-track, track]
    for rail in ("rail1", "rail2"):
        spec.geom(rail).size[1] = track + 0.2
    return spec


def _start(track: float, model: mujoco.MjModel, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a resting cart anywhere on the track, with the pole at any angle."""
    qpos = np.array([rng.uniform(-track + 0.3, track - 0.3), rng.uniform(-np.pi, np.pi)])
    return qpos, np.zeros(model.nv)


def _metres_apart(track: float, apart: float, start: np.ndarray, goal: np.ndarray) -> bool:
    return bool(abs(goal[0] - start[0]) >= apart and abs(goal[0]) <= track)


def _task(name: str, track: float, apart: float, camera: Camera) -> Task:
    accept = partial(_metres_apart, track, apart)
    return Task(
        name=name,
        model=partial(_model, track),
        camera=camera,
        cameras={"top": replace(camera, position=(0.0, 0.0, 1.0 - camera.position[1]), up=(0.0, 1.0, 0.0))},
        frame_skip=5,  # 50 ms
        episode_steps=40,
        start=partial(_start, track),
        goal=GoalSampling(min_steps=16, max_steps=40, correlation=0.97, min_distance=apart, accept=accept),
    )


CARTPOLE = _task("cartpole", TRACK, _APART, Camera(position=(0.0, -7.6, 1.0), target=(0.0, 0.0, 1.0), fovy=45.0))
CARTPOLE_SHORT = _task(
    "cartpole-short", SHORT, _SHORT_APART, Camera(position=(0.0, -5.4, 1.0), target=(0.0, 0.0, 1.0), fovy=45.0)
)
