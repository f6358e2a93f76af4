"""How much and how smoothly videos move, and how far the distribution of their motion is from that of real ones.

Smoothness and dynamic degree are those of VBench (Huang et al., CVPR 2024) for images of any size. A threshold hides
most of what changes, so the distances between the distributions of flow lengths and of accelerations stand beside them.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from corrwise.costs.motion.flow_maps import flow_maps
from corrwise.costs.warp import warp
from corrwise.types import FixedTimes, Flow, Interpolator

__all__ = [
    "LEVELS",
    "accelerations",
    "dynamic",
    "forward_flows",
    "largest_lengths",
    "lengths",
    "level_means",
    "level_shares",
    "motion_score",
    "smoothness",
    "threshold",
    "wasserstein",
]

LEVELS = 64  # values that stand for a distribution
_LARGEST = 0.05  # share of a frame's pixels whose lengths count for the dynamic degree
_SLOWEST = 6 / 256  # of the shorter side: length per frame above which a pair of frames moves
_MOVING = 4 / 16  # share of a video's frames that must move


def smoothness(frames: Float[Tensor, "n T C h w"], interpolator: Interpolator) -> Float[Tensor, "n"]:
    """Return the motion smoothness of each video, 1 where it is perfectly smooth.

    Frames 0, 2, 4 and so on are kept, and the interpolator makes those between them. With ``d`` the mean absolute
    difference of the frames that it makes from the removed ones, in levels of 255, smoothness is ``(255 - d) / 255``. A
    frozen video has a smoothness of 1. Of an even number of frames the last one is left out. An interpolator of fixed
    times sees the outer frames again beyond both ends.

    Args:
        frames: in [0, 1].
        interpolator: which stays the same for all videos that are compared; VBench takes AMT-S.

    Raises:
        ValueError: fewer than 3 frames, or what the interpolator refuses.
    """
    count = (frames.shape[1] - 1) // 2
    if count < 1:
        raise ValueError(f"expected videos of 3 frames or more, got {frames.shape[1]}")
    kept, removed = frames[:, : 2 * count + 1 : 2], frames[:, 1 : 2 * count : 2]
    if isinstance(interpolator, FixedTimes):
        made = torch.cat([interpolator(*_around(kept, gap, interpolator)) for gap in range(count)], dim=1)
    else:
        made = interpolator(kept, range(0, 2 * count + 1, 2), range(1, 2 * count, 2))
    return 1 - (_levels(made) - _levels(removed)).abs().flatten(1).mean(dim=1) / 255


def _around(
    kept: Float[Tensor, "n K C h w"], gap: int, model: FixedTimes
) -> tuple[Float[Tensor, "n k C h w"], tuple[float, ...], tuple[float, ...]]:
    """Return what a model of fixed times is called with to make the frame in the middle of a gap."""
    if len(model.between) != 1:
        raise ValueError(
            f"expected an interpolator of one frame in the middle, got {type(model).__name__}, which makes "
            f"{len(model.between)}"
        )
    seen = len(model.known)
    places = [min(max(gap + 1 - seen // 2 + i, 0), kept.shape[1] - 1) for i in range(seen)]
    return kept[:, places], model.known, model.between


def _levels(frames: Tensor) -> Tensor:
    return (frames.clamp(0, 1) * 255).round()


def forward_flows(flow: Flow, frames: Float[Tensor, "n T 3 h w"]) -> Float[Tensor, "n t 2 h w"]:
    """Return where each pixel of a frame goes in the next one, in pixels: t = T - 1 flows, channels (dx, dy).

    Raises:
        FloatingPointError, TypeError, ValueError: see ``flow_maps``.
    """
    return flow_maps(flow, frames, side=min(frames.shape[-2:]))[:, :-1, :2]


def lengths(flows: Float[Tensor, "n t 2 h w"]) -> Float[Tensor, "n t h w"]:
    """Return how far each pixel moves, in pixels per frame."""
    return flows.norm(dim=2)


def accelerations(flows: Float[Tensor, "n t 2 h w"]) -> Float[Tensor, "n t-1 h w"]:
    """Return how much the motion of each pixel changes from one frame to the next, in pixels per frame squared.

    The change is measured along the motion: a pixel's flow is subtracted from the next flow where the pixel arrives. A
    body of constant velocity has no acceleration, except where it hides something.
    """
    now, after = flows[:, :-1].flatten(0, 1), flows[:, 1:].flatten(0, 1)
    return (warp(after, now, padding="border") - now).norm(dim=1).unflatten(0, (flows.shape[0], -1))


def threshold(height: int, width: int) -> float:
    """Return the length above which a pair of frames moves, in pixels: 6 at a shorter side of 256, as in VBench."""
    return _SLOWEST * min(height, width)


def largest_lengths(flows: Float[Tensor, "n t 2 h w"]) -> Float[Tensor, "n t"]:
    """Return the mean of the largest 5 % of the lengths in each flow, at least of one pixel."""
    every = lengths(flows).flatten(2)
    return every.topk(max(1, int(_LARGEST * every.shape[2])), dim=2).values.mean(dim=2)


def dynamic(flows: Float[Tensor, "n t 2 h w"]) -> Bool[Tensor, "n"]:
    """Return which videos are dynamic: in at least a quarter of their frames' number the largest lengths are long.

    With N frames, at least ``max(1, round(N / 4))`` of the N - 1 flows must have a ``largest_lengths`` above the
    ``threshold``. The dynamic degree of a set of videos is the share of those that are dynamic. VBench keeps about 8
    frames a second first; here the given frames count.
    """
    needed = max(1, round(_MOVING * (flows.shape[1] + 1)))
    return (largest_lengths(flows) > threshold(*flows.shape[-2:])).sum(dim=1) >= needed


def motion_score(smooth: float | int, degree: float | int) -> float:
    """Return the mean of smoothness and dynamic degree."""
    return (smooth + degree) / 2


def level_shares(levels: int = LEVELS) -> Float[Tensor, "levels"]:
    """Return which share of a distribution each of its ``level_means`` stands for; they add up to 1.

    Shares shrink linearly towards the largest values, to the square of the inverse number: little moves in most videos,
    and the tail of the lengths is what tells them apart.
    """
    return _bounds(levels).diff()


def level_means(values: Float[Tensor, "n P"], levels: int = LEVELS) -> Float[Tensor, "n levels"]:
    """Return a distribution in few numbers: the means of consecutive parts of its sorted values.

    Each part holds one of the ``level_shares``; a value on the border of two parts counts for both, in proportion. The
    weighted mean of the result is the mean of the values.
    """
    count = values.shape[1]
    ordered = values.double().sort(dim=1).values
    total = torch.nn.functional.pad(ordered.cumsum(dim=1), (1, 0))
    place = _bounds(levels).to(values.device) * count
    below = place.floor().long().clamp(max=count - 1)
    upto = total[:, below] + (place - below) * ordered[:, below]
    return upto.diff(dim=1) / place.diff()


def _bounds(levels: int) -> Tensor:
    left = torch.linspace(1, 0, levels + 1, dtype=torch.float64, device="cpu")
    return 1 - left.square()


def wasserstein(
    x: Float[Tensor, "*n"],
    y: Float[Tensor, "*m"],
    x_weights: Float[Tensor, "*n"] | None = None,
    y_weights: Float[Tensor, "*m"] | None = None,
) -> float:
    """Return the Wasserstein-1 distance of two distributions of numbers, in their unit; exact.

    It is the area between the cumulative distribution functions: the least mean distance by which the numbers of one
    must be moved to become the other's.

    Args:
        x: numbers of one distribution.
        y: those of the other.
        x_weights: how much each of the first counts; the same for all without them.
        y_weights: of the others.

    Raises:
        ValueError: no numbers, or some that are not finite.
    """
    places, masses = [], []
    for sign, values, weights in ((1, x, x_weights), (-1, y, y_weights)):
        flat = values.detach().flatten().double()
        if not len(flat) or not bool(flat.isfinite().all()):
            raise ValueError(f"expected finite numbers on both sides, got {len(flat)} of which some may not be finite")
        mass = torch.ones_like(flat) if weights is None else weights.flatten().to(flat)
        places.append(flat)
        masses.append(sign * mass / mass.sum())
    place, order = torch.cat(places).sort()
    apart = torch.cat(masses)[order].cumsum(0)[:-1].abs()
    return float((apart * place.diff()).sum())
