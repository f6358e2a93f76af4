"""What acts in an episode: the visual planner, and the controls that every result stands between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Generator

from corrwise.costs import GoalCost
from corrwise.envs import Fleet
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs.clock import Clock
from corrwise.experiments.runs.controls import BOUNDS, Decision, PlanByTruth, Policy
from corrwise.experiments.runs.named_predictors import context_of
from corrwise.mpc import PLANNERS, AgentConfig, VisualMPC, first_action, planned_actions, shift
from corrwise.mpc.config import AggregateName
from corrwise.mpc.score import Aggregate
from corrwise.types import Context, Cost, Distance, Goal, Planner, Predictor


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
        planned = planned_actions(planner, proposal)
        return Decision(first_action(planner, proposal), planned, trace.rejected, trace.candidates)


class ZeroAction:
    """The floor: nothing is commanded."""

    def __init__(self, action_dim: int) -> None:
        self._action_dim = action_dim

    def __call__(self, context: Context, goal: Goal) -> Decision:
        """Return zeros."""
        batch = len(context.frames)
        actions = torch.zeros(batch, self._action_dim, dtype=torch.float32, device="cpu")
        return Decision(actions, None, torch.zeros(batch, dtype=torch.int64, device="cpu"))


class RandomAction:
    """Uniform actions, a new one at each step."""

    def __init__(self, action_dim: int, generators: Sequence[Generator]) -> None:
        self._action_dim, self._generators = action_dim, generators

    def __call__(self, context: Context, goal: Goal) -> Decision:
        """Draw one action for each environment from its own generator."""
        plain: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}
        draws = [2 * torch.rand(self._action_dim, generator=each, **plain) - 1 for each in self._generators]
        return Decision(torch.stack(draws), None, torch.zeros(len(draws), dtype=torch.int64, device="cpu"))


def make_policy(
    name: str,
    config: MPCConfig,
    fleet: Fleet,
    generators: Sequence[Generator],
    clock: Clock,
    predictor: Predictor,
    distance: Distance | None,
) -> Policy:
    """Return the policy behind a cost's name.

    Args:
        name: of the cost.
        config: the planner and its budget.
        fleet: the environments.
        generators: of what the planner draws, one for each environment.
        clock: where the predictor's seconds are counted.
        predictor: of the images that are compared with the goal.
        distance: behind the cost; None for the controls.
    """
    simulator = fleet.simulator
    action_dim = simulator.physics.action_dim
    if name == "zero-action":
        return ZeroAction(action_dim)
    if name == "random-action":
        return RandomAction(action_dim, generators)
    planner = PLANNERS[config.planner](
        action_dim,
        horizon=config.horizon,
        candidates=config.candidates,
        iterations=config.iterations,
        config=getattr(config, config.planner),
    )
    if name in BOUNDS:
        aggregate = Aggregate(config.aggregate, gamma=config.gamma, k=config.k)
        return PlanByTruth(fleet, planner, generators, aggregate, BOUNDS[name](simulator))
    agent = AgentConfig(
        aggregate=cast(AggregateName, config.aggregate),
        gamma=config.gamma,
        k=config.k,
        context_frames=context_of(config),
        max_frames=config.max_frames,
    )
    assert distance is not None, "a cost that is no control compares images"
    return PlanByImages(clock.timed(predictor, "predict"), GoalCost(distance), planner, generators, agent)
