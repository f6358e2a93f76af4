"""Maps of the plane by eight numbers, and the least squares that find them for many samples at once.

The numbers ``(a b tx, c d ty, g h)`` are about the identity: in centred coordinates ``(x, y)``, in units of the
support's size, the map leads to ``(x + a x + b y + tx, y + c x + d y + ty) / (1 + g x + h y)``. Both images are
centred, on the support and on where its median flow leads, and share one unit (Hartley, PAMI 1997, with a common
scale), so eight zeros are the median translation.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["AFFINE", "HOMOGRAPHY", "KINDS", "TRANSLATION", "Support", "depth", "move", "sane", "system"]

STRETCH, TILT = 4, 2  # a map that turns its support inside out, or scales or tilts it by more, is no motion
TRANSLATION, AFFINE, HOMOGRAPHY = 2, 6, 8  # named by how many of the numbers are free
KINDS = {TRANSLATION: (2, 5), AFFINE: tuple(range(6)), HOMOGRAPHY: tuple(range(8))}


@dataclass(frozen=True)
class Support:
    """The pixels of each sample that take part, gathered, padded to as many as the largest sample has.

    Attributes:
        at: the centred coordinates of a pixel.
        products: of (x, y, 1) with itself: the nine products that every fit sums up.
        to: where the flow leads, in the second image's centred coordinates.
        weight: between 0 and 1, before the fit has seen a residual; 0 for padding and where the flow is not finite.
        real: False for padding.
        centre: of the support, in pixels.
        unit: its size in pixels, one at least.
        shift: the median flow in pixels, zero without weight.
    """

    at: Float[Tensor, "B n 2"]
    products: Float[Tensor, "B n 9"]
    to: Float[Tensor, "B n 2"]
    weight: Float[Tensor, "B n"]
    real: Bool[Tensor, "B n"]
    centre: Float[Tensor, "B 1 2"]
    unit: Float[Tensor, "B 1 1"]
    shift: Float[Tensor, "B 1 2"]


def system(support: Support, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the normal equations of ``to (1 + g x + h y) = at + (a x + b y + tx, c x + d y + ty)``, times weight."""
    to = support.to
    weights = weight[..., None] * torch.cat((torch.ones_like(to[..., :1]), to, to.square().sum(2, keepdim=True)), 2)
    plain, by_x, by_y, by_square = (weights.transpose(1, 2) @ support.products).unflatten(2, (3, 3)).unbind(1)
    nothing = torch.zeros_like(plain)
    rows = [
        torch.cat((plain, nothing, -by_x[..., :2]), dim=2),
        torch.cat((nothing, plain, -by_y[..., :2]), dim=2),
        torch.cat((-by_x[:, :2], -by_y[:, :2], by_square[:, :2, :2]), dim=2),
    ]
    right = [
        by_x[..., 2] - plain[..., 0],
        by_y[..., 2] - plain[..., 1],
        by_x[:, :2, 0] + by_y[:, :2, 1] - by_square[:, :2, 2],
    ]
    return torch.cat(rows, dim=1), torch.cat(right, dim=1)


def sane(numbers: Tensor, support: Support) -> Tensor:
    """Tell which maps are finite and neither flip, nor stretch, nor tilt the support beyond belief."""
    a, b, _, c, d, _ = numbers[:, :6].unbind(1)
    area = (1 + a) * (1 + d) - b * c
    squares = (1 + a).square() + b.square() + c.square() + (1 + d).square()
    depths = torch.where(support.real, depth(numbers, support.at), 1)
    tilt = ((depths > 1 / TILT) & (depths < TILT)).all(dim=1)
    return numbers.isfinite().all(dim=1) & (area > STRETCH**-2) & (squares < 2 * STRETCH**2) & tilt


def move(numbers: Tensor, at: Tensor) -> Tensor:
    """Return by how much the maps move the points, exactly zero where all eight numbers are."""
    matrix = numbers[:, :6].unflatten(1, (2, 3))
    there = at + at @ matrix[..., :2].transpose(1, 2) + matrix[:, None, :, 2]
    return there / depth(numbers, at)[..., None] - at


def depth(numbers: Tensor, at: Tensor) -> Tensor:
    """Return what the maps divide by at the points: 1 for an affine one."""
    return 1 + (at @ numbers[:, 6:, None])[..., 0]
