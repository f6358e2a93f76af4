"""A tiny environment whose image has as many white columns as steps were taken."""

from __future__ import annotations

import gymnasium
import numpy as np

SIDE = 16


def columns(count: int) -> np.ndarray:
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    image[:, :count] = 255
    return image


class Walk(gymnasium.Env):
    """Each step moves right by the action; episodes begin at ``begin`` and end after ``length`` steps."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, length=3, *, begin=2, kind="state", render_mode="rgb_array", terminates=False):
        self.render_mode, self.length, self.first, self.kind, self.terminates = (
            render_mode, length, begin, kind, terminates,
        )  # fmt: skip
        self.action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
        box = gymnasium.spaces.Box
        self.observation_space = {
            "state": box(-99, 99, (1,), np.float32),
            "image": box(0, 255, (SIDE, SIDE, 3), np.uint8),
            "first": box(0, 255, (3, SIDE, SIDE), np.uint8),
            "dict": gymnasium.spaces.Dict(
                {"pixels": box(0, 255, (SIDE, SIDE, 3), np.uint8), "wanted": box(0, 255, (SIDE, SIDE, 3), np.uint8)}
            ),
        }[kind]
        self.episode = -1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at, self.steps = self.first, 0
        self.episode += 1
        return self._observe(), {}

    def step(self, action):
        self.at += round(float(action[0]))
        self.steps += 1
        over = self.steps >= self.length
        return self._observe(), 10.0, over and self.terminates, over and not self.terminates, {}

    def render(self):
        return columns(self.at)

    def _observe(self):
        image = columns(self.at)
        return {
            "state": lambda: np.array([self.at], np.float32),
            "image": lambda: image,
            "first": lambda: np.moveaxis(image, -1, 0),
            "dict": lambda: {"pixels": image, "wanted": columns(8 + self.episode)},
        }[self.kind]()


def cost(at: int, goal: int = 8) -> float:
    """Return the L1 distance of the images."""
    return abs(at - goal) / SIDE
