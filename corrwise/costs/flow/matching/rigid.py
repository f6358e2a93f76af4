"""Matches that move like their neighbours: what sets apart a limb's pixels when all limbs look alike.

A mean-field over the match costs. Matches that both directions agree on vote for the displacement around them, first in
a wide window and then in a narrow one; departing from it costs both ends of a match. Displacements, votes and quarters
of pixels are whole numbers below 2^24, so the result is the same to the bit whatever is matched beside a pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from corrwise.costs.flow.matching.cheapest import cheapest_columns, cheapest_rows
from corrwise.costs.flow.matching.match_costs import squares, take

__all__ = ["BodyGroup", "rigid_matches"]

AGREE = 2.25  # px^2; matches that lead back to within 1.5 px of where they came from may vote
QUARTER = 4.0  # steps of a pixel to which votes are rounded


@dataclass(frozen=True)
class Side:
    """One image's positions (x, y) in pixels, which of them are not padding, and their patches in 8-bit levels."""

    patches: Float[Tensor, "P n K"]
    positions: Float[Tensor, "P n 2"]
    valid: Bool[Tensor, "P n"]

    def within(self, window: int) -> Float[Tensor, "P n n"]:
        """Return 1 where two positions are at most ``window`` pixels apart along each axis."""
        xs, ys = self.positions.unbind(2)
        near = (xs[:, :, None] - xs[:, None]).abs_() <= window
        return near.logical_and_((ys[:, :, None] - ys[:, None]).abs_() <= window).float()


@dataclass(frozen=True)
class BodyGroup:
    """Pairs of images whose bodies are matched together.

    Attributes:
        first, second: the two sides.
        weight: what one pixel of displacement costs, in the norm of a patch in levels.
        rigidity: what one pixel of departure from the neighbours costs, in the same unit.
    """

    first: Side
    second: Side
    weight: float
    rigidity: float


def rigid_matches(
    group: BodyGroup, *, windows: tuple[int, ...], fills: tuple[int, ...]
) -> tuple[Float[Tensor, "P n 2"], Float[Tensor, "P m 2"]]:
    """Return the displacements of both sides, in pixels.

    Args:
        group: what to match.
        windows: half the width of the votes' windows, round by round, in pixels.
        fills: half the widths within which a displacement is replaced by the mean of those that both directions agree
            on; the first that has any. A match that does not come back thus is not trusted, and the mean is sub-pixel.
    """
    first, second = group.first, group.second
    left, right = squares(first.patches, second.patches, first.valid, second.valid)
    cost = torch.bmm(left, right).sqrt_()
    cost += _distances(first.positions, second.positions).mul_(group.weight)
    there, back = _cheapest(cost, first, second)
    for window in windows:
        ends, heard = _votes(first, there, _agreed(there, back, second), window)
        starts, answered = _votes(second, back, _agreed(back, there, first), window)
        total = _distances(first.positions + ends, second.positions).mul_(heard)
        total += _distances(first.positions, second.positions + starts).mul_(answered.transpose(1, 2))
        there, back = _cheapest(total.mul_(group.rigidity / 2).add_(cost), first, second)
    return (
        _filled(first, there, _agreed(there, back, second), fills),
        _filled(second, back, _agreed(back, there, first), fills),
    )


@dataclass(frozen=True)
class _Moves:
    index: Int64[Tensor, "P n"]
    by: Float[Tensor, "P n 2"]


def _cheapest(cost: Tensor, first: Side, second: Side) -> tuple[_Moves, _Moves]:
    row, column = cheapest_rows(cost), cheapest_columns(cost)[1]
    there = _Moves(row, take(second.positions, row) - first.positions)
    return there, _Moves(column, take(first.positions, column) - second.positions)


def _agreed(moves: _Moves, returns: _Moves, other: Side) -> Float[Tensor, "P n 1"]:
    """Return 1 where a match leads to one that leads back; padding on the other side never does."""
    error = (moves.by + take(returns.by, moves.index)).square().sum(dim=2)
    return ((error <= AGREE) & other.valid.gather(1, moves.index))[..., None].float()


def _mean(side: Side, moves: _Moves, agreed: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Return the agreed displacements' mean within the window, and how many they are (P, n, 1)."""
    votes = torch.cat((moves.by, torch.ones_like(agreed)), dim=2) * (agreed * side.valid[..., None])
    sums = torch.bmm(side.within(window), votes)
    return sums[..., :2] / sums[..., 2:].clamp_min(1), sums[..., 2:]


def _votes(side: Side, moves: _Moves, agreed: Tensor, window: int) -> tuple[Tensor, Tensor]:
    mean, count = _mean(side, moves, agreed, window)
    return (QUARTER * mean).round_().div_(QUARTER), (count > 0).float()


def _filled(side: Side, moves: _Moves, agreed: Tensor, fills: tuple[int, ...]) -> Tensor:
    result = moves.by
    for window in reversed(fills):
        mean, count = _mean(side, moves, agreed, window)
        result = torch.where(count > 0, mean, result)
    return result


def _distances(first: Tensor, second: Tensor) -> Tensor:
    """Return the distances of positions in quarters of pixels, exact before the root."""
    left, right = squares(QUARTER * first, QUARTER * second)
    return torch.bmm(left, right).sqrt_().div_(QUARTER)
