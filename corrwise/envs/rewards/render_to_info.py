"""Render an environment into its info, before a vector environment resets it."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.utils import RecordConstructorArgs

from corrwise.envs.arrays import to_numpy
from corrwise.envs.rewards.sources import RENDER

__all__ = ["RenderToInfo", "check_renders", "rendered"]


class RenderToInfo(gymnasium.Wrapper, RecordConstructorArgs):
    """Add the rendered image to the info after every reset and step: ``info["render"]``, uint8 (H, W, 3).

    Vector environments of Stable-Baselines3, and Gymnasium's in autoreset mode "SameStep", reset a copy as soon as its
    episode ends. Their ``render()`` therefore never shows the last image of an episode. Wrap each copy, in the function
    that makes it.

    Args:
        env: an environment made with ``render_mode="rgb_array"``.

    Raises:
        ValueError: if the environment does not render arrays.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)
        check_renders(env)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset the environment and render it."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, {**info, RENDER: rendered(self.env)}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment and render it."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, {**info, RENDER: rendered(self.env)}


def check_renders(env: gymnasium.Env) -> None:
    """Raise a ValueError unless the environment was made to render arrays."""
    if env.render_mode != "rgb_array":
        name = env.spec.id if env.spec is not None else type(env.unwrapped).__name__
        raise ValueError(f"{name} renders no images: make it with render_mode='rgb_array', got {env.render_mode!r}")


def rendered(env: gymnasium.Env) -> np.ndarray:
    """Return a copy of what the environment renders now; some environments reuse their buffer.

    Raises:
        ValueError: if it is not an RGB image.
    """
    image: Any = env.render()
    image = to_numpy(image) if isinstance(image, torch.Tensor) else image
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f"expected render() to return a uint8 image (H, W, 3), got {got}")
    return image.copy()
