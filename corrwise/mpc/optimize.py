"""The planning loop, and a planner's memory between iterations and between plans.

A planner is what happens inside: sample and refit. Its sequences are actions, one for each step, unless it has a method
``to_actions`` (see ``corrwise.types.Planner``): those of ``corrwise.mpc.Knots`` are control points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from corrwise.types import Planner, Proposal, Trace

ScoreActions = Callable[[Tensor], Tensor]  # actions (B,N,H,A) -> costs (B,N)


@torch.no_grad()
def optimize(
    planner: Planner, score: ScoreActions, proposal: Proposal, generators: Sequence[Generator]
) -> tuple[Proposal, Trace]:
    """Run one plan: ``planner.iterations`` times sample, score and refit.

    A cost that is not finite becomes +inf and is counted. The cheapest sequence of the plan becomes the proposal's
    ``best``. An environment whose candidates are all +inf keeps its proposal as it was, whatever the planner makes of
    them; its entries in the trace are +inf.

    Raises:
        ValueError: when there is not one generator per environment, or ``score`` returns another shape than (B,N).
    """
    if len(generators) != len(proposal.mean):
        raise ValueError(f"expected {len(proposal.mean)} generators, one per environment, got {len(generators)}")
    history = []
    for _ in range(planner.iterations):
        sequences = planner.sample(proposal, generators)
        costs = score(_actions(planner, sequences)).to(proposal.mean)
        if costs.shape != sequences.shape[:2]:
            raise ValueError(f"expected costs of shape {tuple(sequences.shape[:2])}, got {tuple(costs.shape)}")
        costs = costs.where(costs.isfinite(), math.inf)
        proposal = _learned(proposal, planner.refit(proposal, sequences, costs), sequences, costs)
        history.append(costs)
    return proposal, _trace(history)


def new_proposal(batch: int, horizon: int, *, action_dim: int, initial_std: float = 0.5, elites: int = 0) -> Proposal:
    """Return the proposal of environments that know nothing: mean 0, every elite slot empty.

    Raises:
        ValueError: when ``batch`` is below 1.
    """
    if batch < 1:
        raise ValueError(f"batch must be at least 1, got {batch}")
    plain: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}
    mean = torch.zeros(batch, horizon, action_dim, **plain)
    return Proposal(
        mean=mean,
        std=torch.full_like(mean, initial_std),
        initial_std=initial_std,
        iteration=0,
        elites=torch.zeros(batch, elites, horizon, action_dim, **plain),
        elite_costs=torch.full((batch, elites), math.inf, **plain),
        best=mean.clone(),
        best_cost=torch.full((batch,), math.inf, **plain),
    )


def shift(proposal: Proposal, planner: Planner | None = None) -> Proposal:
    """Return the warm start of the next plan: every sequence moves on by one step and repeats its last action.

    A ``planner`` whose sequences are not actions defines this by its method ``one_step_later``. The std returns
    to its initial value, the iteration to 0 and the best cost to +inf. The elites' costs belong to the old plan: they
    only say which slots are filled (finite) and must not be compared with new ones.
    """
    later = getattr(planner, "one_step_later", _later)
    return replace(
        proposal,
        mean=later(proposal.mean),
        std=torch.full_like(proposal.std, proposal.initial_std),
        iteration=0,
        elites=later(proposal.elites),
        best=later(proposal.best),
        best_cost=torch.full_like(proposal.best_cost, math.inf),
    )


def reset(proposal: Proposal, mask: Bool[Tensor, " B"]) -> Proposal:
    """Return the proposal with the environments in ``mask`` begun anew; the other rows keep every bit.

    The iteration, which all rows share, becomes 0: reset between plans, never inside one.
    """
    batch, horizon, action_dim = proposal.mean.shape
    anew = new_proposal(
        batch,
        horizon,
        action_dim=action_dim,
        initial_std=proposal.initial_std,
        elites=proposal.elites.shape[1],
    )
    return replace(merged(mask, anew, proposal), iteration=0)


def planned_actions(planner: Planner, proposal: Proposal) -> Float[Tensor, "B H A"]:
    """Return the actions that a planner executes: its ``executes``, "mean" (also without one) or "best"."""
    executed = proposal.best if getattr(planner, "executes", "mean") == "best" else proposal.mean
    return _actions(planner, executed)


def first_action(planner: Planner, proposal: Proposal) -> Float[Tensor, "B A"]:
    """Return the action to execute now, in [-1, 1]."""
    return planned_actions(planner, proposal)[:, 0]


def _actions(planner: Planner, sequences: Float[Tensor, "*batch K A"]) -> Float[Tensor, "*batch H A"]:
    expand = getattr(planner, "to_actions", None)
    return sequences if expand is None else expand(sequences)


def _later(sequences: Float[Tensor, "*batch H A"]) -> Float[Tensor, "*batch H A"]:
    return torch.cat([sequences[..., 1:, :], sequences[..., -1:, :]], dim=-2)


def _learned(
    before: Proposal, after: Proposal, actions: Float[Tensor, "B N H A"], costs: Float[Tensor, "B N"]
) -> Proposal:
    """Return the proposal after a refit; ``after`` is the planner's own result for the scored candidates."""
    cheapest, index = costs.where(costs.isfinite(), math.inf).min(dim=1)
    better = cheapest < before.best_cost
    candidate = actions.take_along_dim(index[:, None, None, None], dim=1)[:, 0]
    return replace(
        merged(costs.isfinite().any(dim=1), after, before),
        iteration=before.iteration + 1,
        best=candidate.where(better[:, None, None], before.best),
        best_cost=cheapest.where(better, before.best_cost),
    )


def merged(mask: Bool[Tensor, " B"], chosen: Proposal, other: Proposal) -> Proposal:
    """Return ``chosen`` where ``mask`` holds and ``other`` elsewhere, environment by environment."""

    def rows(one: Tensor, two: Tensor) -> Tensor:
        return one.to(two).where(mask.to(two.device).reshape(-1, *[1] * (two.ndim - 1)), two)

    return replace(
        chosen,
        mean=rows(chosen.mean, other.mean),
        std=rows(chosen.std, other.std),
        elites=rows(chosen.elites, other.elites),
        elite_costs=rows(chosen.elite_costs, other.elite_costs),
        best=rows(chosen.best, other.best),
        best_cost=rows(chosen.best_cost, other.best_cost),
    )


def _trace(history: list[Tensor]) -> Trace:
    finite = [costs.isfinite() for costs in history]
    sums = [costs.where(ok, 0.0).sum(dim=1) for costs, ok in zip(history, finite, strict=True)]
    means = [(total / ok.sum(dim=1)).where(ok.any(dim=1), math.inf) for total, ok in zip(sums, finite, strict=True)]
    return Trace(
        best_cost=torch.stack([costs.amin(dim=1) for costs in history]),
        mean_cost=torch.stack(means),
        rejected=torch.stack([(~ok).sum(dim=1) for ok in finite]).sum(dim=0),
        candidates=sum(costs.shape[1] for costs in history),
    )
