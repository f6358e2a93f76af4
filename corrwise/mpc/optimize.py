"""The planning loop. It lives once; a planner is what happens inside: sample and refit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from corrwise.mpc.proposal import settle
from corrwise.types import Planner, Proposal, Trace

Score = Callable[[Tensor], Tensor]  # actions (B,N,H,A) -> costs (B,N)


@torch.no_grad()
def optimize(
    planner: Planner, score: Score, proposal: Proposal, generators: Sequence[Generator]
) -> tuple[Proposal, Trace]:
    """Run one plan: ``planner.iterations`` times sample, score and refit.

    A cost that is not finite becomes +inf and is counted. An environment whose candidates are all +inf keeps its
    proposal as it was, whatever the planner makes of them; its entries in the trace are +inf.

    Raises:
        ValueError: when there is not one generator per environment, or ``score`` returns another shape than (B,N).
    """
    if len(generators) != len(proposal.mean):
        raise ValueError(f"expected {len(proposal.mean)} generators, one per environment, got {len(generators)}")
    history = []
    for _ in range(planner.iterations):
        actions = planner.sample(proposal, generators)
        costs = score(actions).to(proposal.mean)
        if costs.shape != actions.shape[:2]:
            raise ValueError(f"expected costs of shape {tuple(actions.shape[:2])}, got {tuple(costs.shape)}")
        costs = costs.where(costs.isfinite(), math.inf)
        # The planners of this package settle for themselves; doing it again keeps any other planner safe, too.
        proposal = settle(proposal, planner.refit(proposal, actions, costs), actions, costs)
        history.append(costs)
    return proposal, _trace(history)


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
