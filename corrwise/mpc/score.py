"""From actions to one number per candidate: which frames are predicted, how many at a time, and what they add up to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise._files import shown
from corrwise.mpc.config import AGGREGATE_NAMES, Discount, Positive, Size
from corrwise.mpc.futures import Risk, split_futures
from corrwise.types import Context, Cost, Goal, Predictor, is_deterministic
from corrwise.validation import Names, validate, validated


@validated(error=ValueError)
class Aggregate:
    """How the costs of the frames along a horizon become the cost of a candidate.

    ``last`` | ``sum`` | ``mean`` | ``discounted`` (step t, from 0, counts gamma^t) | ``last-times-k`` (a sum in which
    the last step counts k times) | ``min`` (the nearest that the candidate comes).

    Raises:
        ValueError: for an unknown name, gamma outside (0, 1] or k of zero or below.
    """

    name: Annotated[str, Names(AGGREGATE_NAMES, what="aggregate")] = "last"
    _: KW_ONLY
    gamma: Discount = 0.95
    k: Positive = 10.0

    def steps(self, horizon: int) -> Sequence[int]:
        """Return the steps whose frames are needed; 0 is the frame after the first action."""
        return (horizon - 1,) if self.name == "last" else tuple(range(horizon))

    def __call__(self, costs: Float[Tensor, "B N T"]) -> Float[Tensor, "B N"]:
        """Return one cost per candidate; a step that is not finite makes its candidate's cost so, too."""
        if self.name == "min":
            return costs.amin(dim=-1).where(costs.isfinite().all(dim=-1), math.nan)
        total = torch.zeros_like(costs[..., 0])
        # Step by step: a candidate's sum then has the same bits whatever stands beside it.
        for weight, cost in zip(self._weights(costs.shape[-1]), costs.unbind(dim=-1), strict=True):
            total = total + weight * cost
        return total

    def _weights(self, steps: int) -> list[float]:
        if self.name == "mean":
            return [1 / steps] * steps
        if self.name == "discounted":
            return [self.gamma**t for t in range(steps)]
        if self.name == "last-times-k":
            return [1.0] * (steps - 1) + [self.k]
        return [1.0] * steps  # sum, and last, which has one step


@torch.no_grad()
def score(
    predictor: Predictor,
    cost: Cost,
    context: Context,
    goal: Goal,
    actions: Float[Tensor, "B N H A"],
    *,
    aggregate: Aggregate,
    max_frames: int = 256,
    reproducible: bool = True,
    generators: Sequence[Generator] | None = None,
    futures: int = 1,
    risk: Risk | None = None,
) -> Float[Tensor, "B N"]:
    """Return the cost of each candidate, with about ``max_frames`` predicted frames in memory at a time.

    Environments go in groups, and candidates in chunks where a single environment's are too many; only the steps that
    the aggregate needs are predicted. The cost sees one environment at a time, so what a network makes of a batch, to
    the last bit, never depends on which other environments are planned for; unless ``reproducible`` is false, when it
    sees all those of a group in one call. The result does not depend on the chunks as long as predictor and cost treat
    every candidate for itself (a predictor that draws from ``generators`` draws chunk by chunk). Costs are computed on
    the goal's device, whichever the predictor's frames are on.

    With several ``futures`` each environment is predicted that often, each time with other random numbers, which all
    its candidates share and which derive from the environment's generator without advancing it (``split_futures``). A
    candidate's cost is the ``risk`` (None: the mean) over its futures. They count as environments do: memory does not
    grow with them. All futures are the same without ``generators`` and of a predictor with the attribute
    ``deterministic``, which is then asked once.

    A goal video is followed: the frame after step s is compared with the goal's frame s, and with its last one where it
    has ended by then.

    Raises:
        ValueError: when ``max_frames`` or ``futures`` is below 1, the goals are not as many as the environments, or the
            predictor or the cost returns no tensor or another shape than asked for.
    """
    validate("max_frames", Size, max_frames)
    validate("futures", Size, futures)
    batch, candidates, horizon, _ = actions.shape
    if len(goal.frames) != batch:
        raise ValueError(f"expected goals for {batch} environments, got {len(goal.frames)}")
    if generators is None or is_deterministic(predictor):
        futures = 1
    noise = generators
    if futures > 1 and generators is not None:
        noise = [each for drawn in split_futures(generators, futures) for each in drawn]
    worlds = batch * futures  # each future counts as an environment, beside the other futures of the same one
    steps = aggregate.steps(horizon)
    goal = _at_steps(goal, steps)
    size = min(max(1, max_frames // len(steps)), candidates)
    together = min(max(1, max_frames // (size * len(steps))), worlds)
    compared = 1 if reproducible else together  # environments in a call of the cost
    goals = _goals(goal, futures, compared)
    rows = []
    for first in range(0, worlds, together):
        group = range(first, min(first + together, worlds))
        which = slice(group.start, group.stop) if futures == 1 else [i // futures for i in group]
        part, drawn = _only(context, which), None if noise is None else [noise[i] for i in group]
        costs = []
        for chunk in actions[which].to(context.frames).split(size, dim=1):
            asked = (len(group), chunk.shape[1], len(steps))
            frames = predictor(part, chunk, steps=steps, generators=drawn)
            _check_tensor("the predictor", "frames", frames)
            _check_shape("the predictor", "frames", asked, tuple(frames.shape[:3]))
            _check_images(tuple(context.frames.shape[2:]), tuple(frames.shape[3:]))
            mine = goals[group.start // compared : -(-group.stop // compared)]
            costs.append(torch.cat([_cost(cost, *each) for each in zip(frames.split(compared), mine, strict=True)]))
            del frames  # before the next chunk is predicted, or two chunks would be in memory
        rows.append(torch.cat(costs, dim=1))
    total = aggregate(torch.cat(rows))
    return total if futures == 1 else (risk or Risk())(total.unflatten(0, (batch, futures)).movedim(1, -1))


def _goals(goal: Goal, futures: int, compared: int) -> list[Goal]:
    """Return the goal of each call of the cost, for environments whose futures are adjacent.

    Costs know a goal by identity: the same object comes back for all chunks, and for the futures of an environment.
    """
    if compared == 1 and len(goal.frames) > 1:
        return [each for row in goal.frames.split(1) for each in [Goal(row)] * futures]
    if compared == len(goal.frames) and futures == 1:
        return [goal]
    if compared == 1:
        return [goal] * futures
    return [Goal(frames) for frames in goal.frames.repeat_interleave(futures, dim=0).split(compared)]


def _at_steps(goal: Goal, steps: Sequence[int]) -> Goal:
    """Return a goal video's frames of these steps; a goal image as it is, because costs know a goal by identity."""
    length = goal.frames.shape[1]
    return goal if length == 1 else Goal(goal.frames[:, [min(step, length - 1) for step in steps]])


def _only(context: Context, which: slice | list[int]) -> Context:
    """Return some of the environments."""
    state = None if context.state is None else context.state[which]
    return Context(context.frames[which], context.actions[which], state)


def _cost(cost: Cost, frames: Float[Tensor, "B N T C h w"], goal: Goal) -> Float[Tensor, "B N T"]:
    values = cost(frames.to(goal.frames.device), goal)
    _check_tensor("the cost", "values", values)
    _check_shape("the cost", "values", tuple(frames.shape[:3]), tuple(values.shape))
    return values.to(frames.device)


def _check_images(observed: tuple[int, ...], predicted: tuple[int, ...]) -> None:
    if observed != predicted:
        raise ValueError(
            f"the predictor must return images of the observation's (C,h,w) = {observed}, got {predicted}; "
            "are simulator and environment made with the same size?"
        )


def _check_tensor(who: str, what: str, got: object) -> None:
    if not isinstance(got, Tensor):
        raise ValueError(f"{who} must return a tensor of {what}, got {shown(got)}")


def _check_shape(who: str, what: str, wanted: tuple[int, ...], got: tuple[int, ...]) -> None:
    if wanted != got:
        raise ValueError(f"{who} must return {what} of (B,N,T) = {wanted}, got {got}")
