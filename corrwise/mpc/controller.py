"""The closed loop: plan, act, keep the rest of the plan; an agent that Stable-Baselines3's tools can drive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Generator, Tensor

from corrwise.mpc.border import Observation, check_context, read, to_goal, to_mask, to_states
from corrwise.mpc.config import AgentConfig
from corrwise.mpc.futures import Risk, split_futures
from corrwise.mpc.optimize import first_action, merged, optimize, reset, shift
from corrwise.mpc.sampling import generator
from corrwise.mpc.score import Aggregate, score
from corrwise.types import Context, Cost, Goal, Planner, Predictor, Proposal, Trace, copied, is_deterministic

Score = Callable[[Context, Goal, Tensor, Sequence[Generator]], Tensor]
"""Costs of candidates: (context, goal, actions (B,N,H,A), generators) -> (B,N); one that is not finite loses."""


@dataclass(frozen=True)
class AgentState:
    """The memory of the agent between two calls: a value, new with each call.

    Attributes:
        proposal: the plan just made.
        frames: the last K images, oldest first.
        actions: the K-1 actions between them and the one just chosen.
        random: the state of each environment's generator.
        trace: what happened while the plan was made, without candidates where none was due; for reports.
        step: control steps since each environment's episode began.
    """

    proposal: Proposal
    frames: Float[Tensor, "B K C h w"]
    actions: Float[Tensor, "B K A"]
    random: tuple[Tensor, ...]
    trace: Trace
    step: Int[Tensor, " B"]


class VisualMPC:
    """Plans from images to a goal image at every step, and returns the first action of the plan.

    Args:
        predictor: imagines frames; where it is a module, images go to the device of its weights.
        cost: compares imagined frames with the goal.
        planner: proposes actions.
        goal: an image (uint8, or float in [0, 1]), one per environment, or a :class:`Goal`; None reads the
            observation's ``desired_goal``. A goal video is followed from the episode's first step on: each predicted
            frame is compared with the goal's frame of its own time.
        state_source: returns the simulators' states, (B,S) or (S,), for predictors that need them.
        score: computes the costs of candidates in place of a comparison of predicted frames with the goal; predictor
            and cost may then be None. Controls that plan on a simulator's states are such scores. With several futures
            it is called once for each; one that draws should draw from copies of the generators.
        config: the rest; None for its defaults.

    Raises:
        ValueError: when ``goal`` is not an image, the configuration names no aggregate, or there is nothing to score
            by.
    """

    def __init__(
        self,
        predictor: Predictor | None,
        cost: Cost | None,
        planner: Planner,
        *,
        goal: Any = None,
        state_source: Callable[[], np.ndarray] | None = None,
        score: Score | None = None,
        config: AgentConfig | None = None,
    ) -> None:
        self.predictor, self.cost, self.planner = predictor, cost, planner
        self.goal = None if goal is None else to_goal(goal)
        self.state_source = state_source
        self.config = config or AgentConfig()
        self.aggregate = Aggregate(self.config.aggregate, gamma=self.config.gamma, k=self.config.k)
        self.risk = Risk(self.config.risk, level=self.config.risk_level)
        if score is None and (predictor is None or cost is None):
            missing = " and ".join(name for name in ("predictor", "cost") if getattr(self, name) is None)
            raise ValueError(f"expected a predictor and a cost, or a score in their place, got no {missing}")
        self.score = self._visual_score if score is None else self._over_futures(score)

    def plan(
        self,
        context: Context,
        goal: Goal,
        proposal: Proposal,
        generators: Sequence[Generator],
        *,
        executed: Float[Tensor, "B A"] | None = None,
    ) -> tuple[Proposal, Trace]:
        """Make one plan for all environments; the only side effect is that the generators advance.

        ``executed`` are the actions executed last, for the penalty on changes; None, or a row of NaN, where there is
        none.
        """
        weight = self.config.action_change_penalty
        # Several futures are those of the plan's beginning in all its iterations, or candidates of different iterations
        # would be compared under different random numbers, and the luckiest be kept as the best.
        noise = generators if self.config.futures == 1 else [copied(each) for each in generators]

        def costs(actions: Tensor) -> Tensor:
            scored = self.score(context, goal, actions, noise)
            return scored if not weight else scored + weight * action_change(actions, executed).to(scored)

        return optimize(self.planner, costs, proposal, generators)

    def _planned_where(
        self,
        due: Bool[Tensor, " B"],
        context: Context,
        goal: Goal,
        proposal: Proposal,
        generators: Sequence[Generator],
        executed: Float[Tensor, "B A"] | None,
    ) -> tuple[Proposal, Trace]:
        """Plan for the environments whose turn it is; the others keep their proposal and their generators' states."""
        if not due.any():
            none = proposal.best_cost.new_zeros(0, len(due))
            return proposal, Trace(none, none, torch.zeros_like(due, dtype=torch.int64), 0)
        before = [each.get_state() for each in generators]
        planned, trace = self.plan(context, goal, proposal, generators, executed=executed)
        if due.all():
            return planned, trace
        for each, state, moved in zip(generators, before, due.tolist(), strict=True):
            if not moved:
                each.set_state(state)
        rejected = trace.rejected * due.to(trace.rejected)
        return replace(merged(due, planned, proposal), iteration=0), replace(trace, rejected=rejected)

    def _visual_score(
        self, context: Context, goal: Goal, actions: Float[Tensor, "B N H A"], generators: Sequence[Generator]
    ) -> Float[Tensor, "B N"]:
        assert self.predictor is not None
        assert self.cost is not None
        return score(
            self.predictor, self.cost, context, goal, actions, aggregate=self.aggregate,
            max_frames=self.config.max_frames, reproducible=self.config.reproducible, generators=generators,
            futures=self.config.futures, risk=self.risk,
        )  # fmt: skip

    def _over_futures(self, score: Score) -> Score:
        """Return the risk of a score over the futures, which are scored one after the other."""
        if self.config.futures == 1 or is_deterministic(score):
            return score

        def over_futures(context: Context, goal: Goal, actions: Tensor, generators: Sequence[Generator]) -> Tensor:
            futures = zip(*split_futures(generators, self.config.futures), strict=True)
            return self.risk(torch.stack([score(context, goal, actions, list(each)) for each in futures], dim=-1))

        return over_futures

    def predict(
        self,
        obs: Observation,
        state: AgentState | None = None,
        episode_start: Any = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, AgentState]:
        """Return the actions, float32 in [-1, 1] of shape (A,) or (B,A), and the state to pass to the next call.

        ``obs`` is a Dict of images (observation, desired_goal) or, where the agent was given a goal, an image, uint8 or
        float in [0, 1]; with or without environments in front. Environments whose ``episode_start`` is true begin anew,
        and all of them do without a ``state``. Their random numbers run on from episode to episode and start from the
        configuration's seed when there is no ``state``; ``deterministic`` is accepted for SB3's sake and changes
        nothing.

        Raises:
            TypeError: for a ``state`` that no call returned.
            ValueError: for what is not an image, a goal that is missing or does not fit, simulator states that are not
                finite, predictions of another size than the observation's, another number of environments than in
                the call that ``state`` came from or than the configuration has seeds for, or a predictor that refuses
                what it is shown (``check``).
        """
        if state is not None and not isinstance(state, AgentState):
            raise TypeError(f"expected the AgentState of the call before, or None, got {state!r}")
        frames, goal, single = read(obs, self.goal)
        frames, goal = self._placed(frames, goal)
        start = to_mask(episode_start, len(frames))
        generators, proposal, context = self._resume(frames, state, start)
        if state is None or np.any(episode_start):
            check_context(self.predictor, context)
        step = torch.zeros(len(frames), dtype=torch.int64, device="cpu")
        executed = None
        if state is not None:
            step = (state.step + 1).where(~start, 0)
            executed = state.actions[:, -1].where(~start[:, None].to(state.actions.device), torch.nan)
        proposal, trace = self._planned_where(
            step % self.config.plan_every == 0, context, _from(goal, step), proposal, generators, executed
        )
        action = first_action(self.planner, proposal)
        actions = torch.cat([context.actions, action[:, None].to(context.actions)], dim=1)
        random = tuple(each.get_state() for each in generators)
        memory = AgentState(proposal, context.frames, actions, random, trace, step)
        chosen = action.cpu().numpy().astype(np.float32)
        return (chosen[0] if single else chosen), memory

    def _resume(
        self, frames: Float[Tensor, "B C h w"], state: AgentState | None, start: Bool[Tensor, " B"]
    ) -> tuple[list[Generator], Proposal, Context]:
        batch, repeated = len(frames), frames[:, None].repeat(1, self.config.context_frames, 1, 1, 1)
        simulators = to_states(self.state_source, batch)
        if state is None:
            proposal = self.planner.init(batch)
            idle = proposal.mean.new_zeros(batch, self.config.context_frames - 1, proposal.mean.shape[-1])
            return self._generators(batch), proposal, Context(repeated, idle.to(frames), simulators)
        if len(state.frames) != batch:
            raise ValueError(f"expected {len(state.frames)} environments as in the call before, got {batch}")
        if state.frames.shape[2:] != frames.shape[1:]:
            raise ValueError(f"expected images of {tuple(state.frames.shape[2:])}, got {tuple(frames.shape[1:])}")
        start = start.to(frames.device)
        seen = repeated.where(_rows(start, repeated), torch.cat([state.frames[:, 1:], frames[:, None]], dim=1))
        done = state.actions[:, 1:]
        done = torch.zeros_like(done).where(_rows(start, done), done)
        generators = [Generator("cpu") for _ in state.random]
        for each, saved in zip(generators, state.random, strict=True):
            each.set_state(saved)
        return generators, reset(shift(state.proposal, self.planner), start), Context(seen, done, simulators)

    def _generators(self, batch: int) -> list[Generator]:
        seed = self.config.seed
        if not isinstance(seed, tuple):
            return [generator(seed, row) for row in range(batch)]
        if len(seed) != batch:
            raise ValueError(f"expected {len(seed)} environments, one for each seed, got {batch}")
        return [generator(each, 0) for each in seed]

    def _placed(self, frames: Tensor, goal: Goal) -> tuple[Tensor, Goal]:
        """Return frames on the device of the predictor's weights, if it has any, and the goal on that of the costs.

        The same goal comes back where it lies right: costs know one by identity.
        """
        parameters = getattr(self.predictor, "parameters", None)  # of a module, or of what stands for one
        weights = None if parameters is None else next(iter(parameters()), None)
        device = goal.frames.device if weights is None else weights.device
        placed = goal.frames.to(self.config.device or device)
        return frames if weights is None else frames.to(device), goal if placed is goal.frames else Goal(placed)


def _from(goal: Goal, step: Int[Tensor, " B"]) -> Goal:
    """Return the rest of a goal video after each environment's steps, its last frame repeated; an image as it is."""
    batch, length = goal.frames.shape[:2]
    if length == 1:
        return goal
    places = (
        (step[:, None] + torch.arange(length, dtype=torch.int64, device="cpu"))
        .clamp(max=length - 1)
        .to(goal.frames.device)
    )
    return Goal(goal.frames[torch.arange(batch, dtype=torch.int64, device=goal.frames.device)[:, None], places])


def _rows(mask: Bool[Tensor, " B"], like: Shaped[Tensor, "B ..."]) -> Bool[Tensor, "B ..."]:
    return mask.reshape(-1, *[1] * (like.ndim - 1))


def action_change(
    actions: Float[Tensor, "B N H A"], executed: Float[Tensor, "B A"] | None = None
) -> Float[Tensor, "B N"]:
    """Return the mean squared difference of successive actions, 0 to 4, that from ``executed`` to the first included.

    A row of NaN in ``executed`` stands for an environment that has not acted yet, whose first action is free.
    """
    batch, candidates, _, size = actions.shape
    before = actions.new_full((batch, size), torch.nan) if executed is None else executed.to(actions)
    first = actions[:, :, :1] - before[:, None, None].expand(batch, candidates, 1, size)
    squares = torch.cat([first, actions.diff(dim=2)], dim=2).square()
    known = ~squares.isnan()
    total, count = squares.where(known, 0.0), known.sum(dim=(-2, -1))
    # Environment by environment: a sum then has the same bits whatever stands beside it.
    sums = torch.stack([row.flatten(1).sum(dim=1) for row in total])
    return sums / count.clamp_min(1)
