"""Frame stacking for goal environments: the observation is stacked, the goals are not."""

from __future__ import annotations

from collections import deque
from typing import Any

import gymnasium
import numpy as np


class LastFrames(gymnasium.Wrapper):
    """``observation`` becomes the last ``count`` frames along the channels, oldest first; the goals stay single.

    ``gymnasium.wrappers.FrameStackObservation`` would stack the goals too, and ``compute_reward`` takes single ones.

    Args:
        env: a goal environment whose observation is an image (H, W, 3).
        count: number of frames; at reset the first is repeated.
    """

    def __init__(self, env: gymnasium.Env, count: int) -> None:
        super().__init__(env)
        assert isinstance(env.observation_space, gymnasium.spaces.Dict)
        single = env.observation_space["observation"]
        assert isinstance(single, gymnasium.spaces.Box)
        low, high = (np.concatenate([bound] * count, axis=-1) for bound in (single.low, single.high))
        stacked = gymnasium.spaces.Box(low, high, dtype=np.uint8)
        self.observation_space = gymnasium.spaces.Dict({**env.observation_space.spaces, "observation": stacked})
        self._frames: deque[np.ndarray] = deque(maxlen=count)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin with the first frame repeated."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._frames.extend([observation["observation"]] * (self._frames.maxlen or 1))
        return self._stacked(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, and stack the new frame."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._frames.append(observation["observation"])
        return self._stacked(observation), reward, terminated, truncated, info

    def _stacked(self, observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {**observation, "observation": np.concatenate(list(self._frames), axis=-1)}
