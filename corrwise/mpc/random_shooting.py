"""Random shooting: the planner that every other one has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.mpc.config import check_planner_options, require
from corrwise.mpc.optimize import new_proposal
from corrwise.mpc.sampling import per_environment, uniform
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
    horizon: int = 12
    candidates: int = 48
    iterations: int = 3
    hold: int = 1
    """Each random action is held for this many steps; longer holds reach further."""

    def __post_init__(self) -> None:
        check_planner_options(self)
        require(self.hold >= 1, "hold", "at least 1", self.hold)

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
