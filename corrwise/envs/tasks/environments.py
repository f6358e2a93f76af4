"""Tasks made from environments of Gymnasium and dm_control: ``gym:Hopper-v5`` and ``dm_control:walker-walk``.

Model, control step and starts are the environment's own. Camera and goals are fitted to states that random actions
reach. The environment's reward, observations and termination are not used.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from importlib.util import find_spec
from typing import Any
from unittest.mock import patch

import mujoco
import numpy as np
import torch

from corrwise.envs.physics import Physics
from corrwise.envs.tasks.goals import correlated, start_state
from corrwise.envs.tasks.metric import state_distance
from corrwise.envs.tasks.task import Camera, GoalSampling, Task
from corrwise.envs.tasks.viewpoint import fitted_camera

__all__ = ["environment_task"]

_EPISODE = 0.6  # seconds, clipped to the following range
_STEPS = (30, 60)  # control steps
_STARTS, _CANDIDATES, _KEPT = 8, 4, 5  # of the random motions that camera and goals are fitted to
_NEAREST = 0.5  # of the median distance that random actions reach: the smallest distance of goals
_AT_REST = 1e-3  # m, rad; a state that moves less is not controllable


@cache
def environment_task(name: str) -> Task:
    """Return the task of ``gym:ID``, ``dm_control:DOMAIN`` (its first task) or ``dm_control:DOMAIN-TASK``.

    Raises:
        ValueError: if the environment is unknown, its package is not installed, or it has no MuJoCo model with
            actuators that move something visible.
    """
    source, _, which = name.partition(":")
    make, start, model = _PARTS[source]
    task = Task(
        name=which,
        model=partial(model, which),
        camera=Camera(position=(0.0, -5.0, 1.0), target=(0.0, 0.0, 0.5)),
        frame_skip=_frame_skip(source, make(which)),
        episode_steps=_STEPS[1],
        start=partial(start, which),
        goal=GoalSampling(min_steps=1, max_steps=_STEPS[1], in_view=True),
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "compiler attribute")  # shown when the task is used
        return _fitted(name, task, make(which))


def _fitted(name: str, task: Task, env: Any) -> Task:
    """Return the task with a camera, goals and an episode length that fit the motion of random actions."""
    physics = Physics(task.compile(), task.frame_skip)
    _check(name, physics, env)
    steps = int(np.clip(round(_EPISODE / (physics.model.opt.timestep * task.frame_skip)), *_STEPS))
    try:
        states = _reached(task, physics, steps)
    except mujoco.FatalError as error:
        raise ValueError(f"{name} cannot be a task: its reset fails: {_line(error)}") from error
    far = np.median(state_distance(physics.model, states[:, 0], states[:, -1]))
    if not far > _AT_REST:
        raise ValueError(f"{name} cannot be a task: random actions move its state by {far:.1g} (m, rad) at most")
    goal = replace(task.goal, min_steps=steps // 2, max_steps=steps, min_distance=float(f"{_NEAREST * far:.2g}"))
    camera = fitted_camera(task, states)
    return replace(task, episode_steps=steps, goal=goal, camera=camera)


def _reached(task: Task, physics: Physics, steps: int) -> np.ndarray:
    """Return starts and states that random actions reach from them, (motions, 1 + kept, S), if none diverges."""
    rng = np.random.default_rng(0)
    starts = np.stack([start_state(task, physics.model, rng) for _ in range(_STARTS)])
    noise = correlated(rng.standard_normal((_STARTS * _CANDIDATES, steps, physics.action_dim)), task.goal.correlation)
    actions = np.clip(task.goal.std * noise, -1, 1).astype(np.float32).reshape(_STARTS, _CANDIDATES, steps, -1)
    kept = np.linspace(0, steps - 1, _KEPT + 1).round().astype(int)[1:].tolist()
    states = physics.states(starts, torch.from_numpy(actions), kept)
    states = np.concatenate([np.repeat(starts[:, None, None], _CANDIDATES, axis=1), states], axis=2)
    states = states.reshape(-1, *states.shape[2:])
    states = states[np.isfinite(states).all(axis=(1, 2))]
    if not len(states):
        raise ValueError(f"{task.name} cannot be a task: its physics diverges under all random actions")
    return states


def _check(name: str, physics: Physics, env: Any) -> None:
    model, own = physics.model, env.model if hasattr(env, "model") else env.physics.model.ptr
    sizes = [tuple(getattr(each, size) for size in ("nq", "nv", "nu", "nbody")) for each in (model, own)]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"{name} cannot be a task: its file has (nq, nv, nu, nbody) {sizes[0]}, its environment {sizes[1]}"
        )
    if not physics.action_dim:
        raise ValueError(f"{name} cannot be a task: its model has no actuators, so actions have no effect")


def _frame_skip(source: str, env: Any) -> int:
    return int(env.frame_skip) if source == "gym" else round(env.control_timestep() / env.physics.timestep())


@cache
def _gym(which: str) -> Any:
    """Return Gymnasium's environment without its wrappers."""
    import gymnasium

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of environments with newer or older versions
            env = gymnasium.make(which).unwrapped
    except (gymnasium.error.Error, ImportError, AttributeError) as error:
        raise ValueError(f"gym:{which} cannot be a task: {_line(error)}") from error
    if not isinstance(getattr(env, "model", None), mujoco.MjModel) or not hasattr(env, "fullpath"):
        raise ValueError(f"gym:{which} cannot be a task: a {type(env).__name__} has no MuJoCo model")
    return env


def _gym_model(which: str) -> mujoco.MjSpec:
    return mujoco.MjSpec.from_file(_gym(which).fullpath)


def _gym_start(which: str, model: mujoco.MjModel, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    env = _gym(which)
    env.reset(seed=int(rng.integers(2**31)))
    return env.data.qpos.copy(), env.data.qvel.copy()


@cache
def _suite(which: str) -> Any:
    """Return the suite's environment with the source of its model, (XML, assets), as ``source``."""
    if find_spec("dm_control") is None:
        raise ValueError(f"dm_control:{which} cannot be a task: dm_control is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the import warns if there is no display
        from dm_control import mujoco as bindings
        from dm_control import suite
    names = {f"{domain}-{task}": (domain, task) for domain, task in suite.ALL_TASKS}
    first = {domain: (domain, task) for domain, task in reversed(suite.ALL_TASKS)}
    known = {**names, **first}.get(which)
    if known is None:
        asked = which.partition("-")[0]
        tasks = [task for domain, task in suite.ALL_TASKS if domain == asked]
        there = f"{asked} has {', '.join(tasks)}" if tasks else f"there are {', '.join(sorted(first))}"
        raise ValueError(f"unknown task 'dm_control:{which}'; {there}")
    sources = []
    original = bindings.Physics.from_xml_string.__func__

    def recorded(cls: type, xml_string: str | bytes, assets: dict[str, bytes] | None = None) -> Any:
        sources.append((xml_string, assets or {}))
        return original(cls, xml_string, assets)

    # The environment does not give the source of its model, which differs from task to task.
    with patch.object(bindings.Physics, "from_xml_string", classmethod(recorded)):
        env = suite.load(*known, task_kwargs={"random": np.random.RandomState(0)})
    if not sources:
        raise ValueError(f"dm_control:{which} cannot be a task: its model is not made from XML")
    env.source = sources[-1]
    return env


def _suite_model(which: str) -> mujoco.MjSpec:
    xml, assets = _suite(which).source
    text = xml if isinstance(xml, str) else xml.decode()
    return mujoco.MjSpec.from_string(text, include=dict(assets), assets=dict(assets))


def _suite_start(which: str, model: mujoco.MjModel, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    env = _suite(which)
    env.task.random.seed(int(rng.integers(2**31)))
    env.reset()
    return env.physics.data.qpos.copy(), env.physics.data.qvel.copy()


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())


# How to make an environment, to draw a start and to get the model's specification.
_Parts = tuple[Callable[[str], Any], Callable[..., tuple[np.ndarray, np.ndarray]], Callable[[str], mujoco.MjSpec]]
_PARTS: dict[str, _Parts] = {
    "gym": (_gym, _gym_start, _gym_model),
    "dm_control": (_suite, _suite_start, _suite_model),
}
