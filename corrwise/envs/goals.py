"""Draw an episode: where it starts and which reachable state its goal picture shows."""

from __future__ import annotations

import mujoco
import numpy as np
import torch
from jaxtyping import Float64

from corrwise.envs.metric import integration_size, split_state, state_distance
from corrwise.envs.physics import Physics
from corrwise.envs.task import Task

_CANDIDATES = 16
_TRIES = 64
_MAX_PENETRATION = 0.05  # metres; deeper contacts mean that the solver has lost the state


def sample_episode(
    task: Task, physics: Physics, rng: np.random.Generator
) -> tuple[Float64[np.ndarray, "S"], Float64[np.ndarray, "S"]]:
    """Return the integration states of a start and of its goal.

    The goal is where a hidden, time-correlated action sequence leads from the start in no more steps than an episode
    has, so it can be reached; states that are invalid or already met by the start are drawn again.

    Raises:
        RuntimeError: if no goal is found, which says that the task's goal sampling asks too much.
        ValueError: if the model has no actuators.
    """
    if not physics.action_dim:
        raise ValueError(f"{task.name}: the model has no actuators, so no actions lead anywhere")
    for _ in range(_TRIES):
        start = start_state(task, physics.model, rng)
        actions = _hidden_actions(task, physics.action_dim, rng)
        steps = rng.integers(task.goal.min_steps, task.goal.max_steps + 1, size=_CANDIDATES)
        kept, slots = np.unique(steps - 1, return_inverse=True)
        states = physics.states(start[None], torch.from_numpy(actions)[None], kept.tolist())[0]
        for candidate, slot in enumerate(slots):
            if is_goal(task, physics.model, start, states[candidate, slot]):
                return start, states[candidate, slot]
    raise RuntimeError(
        f"{task.name}: none of {_TRIES * _CANDIDATES} hidden action sequences reached a goal at least "
        f"{task.goal.min_distance} from its start; lower min_distance or raise max_steps"
    )


def start_state(task: Task, model: mujoco.MjModel, rng: np.random.Generator) -> Float64[np.ndarray, "S"]:
    """Return the integration state of one of the task's random starts."""
    return state_at(model, *task.start(model, rng))


def state_at(
    model: mujoco.MjModel, qpos: Float64[np.ndarray, "nq"], qvel: Float64[np.ndarray, "nv"]
) -> Float64[np.ndarray, "S"]:
    """Return the integration state of a pose and its velocities."""
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = qpos, qvel
    mujoco.mj_normalizeQuat(model, data.qpos)
    mujoco.mj_forward(model, data)
    state = np.empty(integration_size(model))
    mujoco.mj_getState(model, data, state, int(mujoco.mjtState.mjSTATE_INTEGRATION))
    return state


def _hidden_actions(task: Task, action_dim: int, rng: np.random.Generator) -> np.ndarray:
    """Return AR(1) noise of unit stationary variance times the task's std, clipped, (candidates, steps, A)."""
    noise = correlated(rng.standard_normal((_CANDIDATES, task.goal.max_steps, action_dim)), task.goal.correlation)
    return np.clip(task.goal.std * noise, -1.0, 1.0).astype(np.float32)


def correlated(
    white: Float64[np.ndarray, "n steps A"], rho: float | Float64[np.ndarray, "n 1"]
) -> Float64[np.ndarray, "n steps A"]:
    """Return AR(1) noise of the same variance, each step ``rho`` times the one before and the rest from ``white``."""
    noise = white.copy()
    for step in range(1, white.shape[1]):
        noise[:, step] = rho * noise[:, step - 1] + np.sqrt(1 - rho**2) * white[:, step]
    return noise


def is_goal(task: Task, model: mujoco.MjModel, start: Float64[np.ndarray, "S"], goal: Float64[np.ndarray, "S"]) -> bool:
    """Return whether a state may be the goal of this start: a sound one, as far away as the task asks."""
    if not np.isfinite(goal).all() or float(state_distance(model, start, goal)) < task.goal.min_distance:
        return False
    start_qpos, goal_qpos = split_state(model, start)[0], split_state(model, goal)[0]
    if task.goal.accept is not None and not task.goal.accept(start_qpos, goal_qpos):
        return False
    data = mujoco.MjData(model)
    mujoco.mj_setState(model, data, goal, int(mujoco.mjtState.mjSTATE_INTEGRATION))
    mujoco.mj_forward(model, data)
    return data.ncon == 0 or float(data.contact.dist.min()) > -_MAX_PENETRATION
