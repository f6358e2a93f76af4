"""Cartpole with one goal for all episodes and its state vector as the observation: only a reward sees pictures."""

from __future__ import annotations

from typing import Any

import gymnasium
import mujoco
import numpy as np
from jaxtyping import Float32, Float64

from corrwise.envs import VisualTask
from corrwise.envs.tasks.goals import is_goal, state_at
from corrwise.envs.tasks.metric import split_state

__all__ = ["FixedGoal", "hanging"]

_TRIES = 1000


class FixedGoal(gymnasium.Wrapper):
    """One goal state for all episodes.

    The observation is (x, sin a, cos a, dx/dt, da/dt), the reward minus the true distance as a share of the first one,
    and ``info["state_distance"]`` that distance.

    Args:
        env: a Cartpole ``VisualTask``.
        goal: its integration state.
    """

    def __init__(self, env: gymnasium.Env, goal: Float64[np.ndarray, "S"]) -> None:
        super().__init__(env)
        self._goal = goal
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (5,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Draw a start until one is as far from the goal as the task wants its starts to be.

        Raises:
            RuntimeError: no start is.
        """
        task, physics = self._task.task, self._task.simulator.physics
        for _ in range(_TRIES):
            self.env.reset(seed=seed, options=options)
            if is_goal(task, physics, self._task.snapshot(), self._goal):
                self._first = self._distance()
                return self._vector(), {"state_distance": self._first}
            seed = None
        raise RuntimeError(f"{task.name}: none of {_TRIES} starts is far enough from the goal")

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step, and tell the true distance."""
        _, _, terminated, truncated, info = self.env.step(action)
        distance = self._distance()
        return self._vector(), -distance / self._first, terminated, truncated, {**info, "state_distance": distance}

    @property
    def _task(self) -> VisualTask:
        task = self.env.unwrapped
        assert isinstance(task, VisualTask)
        return task

    def _distance(self) -> float:
        return float(self._task.state_distance(self._task.snapshot(), self._goal))

    def _vector(self) -> Float32[np.ndarray, "5"]:
        qpos, qvel = split_state(self._task.simulator.model, self._task.snapshot())
        return np.array([qpos[0], np.sin(qpos[1]), np.cos(qpos[1]), *qvel], dtype=np.float32)


def hanging(model: mujoco.MjModel, x: float) -> Float64[np.ndarray, "S"]:
    """Return the state of Cartpole at rest ``x`` metres from the middle, the pole hanging down: one can stay there."""
    return state_at(model, np.array([x, np.pi]), np.zeros(2))
