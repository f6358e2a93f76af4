"""One global map per field, fitted robustly: iteratively reweighted least squares from translation upwards.

What the pixels cannot tell stays as in a translation: the other numbers have a prior. So one pixel, or a line of them,
gives a finite map without a case of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from corrwise.costs.flow._maps import HOMOGRAPHY, KINDS, Support, depth, move, sane, system

__all__ = ["global_flow"]

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
