"""A task that can be run forward and looked at, many times at once: what the oracle predictor is handed."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import SupportsIndex

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64

from corrwise.envs.metric import state_distance
from corrwise.envs.physics import Physics
from corrwise.envs.renderers import RENDERERS, Renderer
from corrwise.envs.task import Task

_ROUNDING = 1.5 / 255
_SMALLEST = 4  # pixels; with 3 a picture's rows could be taken for its colour channels


class MujocoSimulator:
    """Physics and pictures of one task, without an episode of its own (``corrwise.types.Simulator``).

    Args:
        task: which model, camera and metric.
        size: pixels to a side of the square picture.
        renderer: a renderer's name, or one that is ready to use.
        supersample: rays per pixel side of the ray caster.
        threads: threads of physics and ray caster; 0 means all CPUs.

    Raises:
        TypeError: if ``task`` is not a Task.
        ValueError: if ``size`` is not a whole number of at least 4, the renderer's name is unknown, ``supersample`` is
            below 1 or not 1 with another renderer than the ray caster, or the task's camera has no upright.
        RuntimeError: if the renderer is "gl" and this machine has no OpenGL.
    """

    def __init__(
        self, task: Task, *, size: SupportsIndex = 64, renderer: str | Renderer = "raycast", supersample: int = 1,
        threads: int = 0,
    ) -> None:  # fmt: skip
        if not isinstance(task, Task):
            raise TypeError(f"expected a Task, such as corrwise.envs.TASKS['cartpole'], got {task!r}")
        size = _pixels(size)
        self.task = task
        self.model = task.compile()
        self.physics = Physics(self.model, task.frame_skip, threads=threads)
        self.renderer: Renderer = (
            renderer if not isinstance(renderer, str)
            else self._make_renderer(renderer, size=size, supersample=supersample, threads=threads)
        )  # fmt: skip

    def rollout(
        self, state: Float64[np.ndarray, "B S"], actions: Float[torch.Tensor, "B N H A"], steps: Sequence[int]
    ) -> Float[torch.Tensor, "B N T 3 h w"]:
        """Return the pictures after the given 0-based steps, on the actions' device; only those are drawn.

        Raises:
            ValueError: if states, actions or steps do not fit the model or each other.
        """
        states = self.states(state, actions, steps)
        return self.render(states).to(actions.device)

    def states(
        self, state: Float64[np.ndarray, "B S"], actions: Float[torch.Tensor, "B N H A"], steps: Sequence[int]
    ) -> Float64[np.ndarray, "B N T S"]:
        """Return the integration states after the given 0-based steps; NaN where the physics diverged.

        Raises:
            ValueError: if states, actions or steps do not fit the model or each other.
        """
        return self.physics.states(state, actions, steps)

    def step(
        self, states: Float64[np.ndarray, "B S"], actions: Float[torch.Tensor, "B A"]
    ) -> tuple[Float64[np.ndarray, "B S"], Bool[np.ndarray, "B"]]:
        """Return the states one control step later, and which diverged: those stay where they were.

        Raises:
            ValueError: if states and actions do not fit the model or each other.
        """
        after = self.states(states, actions[:, None, None], [0])[:, 0, 0]
        diverged = ~np.isfinite(after).all(axis=1)
        return np.where(diverged[:, None], states, after), diverged

    def render(self, states: Float64[np.ndarray, "*n S"]) -> Float[torch.Tensor, "*n 3 h w"]:
        """Return one picture per state.

        Raises:
            ValueError: if these are not integration states of this model.
        """
        frames = self.renderer.render(states.reshape(-1, states.shape[-1]))
        return frames.reshape(*states.shape[:-1], *frames.shape[1:])

    def shows(self, states: Float64[np.ndarray, "B S"], frames: Float[torch.Tensor, "B 3 H W"]) -> bool:
        """Return whether these frames are pictures of these states, but for rounding to bytes.

        Frames of another size cannot be compared; they are taken for what they should be.
        """
        drawn = self.render(states).to(frames)
        return drawn.shape != frames.shape or bool(((drawn - frames).abs() <= _ROUNDING).all())

    def state_distance(
        self, states: Float64[np.ndarray, "*#n S"], goals: Float64[np.ndarray, "*#n S"], *, full: bool = False
    ) -> Float64[np.ndarray, "..."]:
        """Return how far states are from goal states (metres and radians; see ``metric.state_distance``).

        For evaluation only: no cost and no planner may read it.
        """
        weight = self.task.velocity_weight if full else 0.0
        return state_distance(self.model, states, goals, velocity_weight=weight)

    def out_of_view(self, states: Float64[np.ndarray, "B S"]) -> Float64[np.ndarray, "B"]:
        """Return which share of the moving bodies' projected extent lies outside the image, in [0, 1].

        Each visible moving geom counts with the rectangle around its projection; 0 if and only if all of them lie
        inside. NaN for a state that cannot be drawn.

        Raises:
            ValueError: if these are not integration states of this model.
        """
        return self.physics.extents.share(states)

    def _make_renderer(self, name: str, *, size: int, supersample: int, threads: int) -> Renderer:
        if name not in RENDERERS:
            raise ValueError(f"unknown renderer {name!r}; there are {', '.join(RENDERERS)}")
        if name == "raycast":
            return RENDERERS[name](self.model, height=size, width=size, supersample=supersample, threads=threads)
        if supersample != 1:
            raise ValueError(f"supersample is an option of the raycast renderer, got {supersample} for {name!r}")
        return RENDERERS[name](self.model, height=size, width=size)


def _pixels(size: SupportsIndex) -> int:
    """Return a picture's size as an int, also from NumPy's integers."""
    whole = operator.index(size) if hasattr(size, "__index__") else 0
    if whole < _SMALLEST:
        raise ValueError(f"size must be a whole number of at least {_SMALLEST} pixels, got {size!r}")
    return whole
