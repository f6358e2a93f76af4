"""Sample-efficient CEM: the same fit, fed with better candidates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.mpc.config import ICEMConfig, check_budget
from corrwise.mpc.elites import fit, ranked
from corrwise.mpc.noise import coloured, per_environment
from corrwise.mpc.proposal import new_proposal, settle
from corrwise.types import Proposal


@dataclass(frozen=True)
class ICEM:
    """CEM with coloured noise, elites that live on, and a population that shrinks with each iteration.

    Deviation from the paper: kept elites take the place of new candidates instead of being added to them, so that
    ``candidates`` bounds what a plan costs.

    Raises:
        ValueError: when a size is no whole number or below 1.

    Source: Pinneri et al., "Sample-efficient Cross-Entropy Method for Real-time Planning", CoRL 2020, Alg. 1.
    """

    executes: ClassVar[Literal["best"]] = "best"

    action_dim: int
    _: KW_ONLY
    horizon: int = 8
    candidates: int = 48
    iterations: int = 3
    config: ICEMConfig = field(default_factory=ICEMConfig)

    def __post_init__(self) -> None:
        check_budget(self)

    @property
    def elites(self) -> int:
        """How many candidates the Gaussian is fitted to."""
        return max(1, min(round(self.candidates * self.config.elite_fraction), self.candidates // 2))

    def population(self, iteration: int) -> int:
        """Return how many candidates an iteration scores: decaying, but at least twice the elites."""
        decayed = int(self.candidates / self.config.decay**iteration)
        return min(self.candidates, max(decayed, 2 * self.elites))

    def init(self, batch: int) -> Proposal:
        """Return a Gaussian around standing still, with room for the elites."""
        initial_std = self.config.initial_std
        sizes = (batch, self.horizon)
        return new_proposal(*sizes, action_dim=self.action_dim, initial_std=initial_std, elites=self.elites)

    def sample(self, proposal: Proposal, generators: Sequence[Generator]) -> Float[Tensor, "B N H A"]:
        """Draw coloured noise around the mean; kept elites come first and, in the last iteration, the mean last."""
        shape = (self.population(proposal.iteration), self.horizon, self.action_dim)
        draw = partial(coloured, shape=shape, beta=self.config.noise_beta)
        noise = per_environment(draw, generators, like=proposal.mean)
        actions = (proposal.mean[:, None] + proposal.std[:, None] * noise).clamp(-1, 1)
        kept = math.ceil(self.elites * self.config.keep_fraction)
        filled = proposal.elite_costs[:, :kept, None, None].isfinite()
        actions[:, :kept] = proposal.elites[:, :kept].where(filled, actions[:, :kept])
        if proposal.iteration == self.iterations - 1:
            actions[:, -1] = proposal.mean
        return actions

    def refit(self, proposal: Proposal, actions: Float[Tensor, "B N H A"], costs: Float[Tensor, "B N"]) -> Proposal:
        """Fit the Gaussian to the elites, mixed with the old one by the momentum, and keep them."""
        elites, elite_costs = ranked(actions, costs, self.elites)
        mean, std = fit(elites, elite_costs)
        mean = torch.lerp(mean, proposal.mean, self.config.momentum)
        std = torch.lerp(std, proposal.std, self.config.momentum).clamp_min(self.config.min_std)
        after = replace(proposal, mean=mean, std=std, elites=elites, elite_costs=elite_costs)
        return settle(proposal, after, actions, costs)
