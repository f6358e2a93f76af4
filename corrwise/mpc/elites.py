"""Picking and averaging candidates by their costs; every planner ranks here."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

Actions = Float[Tensor, "B N H A"]


def ranked(actions: Float[Tensor, "B N H A"], costs: Float[Tensor, "B N"], count: int) -> tuple[Tensor, Tensor]:
    """Return the ``count`` cheapest candidates (B,E,H,A) and their costs (B,E), cheapest first."""
    ascending, order = costs.sort(dim=1, stable=True)  # NaN sorts behind +inf
    return actions.take_along_dim(order[:, :count, None, None], dim=1), ascending[:, :count]


def weighted_mean(weights: Float[Tensor, "B N"], actions: Float[Tensor, "B N H A"]) -> Float[Tensor, "B H A"]:
    """Return each environment's weighted mean of action sequences, within [-1, 1]; weights sum to 1."""
    # One environment at a time: the order in which a batched sum adds, and so its last bit, may depend on B.
    rows = [(weight[:, None, None] * action).sum(dim=0) for weight, action in zip(weights, actions, strict=True)]
    return torch.stack(rows).clamp(-1, 1)  # the sum of weights may round to just above 1


def fit(elites: Float[Tensor, "B E H A"], costs: Float[Tensor, "B E"]) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation (B,H,A) of the elites whose cost is finite."""
    finite = costs.isfinite()
    weights = finite.to(elites) / finite.sum(dim=1, keepdim=True).clamp_min(1)
    mean = weighted_mean(weights, elites)
    spread = (elites - mean[:, None]) / 2  # halved, so that its square stays within the bounds of an action
    return mean, 2 * weighted_mean(weights, spread**2).sqrt()
