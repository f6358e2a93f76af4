"""Controls that plan on what only a simulator knows: the bounds that every image cost stands below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.envs import Fleet, MujocoSimulator, RaycastRenderer
from corrwise.experiments.runs.decisions import Decision
from corrwise.mpc import first_action, planned_actions, shift
from corrwise.mpc.optimize import optimize
from corrwise.mpc.score import Aggregate
from corrwise.types import Context, Goal, Planner

__all__ = ["BOUNDS", "PlanByTruth", "exact_flow_price", "state_price"]

Price = Callable[[np.ndarray, np.ndarray], Tensor]


class PlanByTruth:
    """A bound: the same planner and budget, but the cost is made of true states. A control, not a method.

    Args:
        fleet: the environments, whose states are read.
        planner, generators, aggregate: as the agent has them.
        price: ``price(states (B, N, T, S), goals (B, S)) -> costs (B, N, T)``; one that is not finite loses.
    """

    def __init__(
        self, fleet: Fleet, planner: Planner, generators: Sequence[Generator], aggregate: Aggregate, price: Price
    ) -> None:
        self._fleet, self._planner, self._generators = fleet, planner, generators
        self._aggregate, self._true_price = aggregate, price
        self._proposal = planner.init(len(generators))

    def __call__(self, context: Context, goal: Goal) -> Decision:
        """Plan once on true states."""
        proposal, trace = optimize(self._planner, self._price, self._proposal, self._generators)
        self._proposal = shift(proposal)
        planned = planned_actions(self._planner, proposal)
        return Decision(first_action(self._planner, proposal), planned, trace.rejected, trace.candidates)

    def _price(self, actions: Float[Tensor, "B N H A"]) -> Float[Tensor, "B N"]:
        steps = list(self._aggregate.steps(actions.shape[2]))
        states = self._fleet.simulator.states(self._fleet.snapshot(), actions, steps)
        return self._aggregate(self._true_price(states, self._fleet.goal_states))


def state_price(simulator: MujocoSimulator) -> Price:
    """Return the true state distance: what every cost is judged by."""
    return lambda states, goals: torch.from_numpy(simulator.state_distance(states, goals[:, None, None])).float()


def exact_flow_price(simulator: MujocoSimulator, power: float | int = 1) -> Price:
    """Return the mean displacement, in pixels to a power, of the goal's body pixels: what a perfect flow would see.

    Raises:
        ValueError: a renderer without exact correspondence.
    """
    renderer = simulator.renderer
    if not isinstance(renderer, RaycastRenderer):
        raise ValueError("the control exact-flow needs the geometry that only --renderer raycast traces")
    return lambda states, goals: torch.stack(
        [renderer.displacement(goal, row, power=power) for goal, row in zip(goals, states, strict=True)]
    )


BOUNDS: dict[str, Callable[[MujocoSimulator], Price]] = {
    "state": state_price,
    "exact-flow": exact_flow_price,
    "exact-flow-squared": partial(exact_flow_price, power=2),
}
