"""Affine maps of the plane as values: shifts, turns and zooms of a scene."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, isfinite, radians, sin

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Affine"]

Number = float | int


@dataclass(frozen=True)
class Affine:
    """An affine map of the plane, from a point (x, y) of a frame to where it was in the frame before, in pixels.

    Attributes:
        matrix: the linear part, by rows: ``((xx, xy), (yx, yy))``.
        offset: what is added, (x, y).

    Raises:
        ValueError: a number that is not finite, or a map that folds the plane onto a line.
    """

    matrix: tuple[tuple[Number, Number], tuple[Number, Number]] = ((1.0, 0.0), (0.0, 1.0))
    offset: tuple[Number, Number] = (0.0, 0.0)

    def __post_init__(self) -> None:
        (a, b), (c, d) = self.matrix
        if not all(map(isfinite, (a, b, c, d, *self.offset))) or a * d == b * c:
            raise ValueError(f"expected a finite affine map that is invertible, got {self.matrix} and {self.offset}")

    @classmethod
    def shift(cls, x: Number, y: Number) -> Affine:
        """Return the map of a scene that moves by so many pixels to the right and down; whole numbers are exact."""
        return cls(offset=(-x, -y))

    @classmethod
    def turn(cls, degrees: Number, center: tuple[Number, Number], zoom: Number = 1.0) -> Affine:
        """Return the map of a scene that turns clockwise in the image about a center, and grows by a factor."""
        if not zoom > 0:
            raise ValueError(f"expected a zoom above 0, got {zoom}")
        c, s = cos(radians(degrees)) / zoom, sin(radians(degrees)) / zoom
        x, y = center
        return cls(((c, s), (-s, c)), (x - c * x - s * y, y + s * x - c * y))

    def __call__(self, points: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n 2"]:
        """Return where points were."""
        (a, b), (c, d) = self.matrix
        x, y = points[..., 0], points[..., 1]
        return torch.stack((a * x + b * y + self.offset[0], c * x + d * y + self.offset[1]), dim=-1)

    def inverse(self) -> Affine:
        """Return the map from the frame before to the frame."""
        (a, b), (c, d) = self.matrix
        x, y = self.offset
        det = a * d - b * c
        back = ((d / det, -b / det), (-c / det, a / det))
        return Affine(back, ((b * y - d * x) / det, (c * x - a * y) / det))

    def after(self, later: Affine) -> Affine:
        """Return the map that applies the one of a later frame first, then this one."""
        (a, b), (c, d) = self.matrix
        columns = [(a * x + b * y, c * x + d * y) for x, y in zip(*later.matrix, strict=True)]
        x, y = later.offset
        offset = (a * x + b * y + self.offset[0], c * x + d * y + self.offset[1])
        return Affine(((columns[0][0], columns[1][0]), (columns[0][1], columns[1][1])), offset)
