"""Visual model-predictive control as an agent that Stable-Baselines3's tools can drive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Generator, Tensor

from corrwise.mpc.border import Observation, check_context, read, to_goal, to_mask, to_states
from corrwise.mpc.config import AgentConfig
from corrwise.mpc.optimize import optimize
from corrwise.mpc.proposal import first_action, reset, shift
from corrwise.mpc.random import generator, resumed
from corrwise.mpc.score import Aggregate, score
from corrwise.types import Context, Cost, Goal, Planner, Predictor, Proposal, Trace


@dataclass(frozen=True)
class AgentState:
    """What the agent remembers between two calls: a value, new with each call.

    Attributes:
        proposal: the plan just made.
        frames: the last K images, oldest first.
        actions: the K-1 actions between them and the one just chosen.
        random: the state of each environment's generator.
    """

    proposal: Proposal
    frames: Float[Tensor, "B K C h w"]
    actions: Float[Tensor, "B K A"]
    random: tuple[Tensor, ...]


class VisualMPC:
    """Plans from images to a goal image, at every step anew, and acts on the first action of the plan.

    Args:
        predictor: imagines frames; where it is a module, images go to the device of its weights.
        cost: compares imagined frames with the goal.
        planner: proposes actions.
        goal: an image (uint8, or float in [0, 1]), one per environment, or a :class:`Goal`; None reads the
            observation's ``desired_goal``.
        state_source: returns the simulators' states, (B,S) or (S,), for predictors that need them.
        config: the rest; None for its defaults.

    Raises:
        ValueError: when ``goal`` is not an image, or the configuration names no aggregate.
    """

    def __init__(
        self,
        predictor: Predictor,
        cost: Cost,
        planner: Planner,
        *,
        goal: Any = None,
        state_source: Callable[[], np.ndarray] | None = None,
        config: AgentConfig | None = None,
    ) -> None:
        self.predictor, self.cost, self.planner = predictor, cost, planner
        self.goal = None if goal is None else to_goal(goal)
        self.state_source = state_source
        self.config = config or AgentConfig()
        self.aggregate = Aggregate(self.config.aggregate, gamma=self.config.gamma, k=self.config.k)

    def plan(
        self, context: Context, goal: Goal, proposal: Proposal, generators: Sequence[Generator]
    ) -> tuple[Proposal, Trace]:
        """Make one plan for all environments; pure but for the generators, which advance."""

        def price(actions: Tensor) -> Tensor:
            return score(
                self.predictor, self.cost, context, goal, actions, aggregate=self.aggregate,
                max_frames=self.config.max_frames, generators=generators,
            )  # fmt: skip

        return optimize(self.planner, price, proposal, generators)

    def predict(
        self,
        obs: Observation,
        state: AgentState | None = None,
        episode_start: Any = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, AgentState]:
        """Return the actions, float32 in [-1, 1] of shape (A,) or (B,A), and the state to pass to the next call.

        ``obs`` is a Dict of images (observation, desired_goal) or, where the agent was given a goal, an image; with or
        without environments in front. Environments whose ``episode_start`` is true begin anew, and all of them do
        without a ``state``. Their random numbers run on from episode to episode and start from ``(seed, row)`` when
        there is no ``state``; ``deterministic`` is accepted for SB3's sake and changes nothing.

        Raises:
            TypeError: for a ``state`` that no call returned.
            ValueError: for what is not an image, a goal that is missing or does not fit, simulator states that are not
                finite, predictions of another size than the observation's, another number of environments than in
                the call that ``state`` came from, or a predictor that refuses what it is shown (``check``).
        """
        if state is not None and not isinstance(state, AgentState):
            raise TypeError(f"expected the AgentState of the call before, or None, got {state!r}")
        frames, goal, single = read(obs, self.goal)
        frames, goal = self._placed(frames, goal)
        generators, proposal, context = self._resume(frames, state, to_mask(episode_start, len(frames)))
        if state is None or np.any(episode_start):
            check_context(self.predictor, context)
        proposal, _ = self.plan(context, goal, proposal, generators)
        action = first_action(self.planner, proposal)
        actions = torch.cat([context.actions, action[:, None].to(context.actions)], dim=1)
        memory = AgentState(proposal, context.frames, actions, tuple(each.get_state() for each in generators))
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
            generators = [generator(self.config.seed, row) for row in range(batch)]
            return generators, proposal, Context(repeated, idle.to(frames), simulators)
        if len(state.frames) != batch:
            raise ValueError(f"expected {len(state.frames)} environments as in the call before, got {batch}")
        if state.frames.shape[2:] != frames.shape[1:]:
            raise ValueError(f"expected images of {tuple(state.frames.shape[2:])}, got {tuple(frames.shape[1:])}")
        start = start.to(frames.device)
        seen = repeated.where(_rows(start, repeated), torch.cat([state.frames[:, 1:], frames[:, None]], dim=1))
        done = state.actions[:, 1:]
        done = torch.zeros_like(done).where(_rows(start, done), done)
        generators = [resumed(saved) for saved in state.random]
        return generators, reset(shift(state.proposal), start), Context(seen, done, simulators)

    def _placed(self, frames: Tensor, goal: Goal) -> tuple[Tensor, Goal]:
        """Return frames on the device of the predictor's weights, where it has any, and the goal where costs are to be.

        The same goal comes back where it lies right: costs know one by identity.
        """
        weights = next(self.predictor.parameters(), None) if isinstance(self.predictor, torch.nn.Module) else None
        device = goal.frames.device if weights is None else weights.device
        placed = goal.frames.to(self.config.device or device)
        return frames if weights is None else frames.to(device), goal if placed is goal.frames else Goal(placed)


def _rows(mask: Bool[Tensor, " B"], like: Shaped[Tensor, "B ..."]) -> Bool[Tensor, "B ..."]:
    return mask.reshape(-1, *[1] * (like.ndim - 1))
