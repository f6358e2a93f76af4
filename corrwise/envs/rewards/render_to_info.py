"""Put what an environment renders into its info, before a vector environment has reset it."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.utils import RecordConstructorArgs

from corrwise.envs.arrays import to_numpy
from corrwise.envs.rewards.sources import PICTURE

__all__ = ["RenderToInfo", "check_renders", "rendered"]


class RenderToInfo(gymnasium.Wrapper, RecordConstructorArgs):
    """``info["picture"]``: uint8 (H, W, 3), rendered after every reset and step.

    Stable-Baselines3's vector environments, and Gymnasium's in autoreset mode "SameStep", reset a copy as soon as its
    episode is over, so ``render()`` never shows the last picture. This goes around each copy, in the function that
    makes it.

    Args:
        env: made with ``render_mode="rgb_array"``.

    Raises:
        ValueError: the environment does not render arrays.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)
        check_renders(env)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset, and render."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, {**info, PICTURE: rendered(self.env)}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, and render."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, {**info, PICTURE: rendered(self.env)}


def check_renders(env: gymnasium.Env) -> None:
    """Raise a ValueError unless the environment was made to render arrays."""
    if env.render_mode != "rgb_array":
        raise ValueError(
            f"{env.unwrapped!r} renders no pictures: make it with render_mode='rgb_array', got {env.render_mode!r}"
        )


def rendered(env: gymnasium.Env) -> np.ndarray:
    """Return a copy of what the environment renders now: some draw into the same buffer each time.

    Raises:
        ValueError: it is no RGB picture.
    """
    picture: Any = env.render()
    picture = to_numpy(picture) if isinstance(picture, torch.Tensor) else picture
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        got = f"{picture.dtype} {picture.shape}" if isinstance(picture, np.ndarray) else type(picture).__name__
        raise ValueError(f"expected render() to return a uint8 picture (H, W, 3), got {got}")
    return picture.copy()
