"""The loss of a flow net, and its endpoint errors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from corrwise.costs.flow.learned.net import CELL, Estimate

__all__ = ["MOVES", "endpoint_errors", "flow_loss"]

DECAY = 0.8  # weight of an estimate relative to the next (RAFT, Eq. 7)
TOKENS = 0.5  # weight of the tokens' estimates relative to the pixels'
LENGTH = 0.5  # weight of the error of the body's mean length
STILL = 0.5  # weight of the background relative to bodies
RELATIVE = 8.0  # pixels; an error weighs half at this displacement and less beyond it
SOFT = 0.05  # pixels; below it the error is quadratic
MOVES = 1e-3  # pixels; less is background


def flow_loss(
    estimate: Estimate, truth: Float[Tensor, "B2 2 h w"], differs: Bool[Tensor, "B h w"]
) -> Float[Tensor, ""]:
    """Return the mean weighted endpoint error of all estimates; later estimates weigh more.

    Args:
        estimate: of B pairs.
        truth: ground-truth flow of both directions, in pixels: first of all x, then of all y; NaN where unknown.
        differs: pixels in which the images of a pair differ; other still pixels have no weight.
    """
    known = torch.isfinite(truth).all(dim=1)
    truth = torch.where(known[:, None], truth, 0.0)
    length = truth.norm(dim=1)
    moves = length > MOVES
    weight = known / (1 + length / RELATIVE)
    body, still = weight * moves, weight * (~moves & torch.cat((differs, differs)))
    total = truth.new_zeros(())
    for i, flow in enumerate(estimate.flows):
        error = _error(flow, truth)
        each = _mean(error, body) + STILL * _mean(error, still) + LENGTH * _length_error(flow, length, moves & known)
        total = total + DECAY ** (len(estimate.flows) - 1 - i) * each.mean()
    share = F.avg_pool2d(body[:, None], CELL)
    cells = F.avg_pool2d(truth * body[:, None], CELL) / share.clamp(min=1e-9)
    for i, flow in enumerate(estimate.coarse):
        each = _mean(_error(flow, cells), share[:, 0])
        total = total + TOKENS * DECAY ** (len(estimate.coarse) - 1 - i) * each.mean()
    return total


def endpoint_errors(
    flow: Float[Tensor, "B 2 h w"], truth: Float[Tensor, "B 2 h w"], seen: Bool[Tensor, "B h w"]
) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    """Return the endpoint error and the displacement, in pixels, of the n visible pixels that move."""
    length = truth.norm(dim=1)
    chosen = seen & (length > MOVES) & torch.isfinite(length)
    return (flow - truth).norm(dim=1)[chosen], length[chosen]


def _length_error(flow: Tensor, length: Tensor, body: Tensor) -> Tensor:
    """Return the error of the body's mean length; estimates that average two matches are too short."""
    off = _mean((flow.square().sum(dim=1) + SOFT**2).sqrt() - (length**2 + SOFT**2).sqrt(), body).abs()
    return off / (1 + _mean(length, body) / RELATIVE)


def _error(flow: Tensor, truth: Tensor) -> Tensor:
    return ((flow - truth).square().sum(dim=1) + SOFT**2).sqrt() - SOFT


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean over each sample's pixels, 0 where no pixel counts."""
    return (values * weight).sum(dim=(1, 2)) / weight.sum(dim=(1, 2)).clamp(min=1e-6)
