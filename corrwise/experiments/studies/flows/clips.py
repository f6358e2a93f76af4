"""Ground-truth flow between frames of clips, from the states that a simulator recorded with them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from corrwise.envs import TASKS, MujocoSimulator
from corrwise.envs.arrays import to_uint8
from corrwise.envs.renderers import RaycastRenderer
from corrwise.envs.tasks.metric import integration_size
from corrwise.experiments.runs.parts import named_task
from corrwise.predictors.data import ClipFolder
from corrwise.predictors.data.clip import ClipSource

__all__ = ["SimulatedFlow"]

_ALIKE = 1.0  # levels of 255: mean difference of a frame from what the simulator draws of its state


class SimulatedFlow:
    """The exact flow between frames of clips.

    Args:
        clips: what the frames are from.
        path: where the clips are, for messages.
    """

    def __init__(self, clips: ClipSource, path: Path) -> None:
        self._clips, self._path = clips, path

    def between(self, clip: int, first: int, second: int) -> tuple[Float[Tensor, "2 h w"], Float[Tensor, "2 h w"]]:
        """Return the flows ``flow(first, second)`` and ``flow(second, first)`` of two frames of a clip, in pixels.

        Raises:
            ValueError: clips without ground truth, see ``missing``.
        """
        return self.correspondence(clip, first, second)[0]

    def correspondence(
        self, clip: int, first: int, second: int
    ) -> tuple[tuple[Float[Tensor, "2 h w"], Float[Tensor, "2 h w"]], tuple[Bool[Tensor, "h w"], Bool[Tensor, "h w"]]]:
        """Return the same flows, and which pixels of the first frame the second one shows, and the other way round.

        Raises:
            ValueError: clips without ground truth, see ``missing``.
        """
        if self.missing:
            raise ValueError(f"{self._path} has no ground-truth flow: {self.missing}")
        states = self._states(clip)
        assert states is not None
        assert self._simulator is not None
        renderer = self._simulator.renderer
        assert isinstance(renderer, RaycastRenderer)  # only rays know the surface that a pixel shows
        one, two = states[[first]], states[[second]]
        (there, seen), (back, seen_back) = renderer.correspondence(one, two), renderer.correspondence(two, one)
        return (there[0], back[0]), (seen[0], seen_back[0])

    @cached_property
    def missing(self) -> str:
        """Why there is no ground-truth flow; empty where there is."""
        if not isinstance(self._clips, ClipFolder) or "task" not in self._clips.about:
            return "the clips are of no simulator"
        states = self._states(0)
        if states is None:
            return "the clips have no states"
        if self._simulator is None:
            return f"{self._clips.about['task']} is no built-in task or dm_control: environment with square images"
        if states.shape[1] != integration_size(self._simulator.model):
            return "the states are of another model"
        drawn = to_uint8(self._simulator.render(states[:1])).astype(int)
        if np.abs(drawn - self._clips.read(0, 0, 1)[0]).mean() > _ALIKE:
            return "the simulator draws other images of the states"
        return ""

    def _states(self, clip: int) -> np.ndarray | None:
        return self._clips.states(clip) if isinstance(self._clips, ClipFolder) else None

    @cached_property
    def _simulator(self) -> MujocoSimulator | None:
        """The simulator of the clips. Files of clips name it, so it is never made by a user's code."""
        about = getattr(self._clips, "about", {})
        name, (height, width) = str(about.get("task", "")), self._clips.size
        if height != width or not (name in TASKS or name.startswith("dm_control:")):
            return None
        return MujocoSimulator(named_task(name), size=height, supersample=about.get("supersample", 1))
