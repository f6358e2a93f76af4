"""The cross-entropy method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.mpc.config import CEMConfig, check_budget
from corrwise.mpc.elites import fit, ranked
from corrwise.mpc.noise import per_environment, white
from corrwise.mpc.proposal import new_proposal, settle
from corrwise.types import Proposal


@dataclass(frozen=True)
class CEM:
    """Sample from a Gaussian, fit it to the cheapest candidates, repeat.

    Raises:
        ValueError: when a size is no whole number or below 1.

    Source: Rubinstein and Kroese 2004, with the momentum and the least std that planners commonly add.
    """

    action_dim: int
    _: KW_ONLY
    horizon: int = 8
    candidates: int = 48
    iterations: int = 3
    config: CEMConfig = field(default_factory=CEMConfig)

    def __post_init__(self) -> None:
        check_budget(self)

    @property
    def executes(self) -> Literal["mean", "best"]:
        """Which sequence of the proposal is acted on."""
        return self.config.executes

    def init(self, batch: int) -> Proposal:
        """Return a Gaussian around standing still."""
        initial_std = self.config.initial_std
        return new_proposal(batch, self.horizon, action_dim=self.action_dim, initial_std=initial_std)

    def sample(self, proposal: Proposal, generators: Sequence[Generator]) -> Float[Tensor, "B N H A"]:
        """Draw from the Gaussian, clipped to the bounds; the first candidate is the mean itself."""
        draw = partial(white, shape=(self.candidates, self.horizon, self.action_dim))
        noise = per_environment(draw, generators, like=proposal.mean)
        noise[:, 0] = 0
        return (proposal.mean[:, None] + proposal.std[:, None] * noise).clamp(-1, 1)

    def refit(self, proposal: Proposal, actions: Float[Tensor, "B N H A"], costs: Float[Tensor, "B N"]) -> Proposal:
        """Fit the Gaussian to the elites, mixed with the old one by the momentum."""
        count = max(1, round(self.candidates * self.config.elite_fraction))
        mean, std = fit(*ranked(actions, costs, count))
        mean = torch.lerp(mean, proposal.mean, self.config.momentum)
        std = torch.lerp(std, proposal.std, self.config.momentum).clamp_min(self.config.min_std)
        return settle(proposal, replace(proposal, mean=mean, std=std), actions, costs)
