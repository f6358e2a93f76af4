"""Turn image distances into rewards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import torch
from jaxtyping import Bool, Float64

from corrwise.costs.spec import CostSpec, as_distance
from corrwise.envs.arrays import from_uint8, to_numpy
from corrwise.envs.rewards.sources import Pair, check_sizes
from corrwise.types import Distance, TermsDistance
from corrwise.validation import Names, Range, validated

__all__ = ["FORMS", "RewardForm", "Scorer"]

FORMS = ("negative", "improvement", "normalised")
AT_GOAL = 1e-6  # an image with at most this cost is at the goal


@validated(error=ValueError)
class RewardForm:
    """How a reward follows from the cost ``c`` of the current image, ``b`` of the one before and ``c0`` of the first.

    ``"negative"``: ``-c``. ``"normalised"``: ``-c / c0``, which is -1 at the start of an episode and 0 at the goal,
    whatever the distance's unit; ``-c`` in an episode that starts at its goal.

    ``"improvement"``: ``b - gamma c``, the potential-based shaping of Ng, Harada and Russell (ICML 1999) with the
    potential ``-c``. Discounted by the same gamma, an episode of T steps sums to ``c0 - gamma^T c_T``, so alone it
    rewards the last image only. Added to another reward it does not change the optimal policy; then the potential of a
    state in which the environment terminates (not: is truncated) is zero, as the theorem requires.

    Attributes:
        name: one of ``FORMS``.
        gamma: the agent's discount factor, for "improvement".
        added: whether the reward is added to the environment's own instead of replacing it.

    Raises:
        ValueError: if the name is unknown, or gamma is outside [0, 1].
    """

    name: Annotated[str, Names(FORMS, what="form")] = "negative"
    gamma: Annotated[float, Range(0, 1)] = 0.99
    added: bool = False

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
    """Measures images and keeps, for each environment, the cost of its last and of its first image.

    Args:
        distance: a distance that reduces C, h and w; or the text or ``CostSpec`` of one. A distance with
            ``terms(x, y)``, such as ``CorrespondenceWise``, also gives the displacement.
        form: how a reward follows from costs.
        num_envs: the number of environments.
        device: the device that computes distances.

    Raises:
        TypeError: if the distance cannot be called.
        ValueError: if a text names no cost.
    """

    def __init__(
        self, distance: Distance | CostSpec | str, form: RewardForm, *, num_envs: int, device: str = "cpu"
    ) -> None:
        distance = as_distance(distance)
        if not callable(distance):
            raise TypeError(f"expected a distance of images, such as corrwise.costs.l1, got {distance!r}")
        self.distance, self.form, self.device = distance, form, device
        self._before, self._first = np.full(num_envs, np.nan), np.full(num_envs, np.nan)

    def measure(self, pairs: Sequence[Pair]) -> dict[str, np.ndarray]:
        """Return ``goal_cost`` of images and their goals, and ``goal_displacement`` (px) if the distance has terms.

        Raises:
            ValueError: if images and goals differ in size, or the distance is not one finite value for each pair.
        """
        seen, wanted = (from_uint8(np.stack(images)) for images in zip(*pairs, strict=True))
        check_sizes(tuple(wanted.shape[2:]), tuple(seen.shape[2:]))
        seen, wanted = seen.to(self.device), wanted.to(self.device)
        with torch.no_grad():
            terms = self.distance.terms(seen, wanted) if isinstance(self.distance, TermsDistance) else None
            costs = self.distance(seen, wanted) if terms is None else terms.total
        if costs.shape != (len(seen),) or not torch.isfinite(costs).all():
            raise ValueError(f"expected {len(seen)} finite costs from {self.distance!r}, got {costs}")
        measured = {"goal_cost": costs.double().cpu().numpy()}
        if terms is not None:
            measured["goal_displacement"] = terms.displacement.double().cpu().numpy()
        return measured

    def begin(self, which: np.ndarray, costs: np.ndarray) -> None:
        """Keep the costs of the first images of these environments' episodes."""
        self._first[which] = self._before[which] = costs

    def rewards(self, which: np.ndarray, costs: np.ndarray, terminated: np.ndarray, own: Any) -> np.ndarray:
        """Return the rewards of these environments and keep their costs.

        ``own`` are the rewards of all environments themselves; they are read only if the form is added to them.

        Raises:
            ValueError: if the form is added, and ``own`` is not one number for each environment.
        """
        given = self._numbers(own)[which] if self.form.added else 0.0
        if np.isnan(given).any():
            raise ValueError(f"added=True needs rewards of the environment itself, got {own!r}")
        made = self.form.rewards(costs, self._before[which], self._first[which], terminated)
        self._before[which] = costs
        return given + made

    def _numbers(self, own: Any) -> np.ndarray:
        """Return one number for each environment; NaN for None, as NumPy converts it."""
        count = len(self._first)
        try:
            return to_numpy(own).astype(np.float64).reshape(count)
        except (TypeError, ValueError) as error:
            raise ValueError(f"added=True needs rewards of {count} environments themselves, got {own!r}") from error
