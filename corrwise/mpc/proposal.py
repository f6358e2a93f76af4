"""A planner's memory between iterations and between plans: make it, move it on, read it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from corrwise.types import Planner, Proposal


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


def shift(proposal: Proposal) -> Proposal:
    """Return the warm start of the next plan: every sequence moves on by one step and repeats its last action.

    The std returns to its initial value, the iteration to 0 and the best cost to +inf. The elites' costs belong to
    the old plan: they only say which slots are filled (finite) and must not be compared with new ones.
    """
    return replace(
        proposal,
        mean=_later(proposal.mean),
        std=torch.full_like(proposal.std, proposal.initial_std),
        iteration=0,
        elites=_later(proposal.elites),
        best=_later(proposal.best),
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
    return replace(merge(mask, anew, proposal), iteration=0)


def settle(
    before: Proposal, after: Proposal, actions: Float[Tensor, "B N H A"], costs: Float[Tensor, "B N"]
) -> Proposal:
    """Return what a refit leaves behind, given what the planner made (``after``) of the scored candidates.

    An environment without a single finite cost has learned nothing and keeps its rows of ``before``; elsewhere the
    cheapest candidate becomes the best of the plan if it beats the one before. Settling twice changes nothing.
    """
    cheapest, index = costs.where(costs.isfinite(), math.inf).min(dim=1)
    better = cheapest < before.best_cost
    candidate = actions.take_along_dim(index[:, None, None, None], dim=1)[:, 0]
    return replace(
        merge(costs.isfinite().any(dim=1), after, before),
        iteration=before.iteration + 1,
        best=candidate.where(better[:, None, None], before.best),
        best_cost=cheapest.where(better, before.best_cost),
    )


def merge(mask: Bool[Tensor, " B"], chosen: Proposal, other: Proposal) -> Proposal:
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


def planned_actions(planner: Planner, proposal: Proposal) -> Float[Tensor, "B H A"]:
    """Return the sequence a planner means to execute: its ``executes``, "mean" (also without one) or "best"."""
    return proposal.best if getattr(planner, "executes", "mean") == "best" else proposal.mean


def first_action(planner: Planner, proposal: Proposal) -> Float[Tensor, "B A"]:
    """Return the action to execute now, in [-1, 1]."""
    return planned_actions(planner, proposal)[:, 0]


def _later(sequences: Float[Tensor, "*batch H A"]) -> Float[Tensor, "*batch H A"]:
    return torch.cat([sequences[..., 1:, :], sequences[..., -1:, :]], dim=-2)
