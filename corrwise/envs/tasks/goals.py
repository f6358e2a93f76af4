"""Draw an episode: its start, and a reachable state as its goal; count why other states are refused."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Any

import mujoco
import numpy as np
import torch
from jaxtyping import Float64

from corrwise._files import shown
from corrwise.envs.physics import Physics
from corrwise.envs.tasks.metric import integration_size, split_state, state_distance
from corrwise.envs.tasks.task import Task

__all__ = ["Reason", "no_goal", "valid_start"]


class Reason(Enum):
    """Why a hidden action sequence gave no goal: what happened, and what to change."""

    NEAR = "ended less than {distance} from their start", "lower min_distance or raise max_steps, std or correlation"
    REFUSED = "were refused by accept", "loosen accept, or change where episodes start"
    DIVERGED = "diverged", "lower the model's timestep or the std of the hidden actions"
    DEEP = (
        "ended in contacts that are too deep",
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
    """Return the error message for a task whose goals were all refused: counted reasons, and what to change."""
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
        raise ValueError(f"{task.name}: start must return two arrays (qpos, qvel), got {shown(start)}") from error
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


_CANDIDATES = 16
_TRIES = 64
_MAX_PENETRATION = 0.05  # metres; deeper contacts mean that the solver has failed


def sample_episode(
    task: Task, physics: Physics, rng: np.random.Generator
) -> tuple[Float64[np.ndarray, "S"], Float64[np.ndarray, "S"]]:
    """Return the integration states of a start and of its goal.

    The goal is a state that a hidden, time-correlated action sequence reaches from the start within an episode, so it
    is reachable. States that are invalid or too near the start are drawn again.

    Raises:
        RuntimeError: if no state is valid; the message counts the reasons and states what to change.
        ValueError: if the model has no actuators, or a start is not finite or not of the model's size.
    """
    start, goal, _ = _drawn(task, physics, rng)
    return start, goal


def gust_key(task: Task, rng: np.random.Generator, seed: int | None) -> int:
    """Return the key of an episode's gusts: its seed, or a draw where the generator runs on from another episode."""
    if seed is not None or task.gusts is None:
        return seed or 0
    return int(rng.integers(2**63))


def sample_path(task: Task, physics: Physics, rng: np.random.Generator) -> Float64[np.ndarray, "steps S"]:
    """Return all states on the hidden path from the start of ``sample_episode`` to its goal, both included.

    Raises:
        RuntimeError, ValueError: see ``sample_episode``.
    """
    start, goal, actions = _drawn(task, physics, rng)
    states = physics.states(start[None], torch.from_numpy(actions)[None, None], range(len(actions)))[0, 0]
    assert np.array_equal(states[-1], goal), "a state does not depend on which others are asked for"
    return np.concatenate([start[None], states])


def _drawn(
    task: Task, physics: Physics, rng: np.random.Generator
) -> tuple[Float64[np.ndarray, "S"], Float64[np.ndarray, "S"], np.ndarray]:
    """Return the states of a start and of its goal, and the hidden actions (steps, A) between them."""
    if not physics.action_dim:
        raise ValueError(f"{task.name}: the model has no actuators, so actions have no effect")
    refused: Counter[Reason] = Counter()
    for _ in range(_TRIES):
        start = start_state(task, physics.model, rng)
        if task.goal.in_view and physics.extents.share(start[None])[0] > 0:
            refused[Reason.START_OUT_OF_VIEW] += _CANDIDATES
            continue
        actions = _hidden_actions(task, physics.action_dim, rng)
        steps = rng.integers(task.goal.min_steps, task.goal.max_steps + 1, size=_CANDIDATES)
        kept, slots = np.unique(steps - 1, return_inverse=True)
        states = physics.states(start[None], torch.from_numpy(actions)[None], kept.tolist())[0]
        ends = states[np.arange(_CANDIDATES), slots]
        first, reasons = _first_goal(task, physics, start, ends)
        if first is not None:
            return start, ends[first], actions[first, : steps[first]]
        refused += reasons
    raise RuntimeError(no_goal(task, refused))


def start_state(task: Task, model: mujoco.MjModel, rng: np.random.Generator) -> Float64[np.ndarray, "S"]:
    """Return the integration state of one of the task's random starts.

    Raises:
        ValueError: if the start is not (qpos, qvel) of the model's size, or not finite.
    """
    return state_at(model, *valid_start(task, model, task.start(model, rng)))


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
    """Return AR(1) noise of the same variance: ``rho`` times the previous step plus new noise from ``white``."""
    noise = white.copy()
    for step in range(1, white.shape[1]):
        noise[:, step] = rho * noise[:, step - 1] + np.sqrt(1 - rho**2) * white[:, step]
    return noise


def is_goal(task: Task, physics: Physics, start: Float64[np.ndarray, "S"], goal: Float64[np.ndarray, "S"]) -> bool:
    """Return whether a state may be the goal of this start: valid, and at least ``min_distance`` away."""
    return _refusal(task, physics, start, goal, _MAX_PENETRATION) is None


def _first_goal(
    task: Task, physics: Physics, start: Float64[np.ndarray, "S"], goals: Float64[np.ndarray, "n S"]
) -> tuple[int | None, Counter[Reason]]:
    """Return which state is the first that may be the goal, or None and how many were refused for which reason."""
    refused: Counter[Reason] = Counter()
    for limit in (_MAX_PENETRATION, _MAX_PENETRATION + _penetration(physics.model, start)):
        refused.clear()
        for i, goal in enumerate(goals):
            reason = _refusal(task, physics, start, goal, limit)
            if reason is None:
                return i, refused
            refused[reason] += 1
        # Contacts that are deep at the start and in every goal belong to the model, such as interlocked geoms. Only
        # then the start's depth is allowed on top, so that a body dropped into the ground still has to come out.
        if not refused[Reason.DEEP] or not _always_deep(physics.model, start, goals):
            break
    return None, refused


def _refusal(task: Task, physics: Physics, start: np.ndarray, goal: np.ndarray, penetration: float) -> Reason | None:
    """Return why a state may not be the goal of this start, or None if it may."""
    model, rules = physics.model, task.goal
    if not np.isfinite(goal).all():
        return Reason.DIVERGED
    if float(state_distance(model, start, goal)) < rules.min_distance:
        return Reason.NEAR
    if rules.accept is not None and not rules.accept(split_state(model, start)[0], split_state(model, goal)[0]):
        return Reason.REFUSED
    if _penetration(model, goal) >= penetration:
        return Reason.DEEP
    if rules.in_view and physics.extents.share(goal[None])[0] > 0:
        return Reason.OUT_OF_VIEW
    return None


def _always_deep(model: mujoco.MjModel, start: np.ndarray, goals: np.ndarray) -> bool:
    finite = goals[np.isfinite(goals).all(axis=1)]
    return all(_penetration(model, state) >= _MAX_PENETRATION for state in (start, *finite))


def _penetration(model: mujoco.MjModel, state: np.ndarray) -> float:
    """Return the depth of the deepest contact of a state, metres; 0 if there is none."""
    data = mujoco.MjData(model)
    mujoco.mj_setState(model, data, state, int(mujoco.mjtState.mjSTATE_INTEGRATION))
    mujoco.mj_forward(model, data)
    return max(0.0, -float(data.contact.dist.min())) if data.ncon else 0.0
