"""Policies: their shape, and the upper-bound controls that plan on what only a simulator knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from corrwise.envs import Fleet, MujocoSimulator, RaycastRenderer
from corrwise.mpc import first_action, planned_actions, shift
from corrwise.mpc.optimize import optimize
from corrwise.mpc.score import Aggregate
from corrwise.types import Context, Goal, Planner

__all__ = ["BOUNDS", "Decision", "PlanByTruth", "Policy", "Watch", "exact_flow_price", "state_price"]


@dataclass(frozen=True)
class Decision:
    """What a policy did in one control step.

    Attributes:
        action: what each environment does now.
        plan: the whole planned sequence; None for a policy that plans nothing.
        rejected: candidates of each environment whose cost was not finite.
        scored: how many candidates of each environment were scored.
    """

    action: Float[Tensor, "B A"]
    plan: Float[Tensor, "B H A"] | None
    rejected: Int[Tensor, "B"]
    scored: int = 0


@runtime_checkable
class Policy(Protocol):
    """Acts on what a controller may know; remembers its plan from step to step."""

    def __call__(self, context: Context, goal: Goal) -> Decision:
        """Decide for all environments at once."""
        ...


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


class Watch:
    """A price that remembers the last states of all candidates, and their prices.

    Attributes:
        seen: for each iteration the states (B, N, S) at the end of the horizon and what they cost (B, N).
    """

    def __init__(self, price: Price) -> None:
        self._price = price
        self.seen: list[tuple[np.ndarray, Tensor]] = []

    def __call__(self, states: np.ndarray, goals: np.ndarray) -> Float[Tensor, "B N T"]:
        """Return the prices of the states (B, N, T, S) before the goals (B, S)."""
        prices = self._price(states, goals)
        self.seen.append((states[:, :, -1], prices[..., -1]))
        return prices
