"""The flow that finds no motion: a correspondence-wise distance with it is twice the base distance."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from corrwise.costs._checks import check_batch_pair

__all__ = ["ZeroFlow"]


class ZeroFlow:
    """Every pixel matches the pixel at its own place."""

    def __call__(self, target: Float[Tensor, "B C h w"], source: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 2 h w"]:
        """Return zeros.

        Raises:
            TypeError, ValueError: not two float images (B, C, h, w) of one shape.
        """
        check_batch_pair(target, source)
        return target.new_zeros(target.shape[0], 2, *target.shape[2:])
