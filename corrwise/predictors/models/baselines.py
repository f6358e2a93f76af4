"""Reference predictors: ``CopyLast`` is a lower bound of every learned predictor, the simulator itself an upper one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float

from corrwise.predictors.models.base import wanted_steps
from corrwise.types import ComparingSimulator, Context, Simulator

__all__ = ["CopyLast", "OraclePredictor"]


class CopyLast:
    """Predicts the last context frame for every candidate and step."""

    deterministic = True

    def __call__(
        self,
        context: Context,
        actions: Float[torch.Tensor, "B N H A"],
        *,
        steps: Sequence[int] | None = None,
        generators: Sequence[torch.Generator] | None = None,
    ) -> Float[torch.Tensor, "B N T C h w"]:
        """Return views of the last frame, which take no memory."""
        times = len(wanted_steps(context, actions, steps))
        return context.frames[:, -1, None, None].expand(-1, actions.shape[1], times, -1, -1, -1)


class OraclePredictor:
    """Rolls candidates out in a simulator from the context's true state and renders them.

    Predictions equal the frames that the environment then shows, bit for bit. Only the requested steps are rendered.

    Args:
        simulator: a ``corrwise.types.Simulator``, which can be set to a state and run forward.
    """

    deterministic = True

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    def __call__(
        self,
        context: Context,
        actions: Float[torch.Tensor, "B N H A"],
        *,
        steps: Sequence[int] | None = None,
        generators: Sequence[torch.Generator] | None = None,
    ) -> Float[torch.Tensor, "B N T C h w"]:
        """Return the frames after the given steps; NaN for a candidate whose physics diverges.

        Raises:
            ValueError: the context has no simulator state.
        """
        if context.state is None:
            raise ValueError(
                "the oracle predictor needs the simulator's state, but the context has none; "
                "hand VisualMPC a state_source, or use a learned predictor"
            )
        return self.simulator.rollout(context.state, actions, wanted_steps(context, actions, steps))

    def check(self, context: Context) -> None:
        """Refuse a context whose newest frames are not images of its states, if the simulator can compare them.

        Raises:
            ValueError: the frames are those of another environment.
        """
        if context.state is None or not isinstance(self.simulator, ComparingSimulator):
            return
        if not self.simulator.shows(context.state, context.frames[:, -1]):
            raise ValueError(
                "the agent's image is not the one that its simulator renders from the state of state_source: an oracle "
                "plans only for the environment and the camera for which it was made"
            )
