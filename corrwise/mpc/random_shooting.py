"""Random shooting: the planner that every other one has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.mpc.config import RandomShootingConfig, check_budget
from corrwise.mpc.noise import per_environment, uniform
from corrwise.mpc.proposal import new_proposal, settle
from corrwise.types import Proposal


@dataclass(frozen=True)
class RandomShooting:
    """Draw uniformly in [-1, 1] and execute the cheapest sequence; nothing is learned between iterations.

    Raises:
        ValueError: when a size is no whole number or below 1.
    """

    executes: ClassVar[Literal["best"]] = "best"

    action_dim: int
    _: KW_ONLY
    horizon: int = 8
    candidates: int = 48
    iterations: int = 3
    config: RandomShootingConfig = field(default_factory=RandomShootingConfig)

    def __post_init__(self) -> None:
        check_budget(self)

    def init(self, batch: int) -> Proposal:
        """Return a proposal whose mean will be the cheapest sequence so far; its std is that of the uniform draw."""
        return new_proposal(batch, self.horizon, action_dim=self.action_dim, initial_std=3**-0.5)

    def sample(self, proposal: Proposal, generators: Sequence[Generator]) -> Float[Tensor, "B N H A"]:
        """Draw candidates, each random action held for ``config.hold`` steps."""
        hold = min(self.config.hold, self.horizon)
        knots = -(-self.horizon // hold)
        draw = partial(uniform, shape=(self.candidates, knots, self.action_dim))
        actions = per_environment(draw, generators, like=proposal.mean)
        return actions.repeat_interleave(hold, dim=2)[:, :, : self.horizon]

    def refit(self, proposal: Proposal, actions: Float[Tensor, "B N H A"], costs: Float[Tensor, "B N"]) -> Proposal:
        """Remember the cheapest sequence of the plan, also as the mean."""
        settled = settle(proposal, proposal, actions, costs)
        return replace(settled, mean=settled.best)
