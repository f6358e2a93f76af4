"""Cartpole: dm_control's cart and pole, on a wide track with starts and goals metres apart, or on the original.

``cartpole-gusts`` is a cart with a fixed mast. Its goals lie between a shelter and a slope that no actuator can climb.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import mujoco
import numpy as np

from corrwise.envs.tasks.gusts import Gusts
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


LEFT, SHELTER, EDGE, RIGHT = -0.8, 0.8, 1.2, 2.4  # metres: the track's end, where gusts begin, the slope, its foot
_SLOPE = 200.0  # N per metre beyond the edge; the actuator's 10 N hold a cart until 5 cm beyond


def _gusts_model() -> mujoco.MjSpec:
    spec = dm_control_model("cartpole.xml")
    spec.joint("slider").range = [LEFT, RIGHT]
    spec.delete(spec.joint("hinge_1"))
    for rail in ("rail1", "rail2"):  # they end where the slope begins
        spec.geom(rail).pos[0], spec.geom(rail).size[1] = (LEFT - 0.2 + EDGE) / 2, (EDGE - LEFT + 0.2) / 2
    slope = spec.add_tendon(name="slope")
    slope.wrap_joint("slider", 1.0)
    slope.stiffness = [-_SLOPE, 0.0, 0.0]  # pushes away from the edge; before it, nothing acts
    slope.springlength = [-100.0, EDGE]
    return spec


def _sheltered(model: mujoco.MjModel, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a resting cart in the shelter."""
    return np.array([rng.uniform(LEFT + 0.3, 0.5)]), np.zeros(model.nv)


def _exposed(start: np.ndarray, goal: np.ndarray) -> bool:
    return bool(EDGE - 0.2 <= goal[0] <= EDGE - 0.05)


CARTPOLE_GUSTS = Task(
    name="cartpole-gusts",
    model=_gusts_model,
    camera=Camera(position=(0.8, -4.8, 1.0), target=(0.8, 0.0, 1.0), fovy=45.0),
    frame_skip=5,  # 50 ms
    episode_steps=40,
    start=_sheltered,
    goal=GoalSampling(min_steps=10, max_steps=40, correlation=0.97, min_distance=0.4, accept=_exposed),
    gusts=Gusts("slider", force=30.0, beyond=SHELTER),
)
