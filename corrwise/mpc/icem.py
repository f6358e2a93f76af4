"""Sample-efficient CEM: the same fit, fed with better candidates."""

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
from corrwise.mpc.sampling import coloured, fit, per_environment, ranked
from corrwise.types import Proposal


@dataclass(frozen=True)
class ICEM:
    """CEM with coloured noise, elites that live on, and a population that shrinks with each iteration.

    Deviation from the paper: kept elites take the place of new candidates instead of being added to them, so that
    ``candidates`` bounds what a plan costs.

    Raises:
        ValueError: when a size is no whole number or below 1, or an option is out of its range.

    Source: Pinneri et al., "Sample-efficient Cross-Entropy Method for Real-time Planning", CoRL 2020, Alg. 1.
    """

    executes: ClassVar[Literal["best"]] = "best"

    action_dim: int
    _: KW_ONLY
    horizon: int = 12
    candidates: int = 48
    iterations: int = 3
    initial_std: float = 0.5
    """Standard deviation at the start of every plan; actions span [-1, 1]."""
    min_std: float = 0.05
    """The standard deviation never falls below this, so that later iterations still explore."""
    elite_fraction: float = 0.2
    """Share of the candidates that the next Gaussian is fitted to (at least one, at most half)."""
    momentum: float = 0.1
    """Share of the old mean and std that is kept in each refit; 0 forgets them."""
    noise_beta: float = 2.0
    """Exponent of the noise's power spectrum 1 / f^beta: 0 is white, 2 is a slow drift that moves bodies further."""
    keep_fraction: float = 0.3
    """Share of the elites scored again in the next iteration and, shifted by one step, in the next plan."""
    decay: float = 1.25
    """The population shrinks by this factor with each iteration, down to twice the elites."""

    def __post_init__(self) -> None:
        check_planner_options(self)
        require(self.noise_beta >= 0, "noise_beta", "zero or above", self.noise_beta)
        require(0 <= self.keep_fraction <= 1, "keep_fraction", "in [0, 1]", self.keep_fraction)
        require(self.decay >= 1, "decay", "at least 1", self.decay)

    @property
    def elites(self) -> int:
        """How many candidates the Gaussian is fitted to."""
        return max(1, min(round(self.candidates * self.elite_fraction), self.candidates // 2))

    def population(self, iteration: int) -> int:
        """Return how many candidates an iteration scores: decaying, but at least twice the elites."""
        decayed = int(self.candidates / self.decay**iteration)
        return min(self.candidates, max(decayed, 2 * self.elites))

    def init(self, batch: int) -> Proposal:
        """Return a Gaussian around standing still, with room for the elites."""
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
        mean, std = fit(elites, elite_costs)
        mean = torch.lerp(mean, proposal.mean, self.momentum)
        std = torch.lerp(std, proposal.std, self.momentum).clamp_min(self.min_std)
        return replace(proposal, mean=mean, std=std, elites=elites, elite_costs=elite_costs)
