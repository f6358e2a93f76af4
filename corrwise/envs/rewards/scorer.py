"""Ways to make a reward of what a picture costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float64

from corrwise.costs.spec import CostSpec, as_distance
from corrwise.envs.arrays import from_uint8, to_numpy
from corrwise.envs.rewards.sources import check_sizes
from corrwise.types import Distance, TermsDistance

__all__ = ["FORMS", "RewardForm", "Scorer"]

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


class Scorer:
    """Remembers for each environment what its last and its first picture cost.

    Args:
        distance: reduces C, h and w; or the text or ``CostSpec`` of one. One with ``terms(x, y)``, such as
            ``CorrespondenceWise``, tells the displacement.
        form: how a reward is made of costs.
        num_envs: how many environments.
        device: where distances are computed.

    Raises:
        TypeError: the distance cannot be called.
        ValueError: a text that names no cost.
    """

    def __init__(
        self, distance: Distance | CostSpec | str, form: RewardForm, *, num_envs: int, device: str = "cpu"
    ) -> None:
        distance = as_distance(distance)
        if not callable(distance):
            raise TypeError(f"expected a distance of images, such as corrwise.costs.l1, got {distance!r}")
        self.distance, self.form, self.device = distance, form, device
        self._before, self._first = np.full(num_envs, np.nan), np.full(num_envs, np.nan)

    def measure(self, looks: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
        """Return of pictures and their goals ``goal_cost``, and ``goal_displacement`` (px) if the distance tells.

        Raises:
            ValueError: pictures and goals differ in size, or the distance gives no finite value for each.
        """
        seen, wanted = (from_uint8(np.stack(pictures)) for pictures in zip(*looks, strict=True))
        check_sizes(tuple(wanted.shape[2:]), tuple(seen.shape[2:]))
        seen, wanted = seen.to(self.device), wanted.to(self.device)
        with torch.no_grad():
            told = self.distance.terms(seen, wanted) if isinstance(self.distance, TermsDistance) else None
            costs = self.distance(seen, wanted) if told is None else told.total
        if costs.shape != (len(seen),) or not torch.isfinite(costs).all():
            raise ValueError(f"expected {len(seen)} finite costs from {self.distance!r}, got {costs}")
        found = {"goal_cost": costs.double().cpu().numpy()}
        return found if told is None else {**found, "goal_displacement": told.displacement.double().cpu().numpy()}

    def begin(self, which: np.ndarray, costs: np.ndarray) -> None:
        """Note what the first pictures of these environments' episodes cost."""
        self._first[which] = self._before[which] = costs

    def rewards(self, which: np.ndarray, costs: np.ndarray, terminated: np.ndarray, own: Any) -> np.ndarray:
        """Return the rewards of these environments, and remember their costs.

        ``own`` are the own rewards of all environments, in whatever form they were given; they are read only where they
        count.

        Raises:
            ValueError: own rewards count, and are not one number for each environment.
        """
        given = self._numbers(own)[which] if self.form.added else 0.0
        if np.isnan(given).any():
            raise ValueError(f"added=True needs a reward of the environment itself to add to, got {own!r}")
        made = self.form.rewards(costs, self._before[which], self._first[which], terminated)
        self._before[which] = costs
        return given + made

    def _numbers(self, own: Any) -> np.ndarray:
        """Return one number for each environment; NaN for None, as NumPy has it."""
        count = len(self._first)
        try:
            return to_numpy(own).astype(np.float64).reshape(count)
        except (TypeError, ValueError) as error:
            raise ValueError(f"expected own rewards of {count} environments to add to, got {own!r}") from error
