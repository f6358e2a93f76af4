"""The cross-entropy method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.mpc.config import check_planner_options, require
from corrwise.mpc.optimize import new_proposal
from corrwise.mpc.sampling import fit, per_environment, ranked, white
from corrwise.types import Proposal


@dataclass(frozen=True)
class CEM:
    """Sample from a Gaussian, fit it to the cheapest candidates, repeat.

    Raises:
        ValueError: when a size is no whole number or below 1, or an option is out of its range.

    Source: Rubinstein and Kroese 2004, with the momentum and the least std that planners commonly add.
    """

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
    """Share of the candidates that the next Gaussian is fitted to (at least one)."""
    momentum: float = 0.1
    """Share of the old mean and std that is kept in each refit; 0 forgets them."""
    executes: Literal["mean", "best"] = "mean"
    """Act on the fitted mean or on the cheapest candidate seen."""

    def __post_init__(self) -> None:
        check_planner_options(self)
        require(self.executes in ("mean", "best"), "executes", "mean or best", self.executes)

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
        mean, std = fit(*ranked(actions, costs, count))
        mean = torch.lerp(mean, proposal.mean, self.momentum)
        std = torch.lerp(std, proposal.std, self.momentum).clamp_min(self.min_std)
        return replace(proposal, mean=mean, std=std)
