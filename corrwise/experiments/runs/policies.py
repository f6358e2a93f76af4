"""Policies of an episode: the agent, with an image cost or a cost of true states, and controls without a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from corrwise._clock import Clock
from corrwise.costs import GoalCost
from corrwise.envs import Fleet, MujocoSimulator, RaycastRenderer
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs.gust_oracle import sampled_gusts
from corrwise.experiments.runs.parts import context_of
from corrwise.mpc import (
    PLANNERS,
    AgentConfig,
    AgentState,
    Aggregate,
    PlannerSpec,
    VisualMPC,
    generator,
    planned_actions,
)
from corrwise.mpc.controller import Score
from corrwise.mpc.spec import options_of, split
from corrwise.types import ONE_VIEW, Context, Distance, Goal, Planner, Predictor, Views
from corrwise.user_code import is_user_code, user_object, user_source


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
    """Maps what a controller may know to actions; keeps its plan from step to step."""

    def __call__(self, context: Context) -> Decision:
        """Decide for all environments at once."""
        ...


class Planning:
    """``VisualMPC.predict`` as a policy: tables measure the function that users call.

    Args:
        agent: with its goal; it remembers the frames that it sees.
        views: the layout of the frames' channels.
    """

    def __init__(self, agent: VisualMPC, views: Views = ONE_VIEW) -> None:
        self._agent, self._views = agent, views
        self._state: AgentState | None = None

    def __call__(self, context: Context) -> Decision:
        """Plan once, act on the first action, and keep the rest as the next plan's start."""
        frames = context.frames[:, -1]
        obs = {"observation": self._views.colour(frames).numpy()}
        if self._views.depth:
            obs["depth"] = self._views.metres(frames).permute(0, 2, 3, 1).numpy()
        actions, self._state = self._agent.predict(obs, self._state)
        plan, trace = planned_actions(self._agent.planner, self._state.proposal), self._state.trace
        return Decision(torch.from_numpy(actions), plan, trace.rejected, trace.candidates)


class ZeroAction:
    """The lower bound: all actions are zero."""

    def __init__(self, action_dim: int) -> None:
        self._action_dim = action_dim

    def __call__(self, context: Context) -> Decision:
        """Return zeros."""
        batch = len(context.frames)
        actions = torch.zeros(batch, self._action_dim, dtype=torch.float32, device="cpu")
        return Decision(actions, None, torch.zeros(batch, dtype=torch.int64, device="cpu"))


class RandomAction:
    """Uniform actions, a new one at each step."""

    def __init__(self, action_dim: int, generators: Sequence[Generator]) -> None:
        self._action_dim, self._generators = action_dim, generators

    def __call__(self, context: Context) -> Decision:
        """Draw one action for each environment from its own generator."""
        plain: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}
        draws = [2 * torch.rand(self._action_dim, generator=each, **plain) - 1 for each in self._generators]
        return Decision(torch.stack(draws), None, torch.zeros(len(draws), dtype=torch.int64, device="cpu"))


StateCost = Callable[[np.ndarray, np.ndarray], Tensor]
"""Costs of true states: (states (B,N,T,S), goals (B,S)) -> (B,N,T); candidates whose cost is not finite lose."""


def state_score(fleet: Fleet, cost: StateCost, aggregate: Aggregate, *, gusts: bool = False) -> Score:
    """Return a score of true states, for upper-bound controls; ``gusts`` samples those of the task."""
    return _StateScore(fleet, cost, aggregate, gusts)


@dataclass(frozen=True)
class _StateScore:
    fleet: Fleet
    cost: StateCost
    aggregate: Aggregate
    gusts: bool

    def __call__(
        self, context: Context, goal: Goal, actions: Float[Tensor, "B N H A"], generators: Sequence[Generator]
    ) -> Float[Tensor, "B N"]:
        simulator = self.fleet.simulator
        forces = sampled_gusts(simulator, actions, generators) if self.gusts else None
        states = simulator.states(self.fleet.snapshot(), actions, list(self.aggregate.steps(actions.shape[2])), forces)
        return self.aggregate(self.cost(states, self.fleet.goal_states))

    @property
    def deterministic(self) -> bool:
        """Whether nothing is drawn."""
        return not self.gusts


def state_cost(simulator: MujocoSimulator) -> StateCost:
    """Return the true state distance, by which every cost is evaluated."""
    return lambda states, goals: torch.from_numpy(simulator.state_distance(states, goals[:, None, None])).float()


def exact_flow_cost(simulator: MujocoSimulator, power: float | int = 1) -> StateCost:
    """Return the mean displacement of the goal's body pixels under the ground-truth flow, in pixels to a power.

    Raises:
        ValueError: a renderer without exact correspondence.
    """
    renderer = simulator.renderer
    if not isinstance(renderer, RaycastRenderer):
        raise ValueError("the control exact-flow needs the geometry that only --renderer raycast traces")
    return lambda states, goals: torch.stack(
        [renderer.displacement(goal, row, power=power) for goal, row in zip(goals, states, strict=True)]
    )


STATE_COSTS: dict[str, Callable[[MujocoSimulator], StateCost]] = {
    "state": state_cost,
    "exact-flow": exact_flow_cost,
    "exact-flow-squared": partial(exact_flow_cost, power=2),
}


class Recorded:
    """A cost of states that records the last states of all candidates and their costs.

    Attributes:
        seen: for each iteration the states (B, N, S) at the end of the horizon and their costs (B, N).
    """

    def __init__(self, cost: StateCost) -> None:
        self._cost = cost
        self.seen: list[tuple[np.ndarray, Tensor]] = []

    def __call__(self, states: np.ndarray, goals: np.ndarray) -> Float[Tensor, "B N T"]:
        """Return the costs of states (B, N, T, S) for the goals (B, S)."""
        costs = self._cost(states, goals)
        self.seen.append((states[:, :, -1], costs[..., -1]))
        return costs


def make_policy(
    name: str,
    config: MPCConfig,
    fleet: Fleet,
    goal: Goal,
    seeds: Sequence[int],
    clock: Clock,
    predictor: Predictor,
    distance: Distance | None,
) -> Policy:
    """Return the policy behind a cost's name.

    Args:
        name: of the cost.
        config: the planner and its budget.
        fleet: the environments.
        goal: of each of them.
        seeds: one for each environment, for the planner's samples.
        clock: counts the predictor's seconds.
        predictor: of the images that are compared with the goal.
        distance: behind the cost, of all views; None for the controls.
    """
    simulator = fleet.simulator
    action_dim = simulator.physics.action_dim
    if name == "zero-action":
        return ZeroAction(action_dim)
    if name == "random-action":
        return RandomAction(action_dim, [generator(seed, 0) for seed in seeds])
    aggregate = Aggregate(config.aggregate, gamma=config.gamma, k=config.k)
    true, gusts = name in STATE_COSTS, config.predictor == "oracle-gusts"
    assert true or distance is not None, "a cost that is no control compares images"
    agent = VisualMPC(
        None if true else clock.timed(predictor, "predict"),
        None if distance is None or true else GoalCost(distance),
        planner_of(config).build(
            action_dim,
            find=planner_class,
            horizon=config.horizon,
            candidates=config.candidates,
            iterations=config.iterations,
        ),
        goal=goal,
        state_source=fleet.snapshot,
        score=state_score(fleet, STATE_COSTS[name](simulator), aggregate, gusts=gusts) if true else None,
        config=AgentConfig(
            aggregate=config.aggregate,
            gamma=config.gamma,
            k=config.k,
            futures=config.futures,
            risk=config.risk,
            risk_level=config.risk_level,
            plan_every=config.plan_every,
            action_change_penalty=config.action_change_penalty,
            context_frames=context_of(config),
            max_frames=config.max_frames,
            device=config.device,
            reproducible=config.reproducible,
            seed=tuple(seeds),
        ),
    )
    return Planning(agent, simulator.views)


def planner_of(config: MPCConfig) -> PlannerSpec:
    """Return the planner that ``--planner`` and ``--knots`` name, with its options.

    Raises:
        ValueError: a user's planner that cannot be loaded, or an option that it does not have or that does not fit.
    """
    return PlannerSpec.parse(config.planner_text, find=planner_class)


def planner_class(name: str) -> Callable[..., Planner]:
    """Return the planner, or the function that makes it, behind a registered name or ``file.py:NAME``."""
    if not is_user_code(name):
        return PLANNERS[name]
    what = "a planner, or a function that makes one, named"
    return cast(Callable[..., Planner], user_object(name, callable, what, noun="planner"))


def planner_settings(config: MPCConfig) -> dict[str, Any]:
    """Return the planner's part of a row's settings: its name, its options and, of a user's planner, the code.

    The name has no file in it, because one file can be spelled in several ways.
    """
    name, label = split(config.planner)[0], config.planner_label
    source = {"planner_source": user_source(name)} if is_user_code(name) else {}  # a file that has changed is run anew
    spec = planner_of(config)
    defaults = {option: each.default for option, each in options_of(planner_class(name)).items()}
    return {"planner": label, label: {**defaults, **spec.options}, **source}
