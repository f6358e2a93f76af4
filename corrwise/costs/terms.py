"""What a correspondence-wise distance is made of, for reports."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

__all__ = ["Terms"]


@dataclass(frozen=True)
class Terms:
    """The parts of a correspondence-wise distance. Only ``residual`` and ``penalty`` are in the total.

    Attributes:
        residual: the base distance of the matched images, summed over the directions; the base distance's unit.
        penalty: the regulariser, averaged over the flows that it sees, and the occlusion penalty; zero without any.
        displacement: the mean length of the unscaled flow in pixels, over all pixels and directions.
        occluded: the share of pixels in [0, 1], over both directions, that fail the forward-backward check (see
            ``flow.consistency.occluded``); NaN for a distance with one direction, which has nothing to check against.
        flow: the unscaled flow of the first direction in pixels: where the pixels of ``x`` lie in ``y``.
    """

    residual: Float[Tensor, "*batch"]
    penalty: Float[Tensor, "*batch"]
    displacement: Float[Tensor, "*batch"]
    occluded: Float[Tensor, "*batch"]
    flow: Float[Tensor, "*batch 2 h w"]

    @property
    def total(self) -> Tensor:
        """What calling the distance returns."""
        return self.residual + self.penalty
