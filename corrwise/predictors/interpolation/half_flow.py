"""Interpolation by optical flow: pixels of both frames are moved to where they are at the time between."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.costs.flow import FLOWS
from corrwise.costs.flow.bidirectional import both_ways
from corrwise.costs.presets import DEFAULT_FLOW
from corrwise.predictors.interpolation.times import between_pairs, views_apart
from corrwise.types import Flow

__all__ = ["HalfFlow", "named_flow", "splat"]

FRONT = 3.0  # px; of two pixels that land on one place, one that moves so much farther counts e times as much, at most
EMPTY = 1e-6  # weight of a place below which no pixel has landed there


class HalfFlow:
    """Moves the pixels of both frames along a share of their flow, and blends what lands on each place.

    Half of the flow at half of the time is the half-flow baseline of Geng et al. (CVPR 2022, Table A4), whose text does
    not state which frame is sampled. Here each pixel of both frames is moved forwards (splatted), and all that land on
    one place are averaged together. What is hidden in one frame lands from the other one alone, so it is taken from
    that. Of several pixels, those that land near the middle of the place count most, and those that move farthest,
    which are in front more often than not. A place on which nothing lands has the linear blend of the frames.

    Args:
        flow: a name in ``corrwise.costs.flow.FLOWS``, or a flow.

    Raises:
        ValueError: an unknown name.
    """

    def __init__(self, flow: str | Flow = DEFAULT_FLOW) -> None:
        self.flow = named_flow(flow)

    @torch.no_grad()
    def __call__(
        self, frames: Float[Tensor, "B K C h w"], times: Sequence[float | int], wanted: Sequence[float | int]
    ) -> Float[Tensor, "B T C h w"]:
        """Return the frames of the wanted times; the flow of each pair is estimated once.

        Raises:
            TypeError, ValueError: see ``check_times``; what the flow refuses; or views with depth.
        """
        flows: dict[int, tuple[Tensor, Tensor]] = {}

        def make(first: Tensor, second: Tensor, share: float) -> Tensor:
            x, y = views_apart(first), views_apart(second)
            pair = first.data_ptr()
            if pair not in flows:
                flows[pair] = both_ways(self.flow, x, y)
            return _moved(x, y, flows[pair], share).reshape(first.shape)

        return between_pairs(frames, times, wanted, make)


def named_flow(flow: str | Flow) -> Flow:
    """Return a flow, or the registered one of a name.

    Raises:
        ValueError: an unknown name.
    """
    if callable(flow):
        return flow
    if flow not in FLOWS:
        raise ValueError(f"expected flow to be one of {', '.join(FLOWS)}, got {flow!r}")
    return FLOWS[flow]()


def _moved(x: Tensor, y: Tensor, flows: tuple[Tensor, Tensor], share: float) -> Float[Tensor, "n c h w"]:
    """Return the frame at a share of the time from x to y; the nearer one of them counts more."""
    total = torch.zeros_like(torch.cat([x, x[:, :1]], dim=1))
    for image, flow, part in ((x, flows[0], share), (y, flows[1], 1 - share)):
        length = flow.norm(dim=1, keepdim=True).nan_to_num(0.0)
        weight = (1 - part) * torch.exp((length / FRONT).clamp(max=1))
        total = total + torch.cat(splat(image, part * flow, weight), dim=1)
    colour, weight = total[:, :-1], total[:, -1:]
    return torch.where(weight > EMPTY, colour / weight.clamp(min=EMPTY), torch.lerp(x, y, share))


def splat(
    image: Float[Tensor, "n c h w"], flow: Float[Tensor, "n 2 h w"], weight: Float[Tensor, "n 1 h w"]
) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n 1 h w"]]:
    """Move each pixel by its flow, onto the four around where it lands: the weighted sum of colours, and of weights.

    Each of the four gets the square of its bilinear share: a pixel that lands at the rim of a place then leaves it to
    one that lands in the middle. What lands outside, or has a flow that is not finite, is dropped.

    Args:
        image: whose pixels are moved.
        flow: how far, in pixels, channels (dx, dy).
        weight: how much each pixel counts.
    """
    _, channels, height, width = image.shape
    rows = torch.arange(height, dtype=flow.dtype, device=flow.device)[:, None]
    x = flow[:, 0] + torch.arange(width, dtype=flow.dtype, device=flow.device)
    y = flow[:, 1] + rows
    left, top = x.floor(), y.floor()
    values = torch.cat([image * weight, weight], dim=1).flatten(2)
    landed = torch.zeros_like(values)
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        column, row = left + dx, top + dy
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)  # False where the flow is NaN
        share = torch.where(inside, (1 - (x - column).abs()) * (1 - (y - row).abs()), 0).square().flatten(1)
        place = torch.where(inside, row * width + column, 0).long().flatten(1)
        part = torch.where(share[:, None] > 0, values * share[:, None], 0)  # NaN lands only where it belongs
        landed.scatter_add_(2, place[:, None].expand_as(values), part)
    landed = landed.unflatten(2, (height, width))
    return landed[:, :channels], landed[:, channels:]
