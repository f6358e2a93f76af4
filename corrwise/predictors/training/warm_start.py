"""Begin with another loss: the paper trains regularised models by the base distance first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Generator, nn

from corrwise.predictors.training.objective import Loss, Objective, Phase, named_phases
from corrwise.types import EvaluatingObjective

__all__ = ["WarmStart"]


class WarmStart:
    """The first steps by one objective, all others by another one; both of the same networks.

    Geng et al. (CVPR 2022) train for 5 epochs by the base distance where the flow's magnitude is penalised, and for one
    where the base distance is L1 + perceptual and the flow is scaled.

    Args:
        first: of the first steps, such as the regression by L1.
        then: of those that follow.
        steps: how many come first.
        total: of all steps together; a longer run begins alike.

    Raises:
        ValueError: objectives of other networks than each other's, of more than one phase, or no steps that follow.
    """

    def __init__(self, first: Objective[Any], then: Objective[Any], *, steps: int, total: int) -> None:
        if not 0 < steps < total:
            raise ValueError(
                f"expected a warm start of 1 to {total - 1} steps, fewer than the {total} of all, got {steps}"
            )
        here, there = first.networks, then.networks
        if here.keys() != there.keys() or any(here[name] is not there[name] for name in here):
            raise ValueError(f"expected a warm start of the same networks, got {sorted(here)} and {sorted(there)}")
        phases = named_phases(first.phases), named_phases(then.phases)
        if len(phases[0]) != 1 or len(phases[1]) != 1:
            raise ValueError(f"expected objectives of one phase, got {len(phases[0])} and {len(phases[1])}")
        self.first, self.then = first, then
        self._name = phases[0][0].name
        self._phases = (
            Phase("warm start", phases[0][0].learns, steps),
            Phase(phases[1][0].name, phases[1][0].learns, total - steps),
        )

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The networks of both."""
        return self.then.networks

    @property
    def phases(self) -> Sequence[Phase]:
        """The warm start, and what follows."""
        return self._phases

    def loss(self, batch: Any, generator: Generator, phase: str) -> Loss:
        """Return the loss of the objective whose phase it is."""
        if phase == self._phases[0].name:
            return self.first.loss(batch, generator, self._name)
        return self.then.loss(batch, generator, phase)

    def evaluate(self, batch: Any, networks: Mapping[str, nn.Module], generator: Generator) -> Loss:
        """Return the loss of what follows the warm start (``corrwise.types.EvaluatingObjective``).

        Raises:
            TypeError: that objective cannot evaluate batches.
        """
        if not isinstance(self.then, EvaluatingObjective):
            raise TypeError(f"expected an objective with a method evaluate, got {type(self.then).__name__}")
        loss: Loss = self.then.evaluate(batch, networks, generator)
        return loss
