"""From a distance between two images to a cost of whole trajectories."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.costs._checks import check_images
from corrwise.types import Distance, EncodingDistance, Goal

__all__ = ["GoalCost"]


class GoalCost:
    """How far every predicted frame is from the goal: a ``Cost`` made of a ``Distance``.

    One goal image (``G = 1``) is compared with every frame. A goal video is followed frame by frame: it must have as
    many frames as the prediction, and frame t is compared with goal frame t. Only a prediction of a single frame (``T =
    1``, as for an aggregate that reads the last frame) is compared with the last goal frame of any video.

    A distance with ``encode(images)`` and ``compare(features, features)`` has the goal encoded once per ``Goal`` object
    (the last one is remembered); a goal's frames must therefore not be changed in place.

    Args:
        distance: reduces C, h, w; called as ``distance(frames, goal)``.
    """

    def __init__(self, distance: Distance) -> None:
        self.distance = distance
        self._goal: Goal | None = None
        self._features: Any = None

    def __call__(self, frames: Float[Tensor, "B N T C h w"], goal: Goal) -> Float[Tensor, "B N T"]:
        """Return one value per predicted frame, in the distance's unit; NaN frames cost NaN.

        Raises:
            TypeError: frames that are not a float tensor.
            ValueError: a goal of another size or batch than the frames, or a goal video of another length.
        """
        _check(frames, goal.frames)
        if isinstance(self.distance, EncodingDistance):
            return self.distance.compare(self.distance.encode(frames), self._encoded(goal, frames.shape))
        return self.distance(frames, _follow(goal.frames, frames.shape))

    def _encoded(self, goal: Goal, shape: torch.Size) -> Any:
        """Return the goal's features with the axes (B, N, T, ...), encoded when this goal is seen first."""
        if self._goal is not goal:
            with torch.no_grad():
                self._features = self.distance.encode(goal.frames)  # type: ignore[attr-defined]
            self._goal = goal
        return tuple(_follow(part, shape) for part in self._features)


def _follow(goal: Tensor, shape: torch.Size) -> Tensor:
    """Give the goal (B, G, ...) the axes (B, N, T, ...) of the frames; a single frame has the last goal."""
    steps = goal[:, -1:] if shape[2] == 1 else goal
    return steps[:, None].expand(*shape[:3], *goal.shape[2:])


def _check(frames: Any, goal: Any) -> None:
    check_images("frames", frames)
    check_images("the goal's frames", goal)
    got = f"got {tuple(frames.shape)} and {tuple(goal.shape)}"
    if frames.ndim != 6 or goal.ndim != 5:
        raise ValueError(f"expected frames (B, N, T, C, h, w) and a goal (B, G, C, h, w), {got}")
    if frames.shape[3:] != goal.shape[2:]:
        raise ValueError(f"expected a goal of the frames' size {tuple(frames.shape[3:])}, {got}")
    if frames.shape[0] != goal.shape[0]:
        raise ValueError(f"expected goals for {frames.shape[0]} environments, got {goal.shape[0]}")
    if goal.shape[1] != 1 and frames.shape[2] not in (1, goal.shape[1]):
        raise ValueError(f"expected one goal image or a goal video of {frames.shape[2]} frames, got {goal.shape[1]}")
