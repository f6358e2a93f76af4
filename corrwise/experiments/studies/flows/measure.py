"""How far a flow net's estimates are from the truth: the loss it learns by, and the errors it is judged by."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from corrwise.costs import CorrespondenceWise, l1
from corrwise.costs.flow.bidirectional import both_ways
from corrwise.costs.flow.consistency import occluded
from corrwise.costs.flow.learned.net import CELL, Estimate
from corrwise.experiments.studies.flows.candidates import Given, preset_of
from corrwise.experiments.studies.flows.exact_pairs import Pairs
from corrwise.types import Flow

__all__ = [
    "BANDS",
    "band_name",
    "curve_numbers",
    "curve_statistics",
    "endpoint_errors",
    "error_numbers",
    "flow_loss",
    "l1_curve",
    "speed_numbers",
    "true_fields",
]

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


CHUNK = 64  # pairs at a time
Row = dict[str, Any]
Fields = Callable[[slice], tuple[Tensor, Tensor]]  # both flows of some pairs


def band_name(low: float, high: float) -> str:
    """Return what a band of displacements is called in rows: ``8_32``."""
    return f"{low:g}_{high:g}"


@torch.no_grad()
def error_numbers(flow: Flow, pairs: Pairs) -> Row:
    """Return errors in pixels over the visible pixels of moving bodies, both directions, by displacement.

    For each band: ``epe`` the mean endpoint error; ``relative`` the mean of error / displacement; ``displacement`` its
    mean; ``marked`` the share of pixels that the flow's own forward-backward check marks and ``epe_unmarked`` the mean
    error of the others; ``pixels`` how many there are. NaN where a band is empty.
    """
    chunks = zip(pairs.x.split(CHUNK), pairs.y.split(CHUNK), strict=True)
    fields = [both_ways(flow, x, y) for x, y in chunks]
    forward, backward = torch.cat([f for f, _ in fields]).cpu(), torch.cat([b for _, b in fields]).cpu()
    truth, seen = torch.cat((pairs.flow_xy, pairs.flow_yx)), torch.cat((pairs.seen_xy, pairs.seen_yx))
    error, length = endpoint_errors(torch.cat((forward, backward)), truth, seen)
    marked = torch.cat((occluded(forward, backward), occluded(backward, forward)))
    marked = marked[seen & (truth.norm(dim=1) > MOVES) & torch.isfinite(truth).all(dim=1)]
    row: Row = {}
    for low, high in BANDS:
        band = (length >= low) & (length < high)
        e, d, m = error[band].double(), length[band].double(), marked[band]
        numbers = {
            "epe": e.mean(), "relative": (e / d).mean(), "displacement": d.mean(), "marked": m.double().mean(),
            "epe_unmarked": e[~m].mean(),
        }  # fmt: skip
        row |= {f"{name}_{band_name(low, high)}": float(value) for name, value in numbers.items()}
        row[f"pixels_{band_name(low, high)}"] = int(band.sum())
    return row


def true_fields(masks: Bool[Tensor, "n d h w"]) -> tuple[Float[Tensor, "p 2 h w"], Float[Tensor, "p 2 h w"]]:
    """Return the exact flow between offset 0 and each offset, and back, of ``FlowScene.moved``; p = n * d pairs."""
    offsets = torch.arange(masks.shape[1], dtype=torch.float32, device=masks.device)[None, :, None, None]
    forward, backward = masks[:, :1] * offsets, -(masks * offsets)
    return tuple(torch.stack((dx, torch.zeros_like(dx)), dim=2).flatten(0, 1) for dx in (forward, backward))  # type: ignore[return-value]


def l1_curve(pictures: Float[Tensor, "n d 3 h w"]) -> Row:
    """Return the pixel L1 between offset 0 and each offset."""
    return curve_statistics(l1(pictures[:, :1].expand_as(pictures), pictures))


@torch.no_grad()
def curve_numbers(fields: Fields, pictures: Float[Tensor, "n d 3 h w"], *, name: str, form: str) -> Row:
    """Return the loss between offset 0 and each offset: mean and standard error over the n pictures.

    Args:
        fields: the two flows of a slice of the n * d pairs.
        pictures: see ``FlowScene.moved``.
        name: of the flow, whose preset says what a form weighs.
        form: one of a preset's, or "unscaled": matched all the way, without any penalty (the paper's Fig. A2).
    """
    n, d = pictures.shape[:2]
    x, y = pictures[:, :1].expand_as(pictures).flatten(0, 1), pictures.flatten(0, 1)
    losses = []
    for at in range(0, n * d, CHUNK):
        part = slice(at, min(at + CHUNK, n * d))
        flow = Given(*fields(part))
        unscaled = CorrespondenceWise(l1, flow, scaling=0)
        distance = unscaled if form == "unscaled" else preset_of(name).apply(l1, flow, form)
        losses.append(distance(x[part], y[part]))
    return curve_statistics(torch.cat(losses).reshape(n, d))


def curve_statistics(losses: Float[Tensor, "n d"]) -> Row:
    """Return a row of a curve: the mean and the standard error over n images at each offset from 0."""
    n = len(losses)
    error = losses.double().std(dim=0) / n**0.5 if n > 1 else torch.full_like(losses[0], float("nan"))
    mean = losses.double().mean(dim=0)
    loss, spread = ([float(f"{value:.6g}") for value in values.tolist()] for values in (mean, error))
    return {"pictures": n, "offsets": list(range(losses.shape[1])), "loss": loss, "error": spread}


@torch.no_grad()
def speed_numbers(flow: Flow, x: Float[Tensor, "B 3 h w"], y: Float[Tensor, "B 3 h w"], *, repeats: int) -> Row:
    """Return the median milliseconds for both directions of a batch, on the device of the pictures."""

    def once() -> float:
        _finish(x)
        start = time.perf_counter()
        both_ways(flow, x, y)
        _finish(x)
        return 1e3 * (time.perf_counter() - start)

    once()  # first calls build pools, plans and caches
    times = [once() for _ in range(repeats)]
    median = statistics.median(times)
    return {
        **{"ms_per_pair": median / len(x), "ms_batch": median, "ms_batch_least": min(times), "pairs": len(x)},
        **{"size": x.shape[-1], "threads": torch.get_num_threads() if x.device.type == "cpu" else None},
        "processor": torch.cuda.get_device_name(x.device) if x.device.type == "cuda" else None,
    }


def _finish(images: Tensor) -> None:
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)
