"""Maps of the plane by eight numbers, and the least squares that find them for many samples at once.

The numbers ``(a b tx, c d ty, g h)`` are about the identity: in centred coordinates ``(x, y)``, in units of the
support's size, the map leads to ``(x + a x + b y + tx, y + c x + d y + ty) / (1 + g x + h y)``. Both images are
centred, on the support and on where its median flow leads, and share one unit (Hartley, PAMI 1997, with a common
scale), so eight zeros are the median translation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["AFFINE", "HOMOGRAPHY", "KINDS", "TRANSLATION", "Support", "depth", "global_flow", "move", "sane", "system"]

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
    """Return which maps are finite and neither flip, nor stretch, nor tilt the support beyond belief."""
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


NOISE = 0.5  # px: flow in whole pixels is wrong by up to this, so smaller residuals weigh the same
PRIOR = (1.0, 1.0, 1e3, 1.0, 1.0, 1e3, 0.1, 0.1)  # how large the eight numbers are expected to be
TINY = 1e-30
SPREAD = 1.4826  # the standard deviation of a normal distribution per median absolute deviation


def global_flow(
    flow: Float[Tensor, "B 2 h w"],
    mask: Bool[Tensor, "B h w"],
    weight: Float[Tensor, "B h w"],
    *,
    numbers: int,
    iterations: int,
) -> Float[Tensor, "B 2 h w"]:
    """Return the field of one map per sample, fitted to ``flow`` in ``mask`` and zero outside it.

    Geman-McClure weights, their scale the weighted median residual. Each kind of map starts from the weights of the one
    before, and replaces it only where it is sane. The gradient is that of the last fit, its weights held.

    Args:
        flow: in pixels; pixels that are not finite have no weight.
        mask: the pixels that take part.
        weight: how much each of them is trusted, 0 to 1.
        numbers: ``AFFINE`` or ``HOMOGRAPHY``.
        iterations: reweightings of each kind of map.
    """
    batch, _, height, width = flow.shape
    most = int(mask.flatten(1).sum(dim=1).max()) if batch else 0
    if most == 0:
        return torch.zeros_like(flow)
    support = _support(flow.double(), mask, weight, most)
    best = _fit(support, [kind for kind in KINDS if kind <= numbers], iterations)
    pixels = torch.arange(height * width, dtype=torch.int64, device=flow.device)
    at = (_positions(pixels, width) - support.centre) / support.unit
    field = support.shift + support.unit * move(best, at)
    return torch.where(mask[:, None], field.transpose(1, 2).reshape(flow.shape), 0).to(flow.dtype)


def _support(flow: Tensor, mask: Tensor, weight: Tensor, most: int) -> Support:
    """Gather the pixels in the mask and express them and their flow in the coordinates of the maps."""
    mask, flow = mask.flatten(1), flow.flatten(2)
    index = torch.argsort(~mask, dim=1, stable=True)[:, :most]
    real, by = mask.gather(1, index), flow.gather(2, index[:, None].expand(-1, 2, -1)).transpose(1, 2)
    finite = real & by.isfinite().all(dim=2)
    by = torch.where(finite[..., None], by, 0)
    trust = weight.flatten(1).gather(1, index).double() * finite
    at = _positions(index, weight.shape[2])
    total = trust.sum(dim=1)[:, None, None]
    shift = torch.stack([_median(axis, trust) for axis in by.detach().unbind(2)], dim=-1)[:, None] * (total > 0)
    total = total.clamp_min(TINY)
    centre = (trust[..., None] * at).sum(dim=1, keepdim=True) / total
    at = at - centre
    unit = ((trust * at.square().sum(dim=2)).sum(dim=1)[:, None, None] / (2 * total)).sqrt().clamp_min(1)
    at, to = at / unit, (at + by - shift) / unit
    ones = F.pad(at, (0, 1), value=1)
    products = (ones[..., :, None] * ones[..., None, :]).flatten(2)
    return Support(at, products, to, trust, real, centre, unit, shift)


def _fit(support: Support, kinds: Sequence[int], iterations: int) -> Tensor:
    """Return the eight numbers of every sample's map."""
    with torch.no_grad():
        best = support.to.new_zeros(support.to.shape[0], HOMOGRAPHY)
        weight = _reweighted(support, best)
        for kind in kinds:
            for _ in range(iterations):
                best = _improved(support, best, weight, kind)
                weight = _reweighted(support, best)
    # Once more with gradients, from the bottom: a sample that refused a kind above refuses it here too.
    best = torch.zeros_like(best)
    for kind in kinds:
        best = _improved(support, best, weight, kind)
    return best


def _reweighted(support: Support, numbers: Tensor) -> Tensor:
    """Return the weights of the next fit: less for large residuals, and what makes an algebraic error one in pixels."""
    error = support.unit[..., 0] * (support.at + move(numbers, support.at) - support.to).norm(dim=2)
    scale = (SPREAD * _median(error, support.weight)).clamp_min(NOISE)[:, None]
    return support.weight / (1 + (error / scale).square()).square() / depth(numbers, support.at).square()


def _improved(support: Support, best: Tensor, weight: Tensor, kind: int) -> Tensor:
    """Return the weighted least-squares map where it is sane, and ``best`` elsewhere."""
    matrix, right = system(support, weight)
    chosen = matrix.new_tensor(KINDS[kind], dtype=torch.long)
    prior = (NOISE / support.unit[:, :, 0] / matrix.new_tensor(PRIOR)).square()
    matrix = matrix + torch.diag_embed(prior)
    solved = torch.linalg.solve_ex(matrix[:, chosen[:, None], chosen], right[:, chosen]).result  # raises for nobody
    candidate = torch.zeros_like(best).index_copy(1, chosen, solved)
    return torch.where(sane(candidate, support)[:, None], candidate, best)


def _positions(index: Tensor, width: int) -> Tensor:
    return torch.stack((index % width, index // width), dim=-1).double()


def _median(values: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted median of every row; the smallest value of a row without weight."""
    ordered, order = values.sort(dim=1, stable=True)
    below = weight.gather(1, order).cumsum(dim=1)
    place = (below < below[:, -1:] / 2).sum(dim=1, keepdim=True)
    return ordered.gather(1, place)[:, 0]
