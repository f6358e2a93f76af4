"""Model-predictive path integral control."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.mpc.config import check_planner_options, require
from corrwise.mpc.optimize import new_proposal
from corrwise.mpc.sampling import autoregressive, per_environment, ranked, weighted_mean
from corrwise.types import Proposal


@dataclass(frozen=True)
class MPPI:
    """Move the mean to a soft average of the candidates; a higher temperature is softer.

    Deviations: costs are divided by their standard deviation over the candidate set, so that a temperature means
    the same for every cost and image size; the noise keeps its variance (see ``sampling.autoregressive``).

    Raises:
        ValueError: when a size is no whole number or below 1, or an option is out of its range.

    Source: Williams et al., "Information theoretic MPC for model-based reinforcement learning", ICRA 2017; time
    correlation as in Nagabandi et al., "Deep dynamics models for learning dexterous manipulation", CoRL 2019.
    """

    executes: ClassVar[Literal["mean"]] = "mean"

    action_dim: int
    _: KW_ONLY
    horizon: int = 12
    candidates: int = 48
    iterations: int = 3
    initial_std: float = 0.5
    """Standard deviation of the noise; actions span [-1, 1]."""
    temperature: float = 0.5
    """Softness of the average, in standard deviations of the candidates' costs: towards 0 only the best candidate
    counts, a large value weighs all of them alike."""
    correlation: float = 0.7
    """AR(1) coefficient of the noise from one step to the next, in [0, 1); its variance does not depend on it."""

    def __post_init__(self) -> None:
        check_planner_options(self)
        require(self.temperature > 0, "temperature", "positive", self.temperature)
        require(0 <= self.correlation < 1, "correlation", "in [0, 1)", self.correlation)

    def init(self, batch: int) -> Proposal:
        """Return a mean of standing still; the std never changes."""
        return new_proposal(batch, self.horizon, action_dim=self.action_dim, initial_std=self.initial_std)

    def sample(self, proposal: Proposal, generators: Sequence[Generator]) -> Float[Tensor, "B N H A"]:
        """Draw correlated noise around the mean, clipped to the bounds."""
        shape = (self.candidates, self.horizon, self.action_dim)
        draw = partial(autoregressive, shape=shape, correlation=self.correlation)
        noise = per_environment(draw, generators, like=proposal.mean)
        return (proposal.mean[:, None] + proposal.std[:, None] * noise).clamp(-1, 1)

    def refit(self, proposal: Proposal, actions: Float[Tensor, "B N H A"], costs: Float[Tensor, "B N"]) -> Proposal:
        """Average the candidates, weighted by :func:`softmin` of their costs."""
        # In the order of their costs, so that the sum does not depend on the order of the candidates.
        ordered, ascending = ranked(actions, costs, self.candidates)
        weights = torch.stack([softmin(row, self.temperature) for row in ascending])
        return replace(proposal, mean=weighted_mean(weights, ordered))


def softmin(costs: Float[Tensor, " N"], temperature: float) -> Float[Tensor, " N"]:
    """Return ``exp(-(c - min c) / (temperature * std c))``, scaled to sum to 1; costs that are not finite weigh 0.

    The std is taken over the finite costs; where they are all equal, so are their weights. Without a single finite
    cost the result is NaN.
    """
    finite = costs.isfinite()
    known = costs.double().where(finite, 0.0)  # float64: squares of large costs must not overflow
    mean = known.sum() / finite.sum()
    std = ((known - mean).square().where(finite, 0.0).sum() / finite.sum()).sqrt()
    gap = (known - costs.where(finite, math.inf).amin()) / std.clamp_min(torch.finfo(std.dtype).tiny)
    weights = torch.exp(-gap / temperature).where(finite, 0.0)
    return (weights / weights.sum()).to(costs)
