"""What a correspondence-wise distance is made of, for reports."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Float
from torch import Tensor

from corrwise.costs.flow.consistency import occluded_share

__all__ = ["Terms"]


@dataclass(frozen=True)
class Terms:
    """The parts of a correspondence-wise distance. Only ``residual`` and ``penalty`` are in the total.

    Attributes:
        residual: the base distance of the matched images, summed over the directions; the base distance's unit.
        penalty: the regulariser, averaged over the flows that it sees, and the occlusion penalty; zero without any.
        displacement: the mean length of the unscaled flow in pixels, over all pixels and directions.
        flow: the unscaled flow of the first direction in pixels: where the pixels of ``x`` lie in ``y``.
        backward: the unscaled flow of the second direction; None for a distance with one.
    """

    residual: Float[Tensor, "*batch"]
    penalty: Float[Tensor, "*batch"]
    displacement: Float[Tensor, "*batch"]
    flow: Float[Tensor, "*batch 2 h w"]
    backward: Float[Tensor, "*batch 2 h w"] | None

    @property
    def total(self) -> Tensor:
        """What calling the distance returns."""
        return self.residual + self.penalty

    @cached_property
    def occluded(self) -> Tensor:
        """The share of pixels in [0, 1], over both directions, that fail the forward-backward check; (*batch,).

        See ``flow.consistency.occluded``. NaN for a distance with one direction, which has nothing to check against.
        """
        flows = [self.flow] if self.backward is None else [self.flow, self.backward]
        return occluded_share([flow.reshape(-1, *flow.shape[-3:]) for flow in flows]).reshape(self.residual.shape)
