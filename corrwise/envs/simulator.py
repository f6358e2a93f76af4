"""Simulate and render many states of one task at once, as the oracle predictor does."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Any, SupportsIndex

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64

from corrwise.envs.physics import Physics
from corrwise.envs.renderers import RENDERERS, Renderer
from corrwise.envs.renderers.extent import ViewExtents
from corrwise.envs.tasks.metric import state_distance
from corrwise.envs.tasks.task import MAIN, Task, camera_name
from corrwise.types import ONE_VIEW, PartialRenderer

_ROUNDING = 1.5 / 255
_LARGE = 256  # pixels; a difference that is invisible at this size is not merely small
_SMALLEST = 4  # pixels; with 3 the rows of an image could be taken for its colour channels


class MujocoSimulator:
    """Physics and rendering of one task, without a current episode (``corrwise.types.Simulator``).

    Args:
        task: the task, which gives the model, the cameras and the metric.
        size: pixels to a side of each square view.
        renderer: the name of a renderer, or a renderer.
        supersample: rays per pixel side of the ray caster.
        threads: threads of physics and ray caster; 0 means all CPUs.
        cameras: the views, in the order of their channels: "main", which is ``Task.camera``, or names in
            ``Task.cameras``.
        depth: whether each view also has depth, in metres.

    Attributes:
        views: the layout of the images' channels.

    Raises:
        TypeError: if ``task`` is not a Task.
        ValueError: if ``size`` is not an integer of at least 4; the renderer's name is unknown; ``supersample`` is
            below 1, or above 1 with a renderer other than the ray caster; ``cameras`` is empty or has a name that is
            unknown or repeated; a camera points along its ``up`` direction; or ``cameras`` or ``depth`` is given
            although ``renderer`` is not a name.
        RuntimeError: if the renderer is "gl" and this machine has no OpenGL.
    """

    def __init__(
        self, task: Task, *, size: SupportsIndex = 64, renderer: str | Renderer = "raycast", supersample: int = 1,
        threads: int = 0, cameras: Sequence[str] = (MAIN,), depth: bool = False,
    ) -> None:  # fmt: skip
        if not isinstance(task, Task):
            raise TypeError(f"expected a Task, such as corrwise.envs.TASKS['cartpole'], got {task!r}")
        size = _pixels(size)
        self.task = task
        self._warned: set[str] = set()
        self.cameras, self._depth = _named_once(task, cameras), depth
        if not isinstance(renderer, str) and (self.cameras, depth) != ((MAIN,), False):
            raise ValueError(f"expected a renderer by name to draw {self.cameras} with depth={depth}, got {renderer!r}")
        self.model = task.compile(self.cameras)
        self.physics = Physics(self.model, task.frame_skip, threads=threads, gusts=task.gusts)
        self._threads = threads
        self.renderer: Renderer = (
            renderer if not isinstance(renderer, str)
            else self._make_renderer(renderer, size=size, supersample=supersample)
        )  # fmt: skip
        self.views = getattr(self.renderer, "views", ONE_VIEW)

    def rollout(
        self,
        state: Float64[np.ndarray, "B S"],
        actions: Float[torch.Tensor, "B N H A"],
        steps: Sequence[int],
        forces: Float64[np.ndarray, "B N H nv"] | None = None,
    ) -> Float[torch.Tensor, "B N T C h w"]:
        """Return the images after the given 0-based steps, on the actions' device; only these are rendered.

        Generalised ``forces`` act in each step beside the actuators'; the task's gusts are not among them.

        Raises:
            ValueError: if states, actions or steps do not fit the model or each other.
        """
        states = self.states(state, actions, steps, forces)
        return self.render(states).to(actions.device)

    def states(
        self,
        state: Float64[np.ndarray, "B S"],
        actions: Float[torch.Tensor, "B N H A"],
        steps: Sequence[int],
        forces: Float64[np.ndarray, "B N H nv"] | None = None,
    ) -> Float64[np.ndarray, "B N T S"]:
        """Return the integration states after the given 0-based steps; NaN where the physics diverged.

        Generalised ``forces`` act in each step beside the actuators'; the task's gusts are not among them.

        Raises:
            ValueError: if states, actions or steps do not fit the model or each other.
        """
        return self.physics.states(state, actions, steps, forces)

    def step(
        self, states: Float64[np.ndarray, "B S"], actions: Float[torch.Tensor, "B A"],
        keys: Sequence[int] | None = None,
    ) -> tuple[Float64[np.ndarray, "B S"], Bool[np.ndarray, "B"]]:  # fmt: skip
        """Return the states one control step later, and which diverged; a diverged state is left unchanged.

        Args:
            states: of the environments.
            actions: one for each.
            keys: of the episodes' gusts; needed where the task has gusts.

        Raises:
            ValueError: if states and actions do not fit the model or each other, or the keys of gusts are missing.
        """
        forces = None if self.task.gusts is None else self._gusts(states, keys)
        after = self.states(states, actions[:, None, None], [0], forces)[:, 0, 0]
        diverged = ~np.isfinite(after).all(axis=1)
        return np.where(diverged[:, None], states, after), diverged

    def _gusts(self, states: np.ndarray, keys: Sequence[int] | None) -> Float64[np.ndarray, "B 1 1 nv"]:
        """Return the forces of the control step that begins at each state's time."""
        gusts = self.task.gusts
        assert gusts is not None
        if keys is None or len(keys) != len(states):
            raise ValueError(f"{self.task.name} has gusts: expected {len(states)} seeds of episodes, got {keys}")
        steps = np.rint(states[:, 0] / (self.model.opt.timestep * self.task.frame_skip)).astype(int).tolist()
        forces = [gusts.of_episode(self.model, key, [step]) for key, step in zip(keys, steps, strict=True)]
        return np.stack(forces)[:, None]

    def render(self, states: Float64[np.ndarray, "*n S"]) -> Float[torch.Tensor, "*n C h w"]:
        """Return one image per state.

        Raises:
            ValueError: if these are not integration states of this model.
        """
        frames = self.renderer.render(states.reshape(-1, states.shape[-1]))
        return frames.reshape(*states.shape[:-1], *frames.shape[1:])

    @property
    def left_out(self) -> tuple[str, ...]:
        """The parts of the model that the renderer does not draw (``corrwise.types.PartialRenderer``)."""
        return self.renderer.left_out if isinstance(self.renderer, PartialRenderer) else ()

    @property
    def unseen(self) -> str:
        """Empty if a moving part is drawn, or the renderer does not report it; else what moves and why it is hidden."""
        return self.renderer.unseen if isinstance(self.renderer, PartialRenderer) else ""

    def check_drawn(self) -> None:
        """Warn once of the parts that the renderer leaves out of the images.

        Raises:
            ValueError: if none of what moves is drawn, so that all images of the task are the same.
        """
        if self.unseen:
            raise ValueError(f"{self.task.name}: the images show nothing that moves: {self.unseen}")
        if self.left_out:
            self._warn("left out", f'the images leave out {", ".join(self.left_out)}; renderer="gl" draws it all')

    def check_goals(
        self, starts: Float64[np.ndarray, "n S"], goals: Float64[np.ndarray, "n S"],
        start_images: Float[torch.Tensor, "n C h w"], goal_images: Float[torch.Tensor, "n C h w"],
    ) -> None:  # fmt: skip
        """Refuse goals whose images equal those of their starts; warn once if only larger images differ.

        Raises:
            ValueError: if images with four times the side length, at most 256 pixels, are equal, too.
        """
        same = (start_images == goal_images).flatten(start_dim=1).all(dim=1).cpu().numpy()
        if not same.any():
            return
        size, larger = goal_images.shape[-1], self._larger()
        pairs = np.stack([starts[same], goals[same]], axis=1)
        if larger is None or any(torch.equal(*larger.render(pair)) for pair in pairs):
            raise ValueError(
                f"{self.task.name}: a goal image equals its start's although the states differ; use another camera, "
                f'goals that lie farther away, images larger than {size} pixels or renderer="gl"'
            )
        self._warn("same", f"some goal images of {size} pixels equal their starts'; larger ones show the difference")

    def shows(self, states: Float64[np.ndarray, "B S"], frames: Float[torch.Tensor, "B C H W"]) -> bool:
        """Return whether these frames are images of these states, up to rounding to bytes.

        Frames of another size cannot be compared and count as images of the states.
        """
        drawn = self.render(states).to(frames)
        return drawn.shape != frames.shape or bool(((drawn - frames).abs() <= _ROUNDING).all())

    def state_distance(
        self, states: Float64[np.ndarray, "*#n S"], goals: Float64[np.ndarray, "*#n S"], *, full: bool = False
    ) -> Float64[np.ndarray, "..."]:
        """Return the distance of states to goal states (metres and radians; see ``metric.state_distance``).

        For evaluation only: no cost and no planner may read it.
        """
        weight = self.task.velocity_weight if full else 0.0
        return state_distance(self.model, states, goals, velocity_weight=weight)

    def out_of_view(self, states: Float64[np.ndarray, "B S"]) -> Float64[np.ndarray, "B"]:
        """Return the share of the moving bodies' projected extent that lies outside the image, in [0, 1].

        The extent of a visible moving geom is the rectangle around its projection. The share is 0 if and only if all
        rectangles lie inside the image, and NaN for a state that cannot be drawn. Several views give the smallest of
        their shares: one view of the whole body is enough.

        Raises:
            ValueError: if these are not integration states of this model.
        """
        others = [self._extents[name].share(states) for name in self.cameras if name != MAIN]
        shares = [*([self.physics.extents.share(states)] if MAIN in self.cameras else []), *others]
        return shares[0] if len(shares) == 1 else np.min(shares, axis=0)

    @cached_property
    def _extents(self) -> dict[str, ViewExtents]:
        """The extents of the moving geoms in the views other than the main one."""
        return {name: ViewExtents(self.model, camera_name(name)) for name in self.cameras if name != MAIN}

    def _warn(self, topic: str, sentence: str) -> None:
        """Warn once of a topic."""
        if topic not in self._warned:
            self._warned.add(topic)
            warnings.warn(f"{self.task.name}: {sentence}", stacklevel=4)

    def _larger(self) -> Renderer | None:
        """Return a renderer like this one with four times the side length; None if it is large or not registered."""
        size = min(4 * self.renderer.height, _LARGE)
        names = [name for name, made in RENDERERS.items() if type(self.renderer) is made]
        return (
            self._make_renderer(names[0], size=size, supersample=1) if names and size > self.renderer.height else None
        )

    def _make_renderer(self, name: str, *, size: int, supersample: int) -> Renderer:
        if name not in RENDERERS:
            raise ValueError(f"unknown renderer {name!r}; there are {', '.join(RENDERERS)}")
        if name == "raycast":
            return RENDERERS[name](
                self.model, height=size, width=size, supersample=supersample, threads=self._threads,
                textures=self.task.textures, cameras=self.cameras, depth=self._depth,
            )  # fmt: skip
        if supersample != 1:
            raise ValueError(f"supersample is an option of the raycast renderer, got {supersample} for {name!r}")
        shown: dict[str, Any] = (
            {} if (self.cameras, self._depth) == ((MAIN,), False) else {"cameras": self.cameras, "depth": self._depth}
        )
        return RENDERERS[name](self.model, height=size, width=size, **shown)


def _named_once(task: Task, cameras: Sequence[str]) -> tuple[str, ...]:
    """Return the names of different cameras, at least one."""
    names = tuple(cameras)
    if isinstance(cameras, str) or not names or len(set(names)) < len(names):
        raise ValueError(f"{task.name}: expected the names of different cameras, got {cameras!r}")
    return names


def _pixels(size: SupportsIndex) -> int:
    """Return an image's size as an int, also from NumPy's integers."""
    whole = operator.index(size) if hasattr(size, "__index__") else 0
    if whole < _SMALLEST:
        raise ValueError(f"size must be a whole number of at least {_SMALLEST} pixels, got {size!r}")
    return whole
