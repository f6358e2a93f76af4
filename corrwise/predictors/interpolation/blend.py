"""The lower baseline that every interpolator must beat: a linear blend of two frames."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.predictors.interpolation.times import between_pairs

__all__ = ["Blend"]


class Blend:
    """Blends the two frames around a time, pixel by pixel: what moves is there twice."""

    def __call__(
        self, frames: Float[Tensor, "B K C h w"], times: Sequence[float | int], wanted: Sequence[float | int]
    ) -> Float[Tensor, "B T C h w"]:
        """Return the frames of the wanted times.

        Raises:
            TypeError, ValueError: see ``check_times``.
        """
        return between_pairs(frames, times, wanted, torch.lerp)
