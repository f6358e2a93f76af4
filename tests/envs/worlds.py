"""Small worlds, their states, and plain MuJoCo as the reference that this package's code is measured against."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

import gymnasium
import mujoco
import numpy as np

from corrwise.envs import TASKS, Camera, Fleet, GoalSampling, MujocoSimulator, Task

FULL = int(mujoco.mjtState.mjSTATE_INTEGRATION)
SIZE = 24


@functools.cache
def simulator(name: str) -> MujocoSimulator:
    """One simulator per task for the whole test run; a simulator remembers nothing between calls."""
    return MujocoSimulator(TASKS[name], size=SIZE)


@functools.cache
def _fleet_states(name: str) -> np.ndarray:
    fleet = Fleet(simulator(name))
    fleet.reset([3, 4, 5])
    return np.concatenate([fleet.snapshot(), fleet.goal_states])


def some_states(name: str) -> np.ndarray:
    """Three starts and their three goals, (6, S)."""
    return _fleet_states(name).copy()


def state_of(model: mujoco.MjModel, change: Callable[[mujoco.MjData], None] = lambda data: None) -> np.ndarray:
    """Return the integration state of the model's rest pose after ``change(data)``, (S,)."""
    data = mujoco.MjData(model)
    change(data)
    mujoco.mj_forward(model, data)
    state = np.empty(mujoco.mj_stateSize(model, FULL))
    mujoco.mj_getState(model, data, state, FULL)
    return state


def rest(model: mujoco.MjModel, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return model.qpos0.copy(), np.zeros(model.nv)


def task_of(xml: str, *, camera: Camera | None = None) -> Task:
    """Make a task of an MJCF string, seen along +y from 4 m away; ``{"z": up}``, x to the right."""
    return Task(
        name="test",
        model=lambda: mujoco.MjSpec.from_string(xml),
        camera=camera or Camera(position=(0.0, -4.0, 0.0), target=(0.0, 0.0, 0.0)),
        frame_skip=2,
        episode_steps=10,
        start=rest,
        goal=GoalSampling(min_steps=2, max_steps=10, min_distance=0.01),
    )


def shorter(task: Task, steps: int) -> Task:
    """Return the task with episodes of ``steps``, goals within them."""
    return replace(task, episode_steps=steps, goal=replace(task.goal, min_steps=1, max_steps=steps, accept=None))


def near(name: str) -> Task:
    """Return a task whose episodes end after six steps and whose goals are accepted at once."""
    task = TASKS[name]
    return shorter(replace(task, goal=replace(task.goal, min_distance=0.1)), 6)


def moves(env: gymnasium.Env | gymnasium.vector.VectorEnv, count: int) -> list[np.ndarray]:
    """Return ``count`` actions, the same for all environments with the same action space."""
    rng = np.random.default_rng(0)
    return [rng.uniform(-1, 1, env.action_space.shape).astype(np.float32) for _ in range(count)]


def flat(value: object) -> list[np.ndarray]:
    """Return the arrays in nested results, in order."""
    if isinstance(value, dict):
        return [array for name in sorted(value) for array in flat(value[name])]
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.dtype == object):
        return [array for each in value for array in flat(each)]
    return [] if value is None else [np.asarray(value)]


def same(one: object, two: object) -> bool:
    """Return whether nested results are equal to the bit."""
    first, second = flat(one), flat(two)
    return len(first) == len(second) and all(map(np.array_equal, first, second))


def goes_on(env: gymnasium.Env) -> list[object]:
    """Step, reset, step again, and return all results and the last state."""
    seen = [env.step(action) for action in moves(env, 4)]
    return [*seen, env.reset(), env.step(moves(env, 1)[0]), env.unwrapped.snapshot()]
