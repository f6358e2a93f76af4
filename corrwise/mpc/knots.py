"""Plans with fewer numbers than steps: a planner draws and learns knots, and actions are interpolated between them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.mpc.config import Size
from corrwise.types import Planner, Proposal
from corrwise.validation import validated

Interpolation = Literal["zero", "linear", "cubic"]


@validated(error=ValueError)
class Knots:
    """Any planner, whose sequences are the knots of a spline in place of actions.

    Its proposal, samples and refits are those of ``planner``, in the space of knots; the loop scores and executes the
    actions between them, clipped to [-1, 1]. For the next plan, the knots are those of the spline one control step
    later; beyond its end the last action is repeated.

    ``linear`` and ``cubic`` have their first knot at the first step and their last at the last, the others evenly
    between; a cubic is a Catmull-Rom spline with one-sided slopes at its ends. ``zero`` holds each knot for an equal
    share of the horizon, to a step; moved on, a knot is the mean of the actions in its share.

    Args:
        planner: its ``horizon`` is the number of knots.
        horizon: of the plan, in control steps.
        interpolation: zero (each knot is held), linear or cubic.

    Raises:
        ValueError: when the horizon is not a whole number or below 1, there are more knots than steps, or the
            interpolation is unknown.

    Source: spline parametrisation as in hydrax (Kurtz 2024, github.com/vincekurtz/hydrax) and MuJoCo MPC (Howell et al.
    2022, "Predictive Sampling").
    """

    planner: Planner
    horizon: Size
    interpolation: Interpolation = "linear"

    def __post_init__(self) -> None:
        knots = self.planner.horizon  # type: ignore[attr-defined]
        if knots > self.horizon:
            raise ValueError(f"knots must be at most the horizon of {self.horizon} steps, got {knots}")

    @property
    def iterations(self) -> int:
        """How often to sample and refit for one plan."""
        return self.planner.iterations

    @property
    def executes(self) -> Literal["mean", "best"]:
        """Which of the proposal's knots are acted on."""
        return getattr(self.planner, "executes", "mean")

    def init(self, batch: int) -> Proposal:
        """Return the planner's proposal, of knots."""
        return self.planner.init(batch)

    def sample(self, proposal: Proposal, generators: Sequence[Generator]) -> Float[Tensor, "B N K A"]:
        """Draw knots."""
        return self.planner.sample(proposal, generators)

    def refit(self, proposal: Proposal, knots: Float[Tensor, "B N K A"], costs: Float[Tensor, "B N"]) -> Proposal:
        """Learn from the costs of the knots."""
        return self.planner.refit(proposal, knots, costs)

    def to_actions(self, knots: Float[Tensor, "*batch K A"]) -> Float[Tensor, "*batch H A"]:
        """Return the actions of every control step, within [-1, 1]."""
        return _mixed(self._weights, knots)

    def one_step_later(self, knots: Float[Tensor, "*batch K A"]) -> Float[Tensor, "*batch K A"]:
        """Return the knots of the same spline one control step later."""
        return _mixed(self._moved, knots)

    @cached_property
    def _weights(self) -> Float[np.ndarray, "H K"]:
        """The weight of each knot in each step."""
        return self._at(np.arange(self.horizon))

    @cached_property
    def _moved(self) -> Float[np.ndarray, "K K"]:
        """The weight of each knot in each knot of one step later."""
        knots = self.planner.horizon  # type: ignore[attr-defined]
        if self.interpolation == "zero":
            share = np.arange(self.horizon) * knots // self.horizon
            later = self._weights[np.minimum(np.arange(self.horizon) + 1, self.horizon - 1)]
            return np.stack([later[share == knot].mean(axis=0) for knot in range(knots)])
        times = np.linspace(0, self.horizon - 1, knots) if knots > 1 else np.zeros(1)
        return self._at(np.minimum(times + 1, self.horizon - 1))

    def _at(self, steps: np.ndarray) -> Float[np.ndarray, "n K"]:
        """Return the weight of each knot at times, in control steps."""
        knots = self.planner.horizon  # type: ignore[attr-defined]
        if knots == 1:
            return np.ones((len(steps), 1))
        each = np.eye(knots)
        if self.interpolation == "zero":
            return each[(steps * knots // self.horizon).astype(int)]
        place = steps * (knots - 1) / (self.horizon - 1)
        left = np.minimum(place.astype(int), knots - 2)
        part = (place - left)[:, None]
        before, after = each[left], each[left + 1]
        if self.interpolation == "linear":
            return before + part * (after - before)
        slopes = np.gradient(each, axis=0)
        square, cube = part**2, part**3
        return (
            (2 * cube - 3 * square + 1) * before
            + (3 * square - 2 * cube) * after
            + (cube - 2 * square + part) * slopes[left]
            + (cube - square) * slopes[left + 1]
        )


def _mixed(weights: Float[np.ndarray, "n K"], knots: Float[Tensor, "*batch K A"]) -> Float[Tensor, "*batch n A"]:
    """Return weighted sums of knots, within [-1, 1]."""
    # Knot by knot: a sum then has the same bits whatever stands beside it.
    total = torch.zeros_like(knots[..., :1, :])
    for weight, knot in zip(weights.T, knots.unbind(dim=-2), strict=True):
        total = total + torch.as_tensor(weight, dtype=knots.dtype, device=knots.device)[:, None] * knot[..., None, :]
    return total.clamp(-1, 1)
