"""What the agents of the table observe: one goal for all episodes, the last frames, and profiles of images."""

from __future__ import annotations

from typing import Any

import gymnasium
import mujoco
import numpy as np
import torch
from jaxtyping import Float, Float32, Float64
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor

from corrwise.envs import VisualTask
from corrwise.envs.tasks.goals import is_goal, state_at
from corrwise.envs.tasks.metric import split_state

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


_FLAT = 1e-3  # deviation of a profile that shows nothing


class Profiles(BaseFeaturesExtractor):
    """Row and column profiles of all pictures of a dictionary, one beside the other; nothing in it is learned.

    A convolutional network has to learn where things are before an agent can learn where to go, which takes far more
    steps than a small body needs.

    Args:
        observation_space: a dictionary of pictures, channels first as Stable-Baselines3 hands them over.
    """

    def __init__(self, observation_space: gymnasium.spaces.Dict) -> None:
        shapes = [space.shape or () for space in observation_space.spaces.values()]
        samples = [torch.zeros(1, *shape, dtype=torch.float32, device="cpu") for shape in shapes]
        super().__init__(observation_space, torch.cat([profiles(each) for each in samples], dim=1).shape[1])

    def forward(self, observations: dict[str, Tensor]) -> Float[Tensor, "B F"]:
        """Return the features of pictures in [0, 1]."""
        return torch.cat([profiles(pictures) for pictures in observations.values()], dim=1)


def profiles(pictures: Float[Tensor, "B c h w"]) -> Float[Tensor, "B F"]:
    """Return the mean of each column and of each row, each profile with mean 0 and deviation 1 along itself."""
    both = (pictures.mean(dim=2), pictures.mean(dim=3))
    return torch.cat([((p - p.mean(-1, keepdim=True)) / (p.std(-1, keepdim=True) + _FLAT)).flatten(1) for p in both], 1)
