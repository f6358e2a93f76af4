"""Which matches to trust: the forward-backward check (Sundaram, Brox and Keutzer, ECCV 2010; UnFlow, AAAI 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from corrwise.costs._checks import check_batch_pair
from corrwise.costs.flow.bidirectional import both_ways
from corrwise.types import Flow, has_gradient

__all__ = ["TrustedFlow", "occluded", "occluded_share"]

RELATIVE = 0.01  # alpha: share of the squared lengths; motion that is large may err by more
MAJORITY = 0.5 - 1e-6  # of the bilinear weight of the four pixels between which a match lands
ABSOLUTE = 0.5  # beta, px^2: what interpolation and whole-pixel matches may err by (0.7 px) where nothing moves


def occluded(
    forward: Float[Tensor, "B 2 h w"],
    backward: Float[Tensor, "B 2 h w"],
    *,
    relative: float | int = RELATIVE,
    absolute: float | int = ABSOLUTE,
) -> Bool[Tensor, "B h w"]:
    """Mark the pixels of ``forward``'s grid that are not carried back to where they came from.

    A pixel p leads back by a pixel q of the other grid if ``|f(p) + b(q)|^2 <= relative (|f(p)|^2 + |b(q)|^2) +
    absolute``. It lands between four such pixels, and is marked unless those that lead back have at least half of the
    bilinear weight: then it is hidden in the other image, or matched wrongly. So is one whose match lies outside the
    other image, by more than half a pixel beyond the centres of the border pixels, and one where either flow is NaN or
    infinite.

    Deviation: both papers interpolate ``b`` between the four. A limb of two or three pixels is all edge, and where a
    point lands between limb and background a mean of two motions leads nowhere: the vote keeps such pixels.

    It compares the flows with each other: two flows that agree on a wrong match, such as two that find no motion at
    all, pass.

    Args:
        forward: ``flow(x, y)`` in pixels, on the grid of ``x``; for ``y``'s grid swap the two.
        backward: ``flow(y, x)`` in pixels, on the grid of ``y``.
        relative: alpha, without unit; 0.01 as in both papers.
        absolute: beta, in px^2; 0.5 as in both papers.

    Raises:
        TypeError, ValueError: not two float flows (B, 2, h, w) of one shape, type and device, or a threshold that is
            negative or not finite.
    """
    check_batch_pair(forward, backward)
    if forward.shape[1] != 2:
        raise ValueError(f"expected flows (B, 2, h, w), got {tuple(forward.shape)}")
    if not (isfinite(relative) and isfinite(absolute) and relative >= 0 and absolute >= 0):
        raise ValueError(f"expected finite thresholds of at least 0, got {relative} and {absolute}")
    forward, backward = forward.detach(), backward.detach()
    moves = ((forward != 0) | (backward != 0)).any(dim=1)  # elsewhere a pixel leads back to itself
    height, width = moves.shape[1:]
    where = moves.flatten().nonzero()[:, 0]
    forth, back = (field.permute(0, 2, 3, 1).reshape(-1, 2) for field in (forward, backward))
    flow, inside = forth.index_select(0, where), where % (height * width)
    x, y = inside % width + flow[:, 0], inside // width + flow[:, 1]
    left, top = x.floor(), y.floor()
    right_share, bottom_share = x - left, y - top
    votes = torch.zeros_like(x)
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        share = (right_share if dx else 1 - right_share) * (bottom_share if dy else 1 - bottom_share)
        at = _border(top + dy, height) * width + _border(left + dx, width)
        returned = back.index_select(0, where - inside + at)
        error = (flow + returned).square().sum(dim=1)
        allowed = relative * (flow.square().sum(dim=1) + returned.square().sum(dim=1)) + absolute
        votes = votes + share * ((error <= allowed) & error.isfinite())
    # Asked this way round NaN is marked: it is not above anything.
    leads_back = (votes >= MAJORITY) & _inside(x, width) & _inside(y, height)
    return moves.flatten().index_put((where,), ~leads_back).view_as(moves)


def occluded_share(flows: Sequence[Float[Tensor, "B 2 h w"]]) -> Float[Tensor, "B"]:
    """Return the share of pixels that fail the forward-backward check, over both directions; NaN for one."""
    if len(flows) == 1:
        return flows[0].new_full((flows[0].shape[0],), float("nan"))
    first, second = flows
    marked = occluded(first, second).to(first.dtype) + occluded(second, first).to(first.dtype)
    return marked.mean(dim=(-2, -1)) / 2


class TrustedFlow:
    """Any flow, with the pixels that fail the forward-backward check left where they are.

    A wrong match then neither hides a residual nor counts as displacement. It asks the flow for both directions, also
    where only one is wanted.

    Args:
        flow: ``flow(target, source)`` in pixels; with a method ``both(x, y)`` both directions are asked for at once.
    """

    def __init__(self, flow: Flow) -> None:
        self.flow = flow

    @property
    def differentiable(self) -> bool:
        """Whether the flow has a gradient: if the wrapped one has."""
        return has_gradient(self.flow)

    def __call__(self, target: Float[Tensor, "B C h w"], source: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 2 h w"]:
        """Return where to sample ``source`` so that it matches ``target``, in pixels; zero where that is not known.

        Raises:
            TypeError, ValueError: what the wrapped flow refuses.
        """
        return self.both(target, source)[0]

    def both(
        self, x: Float[Tensor, "B C h w"], y: Float[Tensor, "B C h w"]
    ) -> tuple[Float[Tensor, "B 2 h w"], Float[Tensor, "B 2 h w"]]:
        """Return ``flow(x, y)`` and ``flow(y, x)``, each zero where the other does not lead back."""
        forward, backward = both_ways(self.flow, x, y)
        return (
            forward.masked_fill(occluded(forward, backward)[:, None], 0),
            backward.masked_fill(occluded(backward, forward)[:, None], 0),
        )


def _inside(at: Tensor, side: int) -> Tensor:
    """Return which points land on the other image, whose border pixels are half a pixel wide on either side."""
    return (at >= -0.5) & (at <= side - 0.5)


def _border(at: Tensor, side: int) -> Tensor:
    """Return whole pixels as indices, the border's own beyond it."""
    return at.nan_to_num(0.0).clamp(0, side - 1).long()
