"""A price that remembers what a planner asked it about."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from torch import Tensor

from corrwise.experiments.runs.controls import Price

__all__ = ["Watch"]


class Watch:
    """A price that remembers the last states of all candidates, and their prices.

    Attributes:
        seen: for each iteration the states (B, N, S) at the end of the horizon and what they cost (B, N).
    """

    def __init__(self, price: Price) -> None:
        self._price = price
        self.seen: list[tuple[np.ndarray, Tensor]] = []

    def __call__(self, states: np.ndarray, goals: np.ndarray) -> Float[Tensor, "B N T"]:
        """Return the prices of the states (B, N, T, S) before the goals (B, S)."""
        prices = self._price(states, goals)
        self.seen.append((states[:, :, -1], prices[..., -1]))
        return prices
