"""What the pictures of several environments cost, in one call, and the rewards that this makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from corrwise.envs.arrays import to_numpy
from corrwise.envs.pictures import from_uint8
from corrwise.envs.rewards.forms import RewardForm
from corrwise.envs.rewards.sources import check_sizes
from corrwise.types import Distance

__all__ = ["Scorer"]


class Scorer:
    """Remembers for each environment what its last and its first picture cost.

    Args:
        distance: reduces C, h and w. One with ``terms(x, y)``, such as ``CorrespondenceWise``, tells the displacement.
        form: how a reward is made of costs.
        num_envs: how many environments.
        device: where distances are computed.

    Raises:
        TypeError: the distance cannot be called.
    """

    def __init__(self, distance: Distance, form: RewardForm, *, num_envs: int, device: str = "cpu") -> None:
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
            terms: Any = getattr(self.distance, "terms", None)
            told = terms(seen, wanted) if terms is not None else None
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
