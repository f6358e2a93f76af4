"""Penalties on the flow itself (Eq. 3), and on how far pixels move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from corrwise.costs._checks import check_per_sample
from corrwise.validation import Range, validated

__all__ = [
    "PAPER_L1",
    "PAPER_L1_PERCEPTUAL",
    "Displacement",
    "EdgeAwareSmoothness",
    "FlowGradient",
    "FlowMagnitude",
    "Regularizer",
    "Regularizers",
    "displacement_of",
]

Regularizer = Callable[[Tensor, Tensor], Tensor]  # (flow (B, 2, h, w), image (B, C, h, w)) -> (B,)

Weight = Annotated[float, Range(0)]

PAPER_L1 = (4.5, 2.25)  # FlowMagnitude, FlowGradient; printed as 9.0 and 4.5 (appendix, "Regularization")
PAPER_L1_PERCEPTUAL = (3.25, 3.25)  # FlowMagnitude, EdgeAwareSmoothness; printed as 6.5; exact for the L1 part only

EDGE_SHARPNESS = 300.0  # the code's 150, for a Sobel filter of images in [0, 1] instead of [-1, 1]
ROBUSTNESS = 1e-3


@validated(error=ValueError)
class FlowMagnitude:
    """``weight`` times the mean over pixels of ``|u|_p``: how far things moved (first term of Eq. 3).

    Deviation: the paper writes the squared norm; its code and its weights use p = 1, the default here.

    Raises:
        ValueError: a weight that is negative or not finite, or p of 0 or below.
    """

    weight: Weight
    p: float = 1

    def __post_init__(self) -> None:
        _check_order(self.p)

    def __call__(self, flow: Float[Tensor, "B 2 h w"], image: Float[Tensor, "B C h w"]) -> Float[Tensor, "B"]:
        """Return one penalty per sample."""
        return self.weight * _norm(_normalized(flow), self.p)


@validated(error=ValueError)
class FlowGradient:
    """``weight`` times the mean of ``|Sobel_x u|_p`` and ``|Sobel_y u|_p``, averaged: how unevenly things moved.

    It stands for the second term of Eq. 3 in the paper's L1 models (appendix). Sobel kernels are not normalised.
    Deviation: the border is replicated, where the code pads with zeros and so penalises a uniform motion at the border.

    Raises:
        ValueError: a weight that is negative or not finite, or p of 0 or below.
    """

    weight: Weight
    p: float = 1

    def __post_init__(self) -> None:
        _check_order(self.p)

    def __call__(self, flow: Float[Tensor, "B 2 h w"], image: Float[Tensor, "B C h w"]) -> Float[Tensor, "B"]:
        """Return one penalty per sample."""
        along_x, along_y = _sobel(_normalized(flow))
        return self.weight * (_norm(along_x, self.p) + _norm(along_y, self.p)) / 2


@validated(error=ValueError)
class EdgeAwareSmoothness:
    """``weight`` times the flow's gradient where the image has no edge (Eq. 3, second term; Jonschkowski et al. 2020).

    First order: ``mean(exp(-mean_c |300 Sobel(image)|) * (sqrt(v^2 + 0.001^2) - 0.001))``, ``v`` the Sobel-filtered
    components of ``u``, averaged over x and y. Deviations: borders are replicated; the robust penalty is shifted to be
    zero without motion; 300 instead of 150 because images are in [0, 1]; edges are those of the flow's own grid.

    Raises:
        ValueError: a weight that is negative or not finite.
    """

    weight: Weight

    def __call__(self, flow: Float[Tensor, "B 2 h w"], image: Float[Tensor, "B C h w"]) -> Float[Tensor, "B"]:
        """Return one penalty per sample."""
        total = flow.new_zeros(flow.shape[0])
        for gradient, edge in zip(_sobel(_normalized(flow)), _sobel(image), strict=True):
            smooth = torch.exp(-(EDGE_SHARPNESS * edge).abs().mean(dim=1, keepdim=True))
            robust = (gradient.square() + ROBUSTNESS**2).sqrt() - ROBUSTNESS
            total = total + (smooth * robust).mean(dim=(1, 2, 3)) / 2
        return self.weight * total


class Regularizers:
    """The sum of several regularisers: ``Regularizers(FlowMagnitude(4.5), FlowGradient(2.25))``."""

    def __init__(self, *parts: Regularizer) -> None:
        self.parts = parts

    def __call__(self, flow: Float[Tensor, "B 2 h w"], image: Float[Tensor, "B C h w"]) -> Float[Tensor, "B"]:
        """Return one penalty per sample.

        Raises:
            ValueError: a part that does not return one value per sample.
        """
        total = flow.new_zeros(flow.shape[0])
        for part in self.parts:
            penalty = part(flow, image)
            check_per_sample(f"the regularizer {getattr(part, '__name__', type(part).__name__)}", penalty, len(flow))
            total = total + penalty
        return total


def _check_order(p: float | int) -> None:
    if not p > 0:  # NaN is not
        raise ValueError(f"p must be above zero, got {p}")


def _normalized(flow: Tensor) -> Tensor:
    height, width = flow.shape[-2:]
    extent = flow.new_tensor([max(width - 1, 1), max(height - 1, 1)])
    return flow / extent[:, None, None]


def _norm(field: Tensor, p: float | int) -> Tensor:
    if p != 1:
        return torch.linalg.vector_norm(field, ord=p, dim=1).mean(dim=(-2, -1))
    across, down = field.abs().unbind(1)  # a reduction over two channels takes several times as long as their sum
    return (across + down).mean(dim=(-2, -1))


def _sobel(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the horizontal and vertical Sobel responses of every channel, with replicated borders."""
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    down = torch.add(padded[..., :-2, :], padded[..., 1:-1, :], alpha=2) + padded[..., 2:, :]
    across = torch.add(padded[..., :-2], padded[..., 1:-1], alpha=2) + padded[..., 2:]
    return down[..., 2:] - down[..., :-2], across[..., 2:, :] - across[..., :-2, :]


@validated(error=ValueError)
class Displacement:
    """``weight`` times the mean over pixels of a power of the flow's length in pixels: a penalty on displacement.

    The weight is in units of the base distance per pixel of displacement to that power: intensity per pixel over an L1.
    The length is neither clipped nor robust, for a planner needs to know of a far goal how far it is. With power 1, for
    square images of side s, it is ``FlowMagnitude(weight * (s - 1), p=2)``, so the paper's 4.5 image widths are about
    0.071 per pixel at 64 px. With power 2 one limb far from its place counts more than all limbs a little off, as it
    does in the Euclidean distance of states.

    Raises:
        ValueError: a weight that is negative or not finite, or a power that is below 1 or not finite.
    """

    weight: Weight
    power: Annotated[float, Range(1)] = 1

    def __call__(self, flow: Float[Tensor, "B 2 h w"], image: Float[Tensor, "B C h w"]) -> Float[Tensor, "B"]:
        """Return one penalty per sample; its gradient where nothing moves is zero."""
        squares = flow.square().sum(dim=1)
        powers = squares if self.power == 2 else _roots(squares) ** self.power
        return self.weight * powers.mean(dim=(-2, -1))


def displacement_of(flows: Sequence[Float[Tensor, "B 2 h w"]]) -> Float[Tensor, "B"]:
    """Return the mean length over the pixels of one or two flows, in pixels."""
    means = [_roots(flow.square().sum(dim=1)).mean(dim=(-2, -1)) for flow in flows]
    return sum(means[1:], start=means[0]) / len(means)


def _roots(squares: Float[Tensor, "B h w"]) -> Float[Tensor, "B h w"]:
    """Return the lengths of vectors of these squared lengths, with gradient zero where nothing moves.

    Faster than torch's norms, which take up to a hundred times as long over so short an axis.
    """
    still = squares == 0  # the root's slope there is infinite; NaN is not still and stays NaN
    return squares.masked_fill(still, 1).sqrt().masked_fill(still, 0)
