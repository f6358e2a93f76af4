"""The values that planners, predictors, costs and environments exchange."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

__all__ = ["COLOURS", "ONE_VIEW", "Context", "Goal", "Proposal", "Trace", "Views", "channel_axis"]

COLOURS = 3  # channels of one view without depth


@dataclass(frozen=True)
class Views:
    """The layout of an image's channels: ``R G B [D]`` of the first view, then of the second, and so on.

    One view without depth, the default, is the plain image of three channels. Nothing else decides the order.

    Attributes:
        count: number of views of the same moment, V.
        depth: whether each view has a fourth channel: the distance along its optical axis in metres. A value that is
            not above 0, or is infinite, means that nothing was measured there.

    Raises:
        ValueError: a count below 1.
    """

    count: int = 1
    depth: bool = False

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"expected at least one view, got {self.count}")

    @property
    def channels(self) -> int:
        """Channels of an image, C: 3 or 4 to a view."""
        return self.count * (COLOURS + self.depth)

    def check(self, shape: Sequence[int]) -> None:
        """Raise unless images of this shape (..., C, h, w) have this layout.

        Raises:
            ValueError: another number of channels.
        """
        if len(shape) < 3 or shape[-3] != self.channels:
            raise ValueError(f"expected images (..., {self.channels}, h, w) of {self}, got {tuple(shape)}")

    def apart(self, images: Float[Tensor, "*n C h w"]) -> Float[Tensor, "*n V c h w"]:
        """Return the views along a new axis, each of 3 or 4 channels.

        Raises:
            ValueError: another number of channels.
        """
        self.check(images.shape)
        return images.unflatten(-3, (self.count, COLOURS + self.depth))

    def colour(self, images: Float[Tensor, "*n C h w"]) -> Float[Tensor, "*n V3 h w"]:
        """Return the colours of all views, stacked along the channel axis; without depth, the images themselves."""
        return self.apart(images)[..., :COLOURS, :, :].flatten(-4, -3) if self.depth else images

    def metres(self, images: Float[Tensor, "*n C h w"]) -> Float[Tensor, "*n V h w"]:
        """Return the depth of each view in metres.

        Raises:
            ValueError: views without depth.
        """
        if not self.depth:
            raise ValueError(f"expected views with depth, got {self}")
        return self.apart(images)[..., COLOURS, :, :]

    def stacked(
        self, colour: Float[Tensor, "*n V3 h w"], metres: Float[Tensor, "*n V h w"]
    ) -> Float[Tensor, "*n C h w"]:
        """Return images of the colours and depths of all views; the inverse of ``colour`` and ``metres``.

        Raises:
            ValueError: views without depth, or arrays of other shapes.
        """
        wanted = (*colour.shape[:-3], self.count, *colour.shape[-2:])
        if not self.depth or colour.shape[-3] != COLOURS * self.count or tuple(metres.shape) != wanted:
            raise ValueError(f"expected colours and depths of {self}, got {tuple(colour.shape)}, {tuple(metres.shape)}")
        parts = colour.unflatten(-3, (self.count, COLOURS)), metres.unsqueeze(-3)
        return torch.cat(parts, dim=-3).flatten(-4, -3)


ONE_VIEW = Views()  # the plain image of three channels


def channel_axis(shape: Sequence[int]) -> int | None:
    """Return the channel axis of a uint8 array of V views: -1 of (..., H, W, 3V), -3 of (..., 3V, H, W).

    An axis of length 3 is preferred; otherwise it is the axis whose length is a multiple of 3 and shorter than both
    sides of the image. None if the array is not an image.
    """
    if len(shape) < 3:
        return None
    for axis in (-1, -3):
        if shape[axis] == COLOURS:
            return axis
    for axis, sides in ((-1, (shape[-3], shape[-2])), (-3, (shape[-2], shape[-1]))):
        if shape[axis] and shape[axis] % COLOURS == 0 and shape[axis] < min(sides):
            return axis
    return None


@dataclass(frozen=True)
class Context:
    """Everything that a controller may know when it plans.

    At the start of an episode the first frame is repeated ``K`` times, and the missing actions are zero.

    Attributes:
        frames: the last ``K`` images, oldest first.
        actions: the ``K - 1`` actions between them, in [-1, 1].
        state: the simulator's full integration state, or ``None`` without a simulator. Only an oracle predictor may
            read it.
    """

    frames: Float[Tensor, "B K C h w"]
    actions: Float[Tensor, "B K-1 A"]
    state: Float64[np.ndarray, "B S"] | None = None


@dataclass(frozen=True)
class Goal:
    """What the camera should see: one image (``G = 1``), or a goal video.

    Frame g of a goal video is what it should see after g + 1 control steps, and the last one from then on.
    """

    frames: Float[Tensor, "B G C h w"]


@dataclass(frozen=True)
class Proposal:
    """A planner's state: a value that is passed in and returned, and never changed in place.

    Attributes:
        mean, std: the sampling distribution over action sequences.
        initial_std: the value of ``std`` at the start of a plan.
        iteration: number of refits in the current plan; 0 right after ``init``, ``shift`` or ``reset``.
        elites: the best sequences, kept for the next sampling.
        elite_costs: their costs, ascending; +inf marks an empty slot.
        best: the sequence with the lowest cost in the current plan.
        best_cost: its cost; +inf before the first refit.
    """

    mean: Float[Tensor, "B H A"]
    std: Float[Tensor, "B H A"]
    initial_std: float
    iteration: int
    elites: Float[Tensor, "B E H A"]
    elite_costs: Float[Tensor, "B E"]
    best: Float[Tensor, "B H A"]
    best_cost: Float[Tensor, " B"]


@dataclass(frozen=True)
class Trace:
    """A record of one plan, for people and reports; no planner reads it.

    Attributes:
        best_cost: the lowest cost in each of the ``I`` iterations.
        mean_cost: the mean of the finite costs in each iteration.
        rejected: number of candidates, over all iterations, whose cost was not finite.
        candidates: number of candidates that were scored for each environment.
    """

    best_cost: Float[Tensor, "I B"]
    mean_cost: Float[Tensor, "I B"]
    rejected: Int[Tensor, " B"]
    candidates: int
