"""The protocols that distances, flows, costs, predictors, simulators and planners follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from corrwise.types.values import Context, Goal, Proposal

__all__ = [
    "BidirectionalFlow",
    "CheckingPredictor",
    "ComparingSimulator",
    "Cost",
    "Distance",
    "EncodingDistance",
    "Flow",
    "PartialRenderer",
    "Planner",
    "Predictor",
    "Simulator",
    "TermsDistance",
    "has_gradient",
]


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


# Optional capabilities: what a part may offer beyond its protocol. Callers test for them with ``isinstance``.


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
