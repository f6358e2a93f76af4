"""The bounds of every learned predictor: ``CopyLast`` is the lower one, the simulator itself the upper one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float

from corrwise.predictors.models.base import wanted_steps
from corrwise.types import ComparingSimulator, Context, Simulator

__all__ = ["CopyLast", "OraclePredictor"]


class CopyLast:
    """Predicts the last context frame for every candidate and step."""

    def __call__(
        self,
        context: Context,
        actions: Float[torch.Tensor, "B N H A"],
        *,
        steps: Sequence[int] | None = None,
        generators: Sequence[torch.Generator] | None = None,
    ) -> Float[torch.Tensor, "B N T C h w"]:
        """Return views of the last frame; no memory is used for the candidates."""
        times = len(wanted_steps(context, actions, steps))
        return context.frames[:, -1, None, None].expand(-1, actions.shape[1], times, -1, -1, -1)


class OraclePredictor:
    """Rolls candidates out in a simulator from the context's true state and looks at them.

    What it predicts is what the environment then shows, bit for bit. Only the steps asked for are drawn.

    Args:
        simulator: a world that can be put into a state and run forward (``corrwise.types.Simulator``).
    """

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
            ValueError: if the context carries no simulator state.
        """
        if context.state is None:
            raise ValueError(
                "the oracle predictor needs the simulator's state, but the context has none; "
                "hand VisualMPC a state_source, or use a learned predictor"
            )
        return self.simulator.rollout(context.state, actions, wanted_steps(context, actions, steps))

    def check(self, context: Context) -> None:
        """Refuse a context whose newest frames do not show its states, if the simulator can tell (``shows``).

        Raises:
            ValueError: the frames are of another environment.
        """
        if context.state is None or not isinstance(self.simulator, ComparingSimulator):
            return
        if not self.simulator.shows(context.state, context.frames[:, -1]):
            raise ValueError(
                "the agent is shown another image than its simulator draws of the state that state_source returns: "
                "with an oracle it plans only for the environment and the camera that it was made for"
            )
