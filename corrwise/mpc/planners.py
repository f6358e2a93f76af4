"""Planners: each draws action sequences (``sample``) and learns from their costs (``refit``); options are flat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, replace
from functools import partial
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.mpc.config import Positive, Size
from corrwise.mpc.optimize import new_proposal
from corrwise.mpc.sampling import (
    autoregressive,
    coloured,
    fit,
    per_environment,
    ranked,
    uniform,
    weighted_mean,
    white,
)
from corrwise.types import Proposal
from corrwise.validation import Range, validated

NotNegative = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]
SomeShare = Annotated[float, Range(0, 1, open="low")]
BelowOne = Annotated[float, Range(0, 1, open="high")]


@validated(error=ValueError)
class RandomShooting:
    """Draw uniformly in [-1, 1] and execute the cheapest sequence; nothing is learned between iterations.

    Raises:
        ValueError: when a size is no whole number or below 1.
    """

    executes: ClassVar[Literal["best"]] = "best"

    action_dim: Size
    _: KW_ONLY
    horizon: Size = 12
    candidates: Size = 48
    iterations: Size = 3
    hold: Size = 1
    """Each random action is held for this many steps; longer holds reach further."""

    def init(self, batch: int) -> Proposal:
        """Return a proposal without any sequence yet; its std is that of the uniform draw."""
        return new_proposal(batch, self.horizon, action_dim=self.action_dim, initial_std=3**-0.5)

    def sample(self, proposal: Proposal, generators: Sequence[Generator]) -> Float[Tensor, "B N H A"]:
        """Draw candidates, each random action held for ``hold`` steps."""
        hold = min(self.hold, self.horizon)
        held = -(-self.horizon // hold)
        draw = partial(uniform, shape=(self.candidates, held, self.action_dim))
        actions = per_environment(draw, generators, like=proposal.mean)
        return actions.repeat_interleave(hold, dim=2)[:, :, : self.horizon]

    def refit(self, proposal: Proposal, actions: Float[Tensor, "B N H A"], costs: Float[Tensor, "B N"]) -> Proposal:
        """Return the proposal as it is: the loop remembers the cheapest sequence."""
        return proposal


@validated(error=ValueError)
class CEM:
    """Sample from a Gaussian, fit it to the cheapest candidates, repeat.

    Raises:
        ValueError: when a size is no whole number or below 1, or an option is out of its range.

    Source: Rubinstein and Kroese 2004, with the momentum and the least std that planners commonly add.
    """

    action_dim: Size
    _: KW_ONLY
    horizon: Size = 12
    candidates: Size = 48
    iterations: Size = 3
    initial_std: Positive = 0.5
    """Standard deviation at the start of every plan; actions span [-1, 1]."""
    min_std: NotNegative = 0.05
    """The standard deviation never falls below this, so that later iterations still explore."""
    elite_fraction: SomeShare = 0.2
    """Share of the candidates that the next Gaussian is fitted to (at least one)."""
    momentum: BelowOne = 0.1
    """Share of the old mean and std that is kept in each refit; 0 forgets them."""
    executes: Literal["mean", "best"] = "mean"
    """Act on the fitted mean or on the cheapest candidate seen."""

    def init(self, batch: int) -> Proposal:
        """Return a Gaussian around standing still."""
        return new_proposal(batch, self.horizon, action_dim=self.action_dim, initial_std=self.initial_std)

    def sample(self, proposal: Proposal, generators: Sequence[Generator]) -> Float[Tensor, "B N H A"]:
        """Draw from the Gaussian, clipped to the bounds; the first candidate is the mean itself."""
        draw = partial(white, shape=(self.candidates, self.horizon, self.action_dim))
        noise = per_environment(draw, generators, like=proposal.mean)
        noise[:, 0] = 0
        return (proposal.mean[:, None] + proposal.std[:, None] * noise).clamp(-1, 1)

    def refit(self, proposal: Proposal, actions: Float[Tensor, "B N H A"], costs: Float[Tensor, "B N"]) -> Proposal:
        """Fit the Gaussian to the elites, mixed with the old one by the momentum."""
        count = max(1, round(self.candidates * self.elite_fraction))
        return _refitted(self, proposal, *ranked(actions, costs, count))


@validated(error=ValueError)
class ICEM:
    """CEM with coloured noise, elites that live on, and a population that shrinks with each iteration.

    Deviation from the paper: kept elites take the place of new candidates instead of being added to them, so that
    ``candidates`` bounds what a plan costs.

    Raises:
        ValueError: when a size is no whole number or below 1, or an option is out of its range.

    Source: Pinneri et al., "Sample-efficient Cross-Entropy Method for Real-time Planning", CoRL 2020, Alg. 1.
    """

    executes: ClassVar[Literal["best"]] = "best"

    action_dim: Size
    _: KW_ONLY
    horizon: Size = 12
    candidates: Size = 48
    iterations: Size = 3
    initial_std: Positive = 0.5
    """Standard deviation at the start of every plan; actions span [-1, 1]."""
    min_std: NotNegative = 0.05
    """The standard deviation never falls below this, so that later iterations still explore."""
    elite_fraction: SomeShare = 0.2
    """Share of the candidates that the next Gaussian is fitted to (at least one, at most half)."""
    momentum: BelowOne = 0.1
    """Share of the old mean and std that is kept in each refit; 0 forgets them."""
    noise_beta: NotNegative = 2.0
    """Exponent of the noise's power spectrum 1 / f^beta: 0 is white, 2 is a slow drift that moves bodies further."""
    keep_fraction: Share = 0.3
    """Share of the elites scored again in the next iteration and, shifted by one step, in the next plan."""
    decay: Annotated[float, Range(1)] = 1.25
    """The population shrinks by this factor with each iteration, down to twice the elites."""

    @property
    def elites(self) -> int:
        """How many candidates the Gaussian is fitted to."""
        return max(1, min(round(self.candidates * self.elite_fraction), self.candidates // 2))

    def population(self, iteration: int) -> int:
        """Return how many candidates an iteration scores: decaying, but at least twice the elites."""
        decayed = int(self.candidates / self.decay**iteration)
        return min(self.candidates, max(decayed, 2 * self.elites))

    def init(self, batch: int) -> Proposal:
        """Return a Gaussian around standing still, with empty slots for the elites."""
        sizes = (batch, self.horizon)
        return new_proposal(*sizes, action_dim=self.action_dim, initial_std=self.initial_std, elites=self.elites)

    def sample(self, proposal: Proposal, generators: Sequence[Generator]) -> Float[Tensor, "B N H A"]:
        """Draw coloured noise around the mean; kept elites come first and, in the last iteration, the mean last."""
        shape = (self.population(proposal.iteration), self.horizon, self.action_dim)
        draw = partial(coloured, shape=shape, beta=self.noise_beta)
        noise = per_environment(draw, generators, like=proposal.mean)
        actions = (proposal.mean[:, None] + proposal.std[:, None] * noise).clamp(-1, 1)
        kept = math.ceil(self.elites * self.keep_fraction)
        filled = proposal.elite_costs[:, :kept, None, None].isfinite()
        actions[:, :kept] = proposal.elites[:, :kept].where(filled, actions[:, :kept])
        if proposal.iteration == self.iterations - 1:
            actions[:, -1] = proposal.mean
        return actions

    def refit(self, proposal: Proposal, actions: Float[Tensor, "B N H A"], costs: Float[Tensor, "B N"]) -> Proposal:
        """Fit the Gaussian to the elites, mixed with the old one by the momentum, and keep them."""
        elites, elite_costs = ranked(actions, costs, self.elites)
        return replace(_refitted(self, proposal, elites, elite_costs), elites=elites, elite_costs=elite_costs)


@validated(error=ValueError)
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

    action_dim: Size
    _: KW_ONLY
    horizon: Size = 12
    candidates: Size = 48
    iterations: Size = 3
    initial_std: Positive = 0.5
    """Standard deviation of the noise; actions span [-1, 1]."""
    temperature: Positive = 0.5
    """Softness of the average, in standard deviations of the candidates' costs: towards 0 only the best candidate
    counts, a large value weighs all of them alike."""
    correlation: BelowOne = 0.7
    """AR(1) coefficient of the noise from one step to the next, in [0, 1); its variance does not depend on it."""

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


def _refitted(
    planner: CEM | ICEM, proposal: Proposal, elites: Float[Tensor, "B E H A"], costs: Float[Tensor, "B E"]
) -> Proposal:
    """Return the Gaussian fitted to the elites, mixed with the old one by the momentum."""
    mean, std = fit(elites, costs)
    mean = torch.lerp(mean, proposal.mean, planner.momentum)
    std = torch.lerp(std, proposal.std, planner.momentum).clamp_min(planner.min_std)
    return replace(proposal, mean=mean, std=std)


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
