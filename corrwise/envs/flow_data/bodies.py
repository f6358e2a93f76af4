"""Simulated bodies in random motion, each under a camera that it fills."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import mujoco
import numpy as np
import torch

from corrwise.envs.physics import Physics
from corrwise.envs.renderers.culling import moving_geoms
from corrwise.envs.renderers.shapes import SHOWN_GROUPS
from corrwise.envs.simulator import MujocoSimulator
from corrwise.envs.tasks.goals import correlated, start_state
from corrwise.envs.tasks.metric import integration_size
from corrwise.envs.tasks.models import dm_control_model
from corrwise.envs.tasks.task import Camera, GoalSampling, Task

__all__ = ["OTHER_BODIES", "TASK_BODIES", "Pool", "make_pool", "suite_task"]

TASK_BODIES = ("cartpole", "ant", "humanoid")
OTHER_BODIES = ("acrobot", "ball_in_cup", "finger", "hopper", "humanoid", "manipulator", "pendulum", "reacher")

_FOVY = 40.0
_MARGIN = 1.15  # radius of the view, in radii of the body's usual positions
_STEPS = 24  # control steps of an episode
_SEEN = 0.5  # share of the usual number of body pixels below which the body has left the image


@dataclass(frozen=True)
class Pool:
    """States of one body with their images.

    Attributes:
        simulator: the body, with its camera.
        states: (episodes, steps, S) integration states.
        images: uint8 (episodes, steps, 3, h, w).
        usable: (episodes, steps), False where the body is out of view or the physics diverged.
    """

    simulator: MujocoSimulator
    states: np.ndarray
    images: torch.Tensor
    usable: np.ndarray


def make_pool(task: Task, *, episodes: int, size: int, rng: np.random.Generator) -> Pool:
    """Return the states and images of a body under random, time-correlated actions from random starts."""
    simulator = MujocoSimulator(task, size=size)
    states = _random_walk(task, simulator.physics, episodes, rng)
    frames = simulator.render(states)
    images = (frames.nan_to_num(0.0) * 255).round().to(torch.uint8)
    covered = _body_pixels(frames)
    usable = np.isfinite(states).all(axis=2) & (covered >= _SEEN * np.median(covered))
    return Pool(simulator, states, images, usable)


def suite_task(name: str, rng: np.random.Generator) -> Task:
    """Return a dm_control body under a camera at a random angle that keeps it in view."""
    placeholder = Camera((0.0, -5.0, 1.0), (0.0, 0.0, 0.5), _FOVY)
    goal = GoalSampling(min_steps=1, max_steps=_STEPS)
    task = Task(name, partial(_without_sites, name), placeholder, 8, _STEPS, _random_pose, goal)
    return replace(task, camera=_framing(task, rng))


def _without_sites(name: str) -> mujoco.MjSpec:
    """Return a body without the markers that MuJoCo draws at its sites: the shipped weights were trained so."""
    spec = dm_control_model(f"{name}.xml")
    for site in spec.sites:
        site.group = SHOWN_GROUPS
    return spec


def _random_pose(model: mujoco.MjModel, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a pose anywhere within the joints' limits; free and ball joints keep near the model's own pose."""
    qpos = model.qpos0.copy()
    for joint in range(model.njnt):
        at, kind = model.jnt_qposadr[joint], int(model.jnt_type[joint])
        if kind in (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE)):
            low, high = model.jnt_range[joint] if model.jnt_limited[joint] else (-0.8, 0.8)
            middle = np.clip(qpos[at], low, high)
            qpos[at] = middle + 0.6 * rng.uniform(low - middle, high - middle)
        else:
            width = 7 if kind == int(mujoco.mjtJoint.mjJNT_FREE) else 4
            qpos[at : at + width] += rng.uniform(-0.2, 0.2, width)
    return qpos, rng.uniform(-1.0, 1.0, model.nv)


def _framing(task: Task, rng: np.random.Generator) -> Camera:
    """Return a camera at a random angle around the usual positions of the body's geoms."""
    model = task.compile()
    states = _random_walk(task, Physics(model, task.frame_skip), 8, rng).reshape(-1, integration_size(model))
    data = mujoco.MjData(model)
    moving, positions = moving_geoms(model) & (model.geom_group < SHOWN_GROUPS), []
    for state in states[np.isfinite(states).all(axis=1)][::4]:
        mujoco.mj_setState(model, data, state, int(mujoco.mjtState.mjSTATE_INTEGRATION))
        mujoco.mj_kinematics(model, data)
        positions.append(data.geom_xpos[moving].copy())
    points = np.concatenate(positions)
    low, high = np.quantile(points, [0.03, 0.97], axis=0)
    centre, radius = (low + high) / 2, max(float(np.linalg.norm(high - low)) / 2, 0.05) * _MARGIN
    azimuth, elevation = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.9)
    if model.nq <= 9 and _flat(points):
        azimuth = -np.pi / 2 + rng.uniform(-0.5, 0.5)  # a body that moves in a plane is seen across it
    away = radius / np.sin(np.radians(_FOVY / 2))
    direction = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
    position = centre + away * direction
    return Camera(tuple(position.tolist()), tuple(centre.tolist()), _FOVY)


def _flat(points: np.ndarray) -> bool:
    """Return whether the points lie nearly in the x-z plane."""
    spread = points.std(axis=0)
    return bool(spread[1] < 0.3 * max(spread[0], spread[2]))


def _random_walk(task: Task, physics: Physics, episodes: int, rng: np.random.Generator) -> np.ndarray:
    """Return the states (episodes, steps, S) that correlated random actions of random strength lead through."""
    model = physics.model
    starts = np.stack([start_state(task, model, rng) for _ in range(episodes)])
    steps, keep = task.episode_steps, rng.uniform(0.5, 0.98, (episodes, 1))
    noise = correlated(rng.standard_normal((episodes, steps, physics.action_dim)), keep)
    actions = np.clip(noise * rng.uniform(0.2, 1.0, (episodes, 1, 1)), -1, 1).astype(np.float32)
    after = physics.states(starts, torch.from_numpy(actions)[:, None], range(0, steps, 1))[:, 0]
    return np.concatenate([starts[:, None], after], axis=1)


def _body_pixels(frames: torch.Tensor) -> np.ndarray:
    """Return the number of pixels of each image that differ from the median image, which is the background."""
    flat = frames.reshape(-1, *frames.shape[2:])
    median = flat[:: max(1, len(flat) // 200)].nan_to_num(0.0).median(dim=0).values
    differs = ((flat - median).abs().amax(dim=1) > 0.03).sum(dim=(1, 2))
    return differs.reshape(frames.shape[:2]).numpy()
