"""What acts in an episode: the visual planner, and the controls that every result stands between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from corrwise.envs import Fleet, MujocoSimulator
from corrwise.experiments.clock import Clock
from corrwise.experiments.config import MPCConfig
from corrwise.experiments.named_costs import make_cost
from corrwise.mpc import PLANNERS, AgentConfig, VisualMPC, first_action, planned_actions, shift
from corrwise.mpc.config import AggregateName
from corrwise.mpc.optimize import optimize
from corrwise.mpc.score import Aggregate
from corrwise.predictors import CopyLast, OraclePredictor
from corrwise.types import Context, Cost, Goal, Planner, Predictor

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


class PlanByState:
    """The ceiling: the same planner and budget, but the cost is the true state distance. A control, not a method."""

    def __init__(self, fleet: Fleet, planner: Planner, generators: Sequence[Generator], aggregate: Aggregate) -> None:
        self._fleet, self._planner, self._generators, self._aggregate = fleet, planner, generators, aggregate
        self._proposal = planner.init(len(generators))

    def __call__(self, context: Context, goal: Goal) -> Decision:
        """Plan once on true states."""
        proposal, trace = optimize(self._planner, self._price, self._proposal, self._generators)
        self._proposal = shift(proposal)
        return Decision(first_action(self._planner, proposal), planned_actions(self._planner, proposal), trace.rejected)

    def _price(self, actions: Float[Tensor, "B N H A"]) -> Float[Tensor, "B N"]:
        simulator, goals = self._fleet.simulator, self._fleet.goal_states[:, None, None]
        states = simulator.states(self._fleet.snapshot(), actions, list(self._aggregate.steps(actions.shape[2])))
        return self._aggregate(torch.from_numpy(simulator.state_distance(states, goals)).float())


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
    if name == "state":
        aggregate = Aggregate(config.aggregate, gamma=config.gamma, k=config.k)
        return PlanByState(fleet, planner, generators, aggregate), predictor
    agent = AgentConfig(
        aggregate=cast(AggregateName, config.aggregate),
        gamma=config.gamma,
        k=config.k,
        context_frames=config.context_frames,
        max_frames=config.max_frames,
    )
    cost = make_cost(name, config.cost, clock=clock)
    return PlanByImages(clock.timed(predictor, "predict"), cost, planner, generators, agent), predictor
