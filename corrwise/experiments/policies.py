"""What acts in an episode: the visual planner, and the controls that every result stands between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from corrwise.envs import Fleet, MujocoSimulator, RaycastRenderer
from corrwise.experiments.clock import Clock
from corrwise.experiments.config import MPCConfig
from corrwise.experiments.named_costs import make_cost
from corrwise.mpc import PLANNERS, AgentConfig, VisualMPC, first_action, planned_actions, shift
from corrwise.mpc.config import AggregateName
from corrwise.mpc.optimize import optimize
from corrwise.mpc.score import Aggregate
from corrwise.predictors import CopyLast, OraclePredictor
from corrwise.types import Context, Cost, Goal, Planner, Predictor

Price = Callable[[np.ndarray, np.ndarray], Tensor]

PREDICTORS: dict[str, Callable[[MujocoSimulator], Predictor]] = {
    "oracle": OraclePredictor,
    "copy-last": lambda simulator: CopyLast(),
}


@dataclass(frozen=True)
class Decision:
    """What a policy did in one control step.

    Attributes:
        action: what each environment does now.
        plan: the whole planned sequence; None for a policy that plans nothing.
        rejected: candidates of each environment whose cost was not finite.
    """

    action: Float[Tensor, "B A"]
    plan: Float[Tensor, "B H A"] | None
    rejected: Int[Tensor, "B"]


@runtime_checkable
class Policy(Protocol):
    """Acts on what a controller may know; remembers its plan from step to step."""

    def __call__(self, context: Context, goal: Goal) -> Decision:
        """Decide for all environments at once."""
        ...


class PlanByImages:
    """The method itself: predicted frames, an image cost, a planner with a warm start."""

    def __init__(
        self, predictor: Predictor, cost: Cost, planner: Planner, generators: Sequence[Generator], config: AgentConfig
    ) -> None:
        self._agent = VisualMPC(predictor, cost, planner, config=config)
        self._generators = generators
        self._proposal = planner.init(len(generators))

    def __call__(self, context: Context, goal: Goal) -> Decision:
        """Plan once, act on the first action, and keep the rest as the next plan's start."""
        planner = self._agent.planner
        proposal, trace = self._agent.plan(context, goal, self._proposal, self._generators)
        self._proposal = shift(proposal)
        return Decision(first_action(planner, proposal), planned_actions(planner, proposal), trace.rejected)


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
        return Decision(first_action(self._planner, proposal), planned_actions(self._planner, proposal), trace.rejected)

    def _price(self, actions: Float[Tensor, "B N H A"]) -> Float[Tensor, "B N"]:
        steps = list(self._aggregate.steps(actions.shape[2]))
        states = self._fleet.simulator.states(self._fleet.snapshot(), actions, steps)
        return self._aggregate(self._true_price(states, self._fleet.goal_states))


def state_price(simulator: MujocoSimulator) -> Price:
    """Return the true state distance: what every cost is judged by."""
    return lambda states, goals: torch.from_numpy(simulator.state_distance(states, goals[:, None, None])).float()


def exact_flow_price(simulator: MujocoSimulator) -> Price:
    """Return the mean displacement, in pixels, of the goal's body pixels: what a perfect optical flow would see.

    Raises:
        ValueError: a renderer without exact correspondence.
    """
    renderer = simulator.renderer
    if not isinstance(renderer, RaycastRenderer):
        raise ValueError("the control exact-flow needs the geometry that only --renderer raycast traces")
    return lambda states, goals: torch.stack(
        [renderer.displacement(goal, row) for goal, row in zip(goals, states, strict=True)]
    )


class ZeroAction:
    """The floor: nothing is commanded."""

    def __init__(self, action_dim: int) -> None:
        self._action_dim = action_dim

    def __call__(self, context: Context, goal: Goal) -> Decision:
        """Return zeros."""
        batch = len(context.frames)
        return Decision(torch.zeros(batch, self._action_dim), None, torch.zeros(batch, dtype=torch.int64))


class RandomAction:
    """Uniform actions, a new one at each step."""

    def __init__(self, action_dim: int, generators: Sequence[Generator]) -> None:
        self._action_dim, self._generators = action_dim, generators

    def __call__(self, context: Context, goal: Goal) -> Decision:
        """Draw one action for each environment from its own generator."""
        draws = [2 * torch.rand(self._action_dim, generator=generator) - 1 for generator in self._generators]
        return Decision(torch.stack(draws), None, torch.zeros(len(draws), dtype=torch.int64))


BOUNDS: dict[str, Callable[[MujocoSimulator], Price]] = {"state": state_price, "exact-flow": exact_flow_price}


def make_policy(
    name: str, config: MPCConfig, fleet: Fleet, generators: Sequence[Generator], clock: Clock
) -> tuple[Policy, Predictor]:
    """Return the policy behind a cost's name and the predictor whose pictures the report shows."""
    simulator = fleet.simulator
    action_dim = simulator.physics.action_dim
    predictor = PREDICTORS[config.predictor](simulator)
    if name == "zero-action":
        return ZeroAction(action_dim), predictor
    if name == "random-action":
        return RandomAction(action_dim, generators), predictor
    planner = PLANNERS[config.planner](
        action_dim,
        horizon=config.horizon,
        candidates=config.candidates,
        iterations=config.iterations,
        config=getattr(config, config.planner),
    )
    if name in BOUNDS:
        aggregate = Aggregate(config.aggregate, gamma=config.gamma, k=config.k)
        return PlanByTruth(fleet, planner, generators, aggregate, BOUNDS[name](simulator)), predictor
    agent = AgentConfig(
        aggregate=cast(AggregateName, config.aggregate),
        gamma=config.gamma,
        k=config.k,
        context_frames=config.context_frames,
        max_frames=config.max_frames,
    )
    cost = make_cost(name, config.cost, clock=clock)
    return PlanByImages(clock.timed(predictor, "predict"), cost, planner, generators, agent), predictor
