"""Differentiable TV-L1 optical flow: a robust energy minimised from coarse to fine, without weights."""

from __future__ import annotations

from math import isfinite
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from corrwise.costs._checks import check_batch_pair
from corrwise.costs._precision import in_full_precision
from corrwise.costs.flow._resize import restored
from corrwise.costs.warp import warp

__all__ = ["TVL1Flow"]

SMALLEST = 16  # px
COARSEST = 8  # px of the shorter side at the first level
REWEIGHTINGS = 2  # of the robust penalties, for each linearisation
DATA_SCALE = 0.01  # below this residual, in units of intensity, the data penalty is quadratic
MOTION_SCALE = 0.05  # the same for the smoothness penalty, in pixels
SLOWEST = 0.02  # modes of the linear system that one solve resolves; longer waves come from the coarser levels


class TVL1Flow:
    """Optical flow that minimises a TV-L1 energy; differentiable in both images.

    The energy is ``sum_p |r(p)| + smoothness * |grad u(p)|``: ``r`` holds the differences of matching pixels in
    intensity and in its two derivatives, over all channels, and both norms are quadratic near zero. Derivatives do not
    change with the brightness, so that ``intensity=0`` ignores a constant offset. The energy is that of Zach, Pock and
    Bischof (DAGM 2007) with the gradient constancy and the lagged weights of Brox et al. (ECCV 2004). At each level of
    a pyramid the images are warped and linearised ``warps`` times, and the linear system is solved by Chebyshev
    iteration. A 3 x 3 median of the flow removes outliers after each warp (Wedel et al. 2009).

    A pixel without structure takes the motion of its surroundings. Bodies that move farther than they are wide are
    usually missed, as by every flow that goes from coarse to fine.

    The gradient passes through all levels and is given in the images' own float type; it can be taken once, not twice.
    A solve is differentiated by its adjoint and stores its result alone: exactly in the right-hand side and in the
    starting point, and in the matrix up to the error of the solve. Pairs do not influence each other.

    Args:
        smoothness: weight of the flow's total variation.
        intensity: weight of the intensities' difference.
        gradient: weight of the difference of their derivatives.
        warps: linearisations at each level.
        iterations: steps of each linear solve.
        checkpoint: store one flow per warp and compute the rest again in the backward pass (for gradients only).

    Raises:
        ValueError: a weight that is negative or not finite, no smoothness, no data weight, or fewer than one warp or
            iteration.
    """

    differentiable = True

    def __init__(
        self,
        *,
        smoothness: float | int = 0.05,
        intensity: float | int = 0.5,
        gradient: float | int = 2.0,
        warps: int = 3,
        iterations: int = 20,
        checkpoint: bool = False,
    ) -> None:
        if not (isfinite(smoothness) and smoothness > 0):
            raise ValueError(f"expected a finite smoothness above 0, got {smoothness}")
        if not (isfinite(intensity) and isfinite(gradient) and min(intensity, gradient) >= 0 < intensity + gradient):
            raise ValueError(
                f"expected finite weights of at least 0, one of them above, got intensity {intensity} and "
                f"gradient {gradient}"
            )
        if min(warps, iterations) < 1:
            raise ValueError(f"expected warps and iterations of at least 1, got {warps} and {iterations}")
        self.smoothness, self.intensity, self.gradient = smoothness, intensity, gradient
        self.warps, self.iterations, self.checkpoint = warps, iterations, checkpoint

    @in_full_precision
    def __call__(self, target: Float[Tensor, "B C h w"], source: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 2 h w"]:
        """Return where to sample ``source`` so that it matches ``target``, in pixels.

        Raises:
            TypeError, ValueError: not two float images (B, C, h, w) of one shape, or smaller than 16 px.
        """
        check_batch_pair(target, source)
        return self._estimate(target, source)

    @in_full_precision
    def both(
        self, x: Float[Tensor, "B C h w"], y: Float[Tensor, "B C h w"]
    ) -> tuple[Float[Tensor, "B 2 h w"], Float[Tensor, "B 2 h w"]]:
        """Return ``flow(x, y)`` and ``flow(y, x)``, computed as one batch."""
        check_batch_pair(x, y)
        forward, backward = self._estimate(torch.cat((x, y)), torch.cat((y, x))).tensor_split(2)
        return forward, backward

    def _estimate(self, target: Tensor, source: Tensor) -> Tensor:
        batch, channels, height, width = target.shape
        if channels < 1 or min(height, width) < SMALLEST:
            raise ValueError(f"expected images of at least {SMALLEST} px for TV-L1, got {tuple(target.shape[1:])}")
        flow = target.new_zeros(batch, 2, *_sizes(height, width)[0])
        if batch == 0:
            return target.new_zeros(0, 2, height, width)
        for size in _sizes(height, width):
            reference, moving = (self._features(_reduced(images, size)) for images in (target, source))
            slope, moving = torch.cat(_derivatives(reference), dim=1), torch.cat((moving, *_derivatives(moving)), dim=1)
            flow = restored(flow, size)
            for _ in range(self.warps):
                if self.checkpoint and torch.is_grad_enabled():
                    flow = checkpoint(self._improved, flow, reference, slope, moving, use_reentrant=False)
                else:
                    flow = self._improved(flow, reference, slope, moving)
        return flow

    def _features(self, images: Tensor) -> Float[Tensor, "B f h w"]:
        """Return the quantities that matching pixels share: intensities and their derivatives, weighted."""
        scale = images.shape[1] ** -0.5  # a mean over the channels, whatever their number
        along_x, along_y = _derivatives(images)
        weighted = (self.intensity * images, self.gradient * along_x, self.gradient * along_y)
        return scale * torch.cat(weighted, dim=1)

    def _improved(self, start: Tensor, reference: Tensor, slope: Tensor, moving: Tensor) -> Float[Tensor, "B 2 h w"]:
        """Return the flow after one linearisation of the data term about ``start``."""
        warped, *slopes = warp(moving, start, "border").tensor_split(3, dim=1)
        # The mean of both images' derivatives makes the linearisation exact to second order.
        gx, gy = ((first + second) / 2 for first, second in zip(slope.tensor_split(2, dim=1), slopes, strict=True))
        # The residual at a flow u is ``rest + gx u_x + gy u_y``.
        rest = warped - reference - gx * start[:, :1] - gy * start[:, 1:]
        inside = _inside(start)
        flow = start
        for _ in range(REWEIGHTINGS):
            residual = rest + gx * flow[:, :1] + gy * flow[:, 1:]
            weight = inside * (_over_channels(residual * residual) + DATA_SCALE**2).rsqrt()
            across, down = (self.smoothness * edges for edges in _smoothness_weights(flow))
            ties = F.pad(across, (0, 1)) + F.pad(across, (1, 0)) + F.pad(down, (0, 0, 0, 1)) + F.pad(down, (0, 0, 1, 0))
            xx, xy, yy = (weight * _over_channels(product) for product in (gx * gx, gx * gy, gy * gy))
            right = -torch.cat((weight * _over_channels(gx * rest), weight * _over_channels(gy * rest)), dim=1)
            flow = _Solve.apply(xx + ties, xy, yy + ties, across, down, right, flow, self.iterations)
        return _median(flow)


class _Solve(torch.autograd.Function):
    """``iterations`` steps towards the solution of ``A u = right``, where each pixel has a 2 x 2 block.

    ``(A u)(p) = [[xx, xy], [xy, yy]](p) u(p) - sum of across and down times u at the neighbours of p``.
    """

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        *matrix, right, start, iterations = given
        solution = _chebyshev(matrix, right, start, iterations)
        ctx.save_for_backward(*matrix, solution)
        ctx.iterations = iterations
        return solution

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        *matrix, u = ctx.saved_tensors
        (grad,) = grads
        # The iteration is ``start + P (right - A start)`` with P symmetric, as A and its blocks are.
        v = _chebyshev(matrix, grad, torch.zeros_like(grad), ctx.iterations)
        xx, xy, yy, across, down = matrix
        left = torch.cat((xx * v[:, :1] + xy * v[:, 1:], xy * v[:, :1] + yy * v[:, 1:]), dim=1)
        of_start = grad - left + _from_neighbours(torch.zeros_like(v), across, down, v)
        product = u * v
        of_xy = -(u[:, :1] * v[:, 1:] + u[:, 1:] * v[:, :1])
        of_across = (u[..., 1:] * v[..., :-1] + u[..., :-1] * v[..., 1:]).sum(dim=1, keepdim=True)
        of_down = (u[..., 1:, :] * v[..., :-1, :] + u[..., :-1, :] * v[..., 1:, :]).sum(dim=1, keepdim=True)
        return -product[:, :1], of_xy, -product[:, 1:], of_across, of_down, v, of_start, None


def _chebyshev(matrix: list[Tensor], right: Tensor, start: Tensor, iterations: int) -> Tensor:
    """Return ``start`` after Chebyshev iterations with the blocks as preconditioner (Saad 2003, Alg. 12.1).

    The preconditioned matrix has eigenvalues in (0, 2), because each block dominates its row. Every operation is made
    pixel by pixel, so that the result is the same to the bit in any batch.
    """
    xx, xy, yy, across, down = matrix
    determinant = xx * yy - xy * xy
    inverse_xx, inverse_xy, inverse_yy = yy / determinant, -xy / determinant, xx / determinant
    centre, radius = (2 + SLOWEST) / 2, (2 - SLOWEST) / 2
    flow, step, factor = start.clone(), torch.zeros_like(start), 0.0
    for i in range(iterations):
        sides = _from_neighbours(right.clone(), across, down, flow)
        x, y = sides[:, :1], sides[:, 1:]
        rest = torch.cat((inverse_xx * x + inverse_xy * y, inverse_xy * x + inverse_yy * y), dim=1) - flow
        following = radius / centre if i == 0 else 1 / (2 * centre / radius - factor)
        gain = 1 / centre if i == 0 else 2 * following / radius
        step.mul_(following * factor).add_(rest, alpha=gain)
        flow += step
        factor = following
    return flow


def _from_neighbours(out: Tensor, across: Tensor, down: Tensor, flow: Tensor) -> Tensor:
    """Add to ``out``, in place, the neighbours' flow times the weights of the edges to them."""
    out[..., :-1].addcmul_(across, flow[..., 1:])
    out[..., 1:].addcmul_(across, flow[..., :-1])
    out[..., :-1, :].addcmul_(down, flow[..., 1:, :])
    out[..., 1:, :].addcmul_(down, flow[..., :-1, :])
    return out


def _smoothness_weights(
    flow: Float[Tensor, "B 2 h w"],
) -> tuple[Float[Tensor, "B 1 h w-1"], Float[Tensor, "B 1 h-1 w"]]:
    """Return what makes the quadratic penalty of each edge between pixels one of the total variation."""
    across, down = flow.diff(dim=-1), flow.diff(dim=-2)
    x, y = ((edges * edges).sum(dim=1, keepdim=True) / 2 for edges in (across, down))
    near = F.pad(x, (0, 1)) + F.pad(x, (1, 0)) + F.pad(y, (0, 0, 0, 1)) + F.pad(y, (0, 0, 1, 0))
    weight = (near + MOTION_SCALE**2).rsqrt()
    return (weight[..., 1:] + weight[..., :-1]) / 2, (weight[..., 1:, :] + weight[..., :-1, :]) / 2


def _inside(flow: Tensor) -> Float[Tensor, "B 1 h w"]:
    """Return 1 where the flow leads into the image and 0 elsewhere: pixels outside have no information."""
    height, width = flow.shape[-2:]
    x = flow[:, :1] + torch.arange(width, dtype=flow.dtype, device=flow.device)
    y = flow[:, 1:] + torch.arange(height, dtype=flow.dtype, device=flow.device)[:, None]
    return ((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)).to(flow.dtype)


def _derivatives(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the derivatives along x and y, fourth-order central differences with replicated borders."""
    padded = F.pad(images, (2, 2, 2, 2), mode="replicate")
    wide, tall = padded[..., 2:-2, :], padded[..., 2:-2]
    along_x = (8 * (wide[..., 3:-1] - wide[..., 1:-3]) - (wide[..., 4:] - wide[..., :-4])) / 12
    along_y = (8 * (tall[..., 3:-1, :] - tall[..., 1:-3, :]) - (tall[..., 4:, :] - tall[..., :-4, :])) / 12
    return along_x, along_y


def _median(flow: Tensor) -> Tensor:
    height, width = flow.shape[-2:]
    padded = F.pad(flow, (1, 1, 1, 1), mode="replicate")
    shifted = [padded[..., i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return torch.stack(shifted, dim=-1).median(dim=-1).values


def _over_channels(values: Tensor) -> Tensor:
    total = values[:, :1]
    for i in range(1, values.shape[1]):  # one after the other: a reduction may group them by the size of the batch
        total = total + values[:, i : i + 1]
    return total


def _reduced(images: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(images.shape[-2:]) == size:
        return images
    return F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)


def _sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Return the sizes of the levels, coarsest first, each half of the next."""
    sizes = [(height, width)]
    while min(smaller := (round(height / 2 ** len(sizes)), round(width / 2 ** len(sizes)))) >= COARSEST:
        sizes.append(smaller)
    return sizes[::-1]
