"""How far a flow net's estimates are from the truth: the loss it learns by, and the errors it is judged by."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from corrwise.costs.flow.learned.net import CELL, Estimate
from corrwise.experiments.studies.flows.exact_pairs import Pairs

__all__ = ["BANDS", "endpoint_errors", "flow_loss"]

BANDS = ((0.0, 2.0), (2.0, 8.0), (8.0, 32.0))  # displacement, pixels
DECAY = 0.8  # an earlier estimate counts this much less than the next (RAFT, Eq. 7)
TOKENS = 0.5  # what the tokens' estimates count beside the pixels'
LENGTH = 0.5  # what the error of the mean length over the body counts beside the mean error of its pixels
STILL = 0.5  # what background counts beside bodies
RELATIVE = 8.0  # pixels; an error counts half at this displacement and less beyond it
SOFT = 0.05  # pixels; below it the error counts by its square
MOVES = 1e-3  # pixels; less is background


def flow_loss(estimate: Estimate, pairs: Pairs, differs: Bool[Tensor, "B h w"]) -> Float[Tensor, ""]:
    """Return the mean weighted endpoint error of all estimates, both directions, later ones counting more."""
    truth = torch.cat((pairs.flow_xy, pairs.flow_yx))
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
    """Return the endpoint error and the displacement, in pixels, of every visible pixel of a moving body."""
    length = truth.norm(dim=1)
    chosen = seen & (length > MOVES) & torch.isfinite(length)
    return (flow - truth).norm(dim=1)[chosen], length[chosen]


def _length_error(flow: Tensor, length: Tensor, body: Tensor) -> Tensor:
    """Return how far the body's mean length is off; estimates that hedge between two matches come out short."""
    off = _mean((flow.square().sum(dim=1) + SOFT**2).sqrt() - (length**2 + SOFT**2).sqrt(), body).abs()
    return off / (1 + _mean(length, body) / RELATIVE)


def _error(flow: Tensor, truth: Tensor) -> Tensor:
    return ((flow - truth).square().sum(dim=1) + SOFT**2).sqrt() - SOFT


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean over each sample's pixels, 0 where no pixel counts."""
    return (values * weight).sum(dim=(1, 2)) / weight.sum(dim=(1, 2)).clamp(min=1e-6)
