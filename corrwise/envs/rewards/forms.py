"""Ways to make a reward of what a picture costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

__all__ = ["FORMS", "RewardForm"]

FORMS = ("negative", "improvement", "normalised")
AT_GOAL = 1e-6  # a cost of no more than this is that of the goal itself


@dataclass(frozen=True)
class RewardForm:
    """One of ``FORMS``, of the cost ``c`` of what the environment shows now, ``b`` before, ``c0`` at the first.

    ``"negative"``: ``-c``. ``"normalised"``: ``-c / c0``, which is -1 where an episode begins and 0 at the goal,
    whatever the distance's unit; ``-c`` in an episode that begins at its goal.

    ``"improvement"``: ``b - gamma c``, the potential-based shaping of Ng, Harada and Russell (ICML 1999) with the
    potential ``-c``: discounted by the same gamma, an episode of T steps sums to ``c0 - gamma^T c_T``, so on its own it
    asks for a last picture that is near. Added to a reward it leaves the optimal policy as it is; the potential of a
    state in which the environment terminates (not: is truncated) is then zero, as that theorem asks.

    Attributes:
        name: one of ``FORMS``.
        gamma: the agent's discount, for "improvement".
        added: whether it is added to the environment's own reward rather than put in its place.

    Raises:
        ValueError: an unknown name, or gamma outside [0, 1].
    """

    name: str = "negative"
    gamma: float | int = 0.99
    added: bool = False

    def __post_init__(self) -> None:
        if self.name not in FORMS:
            raise ValueError(f"expected form to be one of {', '.join(FORMS)}, got {self.name!r}")
        if not 0 <= self.gamma <= 1:
            raise ValueError(f"expected gamma in [0, 1], got {self.gamma}")

    def rewards(
        self,
        costs: Float64[np.ndarray, "n"],
        before: Float64[np.ndarray, "n"],
        first: Float64[np.ndarray, "n"],
        terminated: Bool[np.ndarray, "n"],
    ) -> Float64[np.ndarray, "n"]:
        """Return one reward per environment."""
        if self.name == "negative":
            return -costs
        if self.name == "normalised":
            return -costs / np.where(first > AT_GOAL, first, 1.0)
        after = np.where(terminated, 0.0, costs) if self.added else costs
        return before - self.gamma * after
