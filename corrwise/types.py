"""The hall that every room opens onto: what flows between planners, predictors, costs and environments.

Axes, always in this order and always present (one environment is ``B = 1``):
    B  parallel environments        K  context frames          C h w  image (RGB, float32 in [0, 1]; see ``Views``)
    N  candidate action sequences   T  frames asked for        S      simulator integration state (float64)
    H  horizon in control steps     G  goal frames             A      action, in [-1, 1]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

__all__ = [
    "ONE_VIEW",
    "BidirectionalFlow",
    "CheckingPredictor",
    "ComparingSimulator",
    "Context",
    "Cost",
    "Distance",
    "EncodingDistance",
    "FixedTimes",
    "Flow",
    "Goal",
    "Interpolator",
    "PartialRenderer",
    "Planner",
    "Predictor",
    "Proposal",
    "Simulator",
    "TermsDistance",
    "Trace",
    "Views",
    "channel_axis",
    "has_gradient",
]

COLOURS = 3  # channels of one view without depth


@dataclass(frozen=True)
class Views:
    """How the channels of an image are laid out: view by view, each R, G, B and, with depth, metres.

    The order of channels is decided here and nowhere else: ``R G B [D]`` of the first view, then of the second, and so
    on. One view without depth, the default, is the plain image of three channels.

    Attributes:
        count: views of the same moment, V.
        depth: whether each view has a fourth channel: the distance along its optical axis in metres. 0 (or less, or
            infinite) means that nothing was measured there.

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
        """Raise unless images of this shape (..., C, h, w) are laid out like this.

        Raises:
            ValueError: another number of channels.
        """
        if len(shape) < 3 or shape[-3] != self.channels:
            raise ValueError(f"expected images (..., {self.channels}, h, w) of {self}, got {tuple(shape)}")

    def apart(self, images: Float[Tensor, "*n C h w"]) -> Float[Tensor, "*n V c h w"]:
        """Return the views along an axis of their own, each of 3 or 4 channels.

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
            ValueError: views without depth, or arrays that are not of these views.
        """
        wanted = (*colour.shape[:-3], self.count, *colour.shape[-2:])
        if not self.depth or colour.shape[-3] != COLOURS * self.count or tuple(metres.shape) != wanted:
            raise ValueError(f"expected colours and depths of {self}, got {tuple(colour.shape)}, {tuple(metres.shape)}")
        parts = colour.unflatten(-3, (self.count, COLOURS)), metres.unsqueeze(-3)
        return torch.cat(parts, dim=-3).flatten(-4, -3)


ONE_VIEW = Views()  # the plain image of three channels


def channel_axis(shape: Sequence[int]) -> int | None:
    """Return which axis of a uint8 array holds the channels of V views: -1 of (..., H, W, 3V), -3 of (..., 3V, H, W).

    Of 3 channels wherever they are; of more, the axis that a multiple of 3 stands in and that is shorter than both
    sides of the image. None for what is no image.
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
    """All that a controller may know when it plans.

    At the start of an episode the first frame is repeated ``K`` times and the missing actions are zero.

    Attributes:
        frames: the last ``K`` images, oldest first.
        actions: the ``K - 1`` actions between them, in [-1, 1].
        state: the simulator's full integration state. Only an oracle predictor may read it; ``None`` where there is
            no simulator at hand.
    """

    frames: Float[Tensor, "B K C h w"]
    actions: Float[Tensor, "B K-1 A"]
    state: Float64[np.ndarray, "B S"] | None = None


@dataclass(frozen=True)
class Goal:
    """What the camera should see: one picture (``G = 1``) or a goal video."""

    frames: Float[Tensor, "B G C h w"]


@dataclass(frozen=True)
class Proposal:
    """A planner's memory: a value that goes in and comes out, never changed in place.

    Attributes:
        mean, std: the sampling distribution over action sequences.
        initial_std: what ``std`` returns to when planning begins anew.
        iteration: refits done in the current plan; 0 right after ``init``, ``shift`` or ``reset``.
        elites: the best sequences kept for the next sampling.
        elite_costs: their costs, ascending; +inf marks an empty slot.
        best: the cheapest sequence seen in the current plan.
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
    """What happened during one plan, for people and reports; no planner reads it.

    Attributes:
        best_cost: the cheapest candidate of each of the ``I`` iterations.
        mean_cost: the mean over each iteration's finite candidates.
        rejected: how many candidates had a cost that was not finite, over all iterations.
        candidates: how many candidates were scored for each environment.
    """

    best_cost: Float[Tensor, "I B"]
    mean_cost: Float[Tensor, "I B"]
    rejected: Int[Tensor, " B"]
    candidates: int


@runtime_checkable
class Distance(Protocol):
    """Compares two images. Reduces C, h and w, never the batch; lower is nearer; zero for equal images."""

    def __call__(self, x: Float[Tensor, "*batch C h w"], y: Float[Tensor, "*batch C h w"]) -> Float[Tensor, "*batch"]:
        """Return one value per pair of images."""
        ...


@runtime_checkable
class Flow(Protocol):
    """Estimates where to sample ``source`` so that it matches ``target``: pixels, channels (dx, dy)."""

    def __call__(self, target: Float[Tensor, "B C h w"], source: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 2 h w"]:
        """Return one flow field per pair of images."""
        ...


@runtime_checkable
class Cost(Protocol):
    """A distance lifted to trajectories: how far each predicted frame is from the goal."""

    def __call__(self, frames: Float[Tensor, "B N T C h w"], goal: Goal) -> Float[Tensor, "B N T"]:
        """Return one value per predicted frame."""
        ...


@runtime_checkable
class Predictor(Protocol):
    """Imagines the frames that a sequence of actions would lead to."""

    def __call__(
        self,
        context: Context,
        actions: Float[Tensor, "B N H A"],
        *,
        steps: Sequence[int] | None = None,
        generators: Sequence[torch.Generator] | None = None,
    ) -> Float[Tensor, "B N T C h w"]:
        """Return the frames after the given ``steps`` (0 is the frame after the first action; None means all H)."""
        ...


@runtime_checkable
class Interpolator(Protocol):
    """Makes the frames between frames whose times are known.

    Times are in any unit and count from anywhere: only their ratios matter. An interpolator that can make the frames of
    certain times alone is a ``FixedTimes``.
    """

    def __call__(
        self, frames: Float[Tensor, "B K C h w"], times: Sequence[float | int], wanted: Sequence[float | int]
    ) -> Float[Tensor, "B T C h w"]:
        """Return the frames of the ``wanted`` times, which lie within those of the K frames; ``times`` increase."""
        ...


@runtime_checkable
class Simulator(Protocol):
    """A world that can be put into a state and run forward, many times at once."""

    def rollout(
        self, state: Float64[np.ndarray, "B S"], actions: Float[Tensor, "B N H A"], steps: Sequence[int]
    ) -> Float[Tensor, "B N T C h w"]:
        """Return the images after the given steps. A candidate whose physics diverges gives NaN frames."""
        ...

    def states(
        self, state: Float64[np.ndarray, "B S"], actions: Float[Tensor, "B N H A"], steps: Sequence[int]
    ) -> Float64[np.ndarray, "B N T S"]:
        """Return the states after the given steps. A candidate whose physics diverges gives NaN states."""
        ...


@runtime_checkable
class Planner(Protocol):
    """A sampling planner: draw candidates, then learn from their costs. The loop around it lives in mpc/optimize.py.

    ``iterations`` says how often the loop samples and refits for one plan. A planner may also have an attribute
    ``executes: Literal["mean", "best"]``, which says whether the agent acts on the proposal's ``mean`` (the default,
    also without the attribute) or on its ``best``.

    A planner whose sequences are not actions, such as the knots of a spline, has two methods: ``to_actions(sequences
    (..., K, A)) -> actions (..., H, A)`` within [-1, 1], and ``one_step_later(sequences) -> sequences``, the sequences
    whose actions are those of one control step later.
    """

    @property
    def iterations(self) -> int:
        """How often to sample and refit for one plan."""
        ...

    def init(self, batch: int) -> Proposal:
        """Return the proposal of ``batch`` environments that know nothing yet."""
        ...

    def sample(self, proposal: Proposal, generators: Sequence[torch.Generator]) -> Float[Tensor, "B N H A"]:
        """Draw candidates within [-1, 1], each environment from its own generator."""
        ...

    def refit(self, proposal: Proposal, actions: Float[Tensor, "B N H A"], costs: Float[Tensor, "B N"]) -> Proposal:
        """Return the proposal after seeing what the candidates cost; +inf costs never win."""
        ...


# Optional capabilities: what a part may offer beyond its protocol. Whoever can use one asks with ``isinstance``.


@runtime_checkable
class BidirectionalFlow(Flow, Protocol):
    """A flow that estimates both directions together, because the two share work."""

    def both(
        self, x: Float[Tensor, "B C h w"], y: Float[Tensor, "B C h w"]
    ) -> tuple[Float[Tensor, "B 2 h w"], Float[Tensor, "B 2 h w"]]:
        """Return ``flow(x, y)`` and ``flow(y, x)``."""
        ...


def has_gradient(flow: Callable[..., Any]) -> bool:
    """Return whether a flow has a gradient: unless it has an attribute ``differentiable`` that is False."""
    return bool(getattr(flow, "differentiable", True))


@runtime_checkable
class FixedTimes(Interpolator, Protocol):
    """An interpolator that makes the frames of certain times alone: those of a network, for one.

    It takes any times that are its own ``known`` ones, shifted and scaled, and wants those ``between`` likewise.
    """

    @property
    def known(self) -> tuple[float, ...]:
        """The times of the frames that it sees, such as (0, 1)."""
        ...

    @property
    def between(self) -> tuple[float, ...]:
        """The times of the frames that it makes, such as (0.5,)."""
        ...


@runtime_checkable
class EncodingDistance(Distance, Protocol):
    """A distance between features, so that a goal is encoded only once."""

    def encode(self, images: Float[Tensor, "*batch C h w"]) -> tuple[Tensor, ...]:
        """Return the images' features, each (*batch, ...)."""
        ...

    def compare(self, first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> Float[Tensor, "*batch"]:
        """Return the distance of the images behind two tuples of features."""
        ...


@runtime_checkable
class TermsDistance(Distance, Protocol):
    """A distance that is a sum, and says of what."""

    def terms(self, x: Float[Tensor, "*batch C h w"], y: Float[Tensor, "*batch C h w"]) -> Any:
        """Return the summands, among them ``total``, which is the distance, and ``displacement`` in pixels."""
        ...


@runtime_checkable
class CheckingPredictor(Predictor, Protocol):
    """A predictor that may refuse the context with which an episode begins."""

    def check(self, context: Context) -> None:
        """Raise a ``ValueError`` if nothing sound can be predicted from this context."""
        ...


@runtime_checkable
class ComparingSimulator(Simulator, Protocol):
    """A simulator that knows its own images."""

    def shows(self, states: Float64[np.ndarray, "B S"], frames: Float[Tensor, "B C h w"]) -> bool:
        """Return whether these frames are images of these states."""
        ...


@runtime_checkable
class PartialRenderer(Protocol):
    """A renderer that says what of the model it does not draw.

    Attributes:
        left_out: words for each part that is not drawn, such as "1 skin".
        unseen: empty if any part that moves is drawn, else what moves, why it is hidden and what helps.
    """

    left_out: tuple[str, ...]
    unseen: str
