"""The protocols that distances, flows, costs, predictors, simulators and planners follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float, Float64
from torch import Generator, Tensor, nn

from corrwise.types.values import Context, Goal, Proposal

__all__ = [
    "BidirectionalFlow",
    "CheckingPredictor",
    "ComparingSimulator",
    "Cost",
    "Distance",
    "EncodingDistance",
    "EvaluatingObjective",
    "FixedTimes",
    "Flow",
    "Interpolator",
    "PartialRenderer",
    "Planner",
    "Predictor",
    "Simulator",
    "TermsDistance",
    "copied",
    "has_gradient",
    "is_deterministic",
]

LossT_co = TypeVar("LossT_co", covariant=True)


@runtime_checkable
class Distance(Protocol):
    """Compares two images. Reduces C, h and w, never the batch. Lower is more similar; equal images give zero."""

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
    """A distance for trajectories: how far each predicted frame is from the goal."""

    def __call__(self, frames: Float[Tensor, "B N T C h w"], goal: Goal) -> Float[Tensor, "B N T"]:
        """Return one value per predicted frame."""
        ...


@runtime_checkable
class Predictor(Protocol):
    """Predicts the frames to which sequences of actions would lead.

    A predictor that draws takes all its random numbers from the environments' ``generators``, in the same way for each
    candidate, and leaves them as they are (it draws from copies): candidates, and chunks of them, then share their
    noise. A predictor that draws nothing may have the attribute ``deterministic = True``: a plan over several futures
    then predicts one.
    """

    def __call__(
        self,
        context: Context,
        actions: Float[Tensor, "B N H A"],
        *,
        steps: Sequence[int] | None = None,
        generators: Sequence[Generator] | None = None,
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
    """A simulator that can be set to a state and run forward, with many candidates at once."""

    def rollout(
        self, state: Float64[np.ndarray, "B S"], actions: Float[Tensor, "B N H A"], steps: Sequence[int]
    ) -> Float[Tensor, "B N T C h w"]:
        """Return the images after the given steps; NaN for a candidate whose physics diverges."""
        ...

    def states(
        self, state: Float64[np.ndarray, "B S"], actions: Float[Tensor, "B N H A"], steps: Sequence[int]
    ) -> Float64[np.ndarray, "B N T S"]:
        """Return the states after the given steps; NaN for a candidate whose physics diverges."""
        ...


@runtime_checkable
class Planner(Protocol):
    """A sampling planner: it draws candidates and refits its proposal to their costs (see ``corrwise.mpc.optimize``).

    A planner may have an attribute ``executes: Literal["mean", "best"]``: whether the agent acts on the proposal's
    ``mean``, the default, or on its ``best``.

    A planner whose sequences are not actions, such as the knots of a spline, has two more methods:
    ``to_actions(sequences (..., K, A)) -> actions (..., H, A)`` within [-1, 1], and ``one_step_later(sequences) ->
    sequences``, which returns the sequences whose actions are those of one control step later.
    """

    @property
    def iterations(self) -> int:
        """How often a plan samples and refits."""
        ...

    def init(self, batch: int) -> Proposal:
        """Return the initial proposal of ``batch`` environments."""
        ...

    def sample(self, proposal: Proposal, generators: Sequence[Generator]) -> Float[Tensor, "B N H A"]:
        """Draw candidates within [-1, 1], each environment from its own generator; N may differ between iterations."""
        ...

    def refit(self, proposal: Proposal, actions: Float[Tensor, "B N H A"], costs: Float[Tensor, "B N"]) -> Proposal:
        """Return the proposal refitted to the costs of the candidates; a cost of +inf never wins."""
        ...


# Optional capabilities: what a part may offer beyond its protocol. Callers test for them with ``isinstance``.


@runtime_checkable
class BidirectionalFlow(Flow, Protocol):
    """A flow that estimates both directions together, because they share work."""

    def both(
        self, x: Float[Tensor, "B C h w"], y: Float[Tensor, "B C h w"]
    ) -> tuple[Float[Tensor, "B 2 h w"], Float[Tensor, "B 2 h w"]]:
        """Return ``flow(x, y)`` and ``flow(y, x)``."""
        ...


def has_gradient(flow: Callable[..., Any]) -> bool:
    """Return whether a flow has a gradient: yes, unless its attribute ``differentiable`` is False."""
    return bool(getattr(flow, "differentiable", True))


def is_deterministic(predictor: object) -> bool:
    """Return whether all futures of a predictor are the same: its attribute ``deterministic``, or False."""
    return bool(getattr(predictor, "deterministic", False))


def copied(generator: Generator) -> Generator:
    """Return a generator that draws what the given one would draw next."""
    copy = Generator(generator.device)
    copy.set_state(generator.get_state())
    return copy


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
    """A distance between features, which lets a goal be encoded only once."""

    def encode(self, images: Float[Tensor, "*batch C h w"]) -> tuple[Tensor, ...]:
        """Return the images' features, each (*batch, ...)."""
        ...

    def compare(self, first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> Float[Tensor, "*batch"]:
        """Return the distance of two images, given their features."""
        ...


@runtime_checkable
class TermsDistance(Distance, Protocol):
    """A distance that is a sum and returns its terms."""

    def terms(self, x: Float[Tensor, "*batch C h w"], y: Float[Tensor, "*batch C h w"]) -> Any:
        """Return the terms, including ``total``, the distance itself, and ``displacement`` in pixels."""
        ...


@runtime_checkable
class EvaluatingObjective(Protocol[LossT_co]):
    """A training objective that also evaluates held-out batches, with other weights than those that learn."""

    def evaluate(self, batch: Any, networks: Mapping[str, nn.Module], generator: Generator) -> LossT_co:
        """Return the loss of a batch, as it is, by networks of the same names: of the last phase, where there are more.

        Args:
            batch: on the device of the networks.
            networks: such as the moving averages of the objective's own.
            generator: source of all draws, on the CPU.
        """
        ...


@runtime_checkable
class CheckingPredictor(Predictor, Protocol):
    """A predictor that may refuse the context at the start of an episode."""

    def check(self, context: Context) -> None:
        """Raise a ``ValueError`` if the predictor does not apply to this context."""
        ...


@runtime_checkable
class ComparingSimulator(Simulator, Protocol):
    """A simulator that can compare images with its states."""

    def shows(self, states: Float64[np.ndarray, "B S"], frames: Float[Tensor, "B C h w"]) -> bool:
        """Return whether these frames are images of these states."""
        ...


@runtime_checkable
class PartialRenderer(Protocol):
    """A renderer that reports which parts of the model it does not draw.

    Attributes:
        left_out: a description of each part that is not drawn, such as "1 skin".
        unseen: empty if any moving part is drawn, else what moves, why it is not drawn, and a remedy.
    """

    left_out: tuple[str, ...]
    unseen: str
