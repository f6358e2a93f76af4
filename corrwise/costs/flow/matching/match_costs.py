"""The least entry of each row and of each column: as ``torch.min`` finds them, four times faster on a CPU.

``torch.min`` searches for a value and its index one entry at a time; a minimum without an index is vectorised, and so
is NumPy's ``argmin`` along memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

__all__ = ["Group", "cheapest_columns", "cheapest_rows", "expected_matches", "matches", "squares", "take"]

_BLOCK = 16  # rows whose minimum is taken without an index


def cheapest_rows(cost: Float[Tensor, "P m n"]) -> Int64[Tensor, "P m"]:
    """Return the column of each row's least entry, first among equals; NaN counts as the least."""
    if cost.device.type != "cpu":
        return cost.min(dim=2).indices
    return torch.from_numpy(cost.detach().numpy().argmin(axis=2))


def cheapest_columns(cost: Float[Tensor, "P m n"]) -> tuple[Float[Tensor, "P n"], Int64[Tensor, "P n"]]:
    """Return each column's least entry and its row, first among equals; NaN counts as the least."""
    pairs, rows, columns = cost.shape
    if cost.device.type != "cpu" or rows <= _BLOCK:
        least = cost.min(dim=1)
        return least.values, least.indices
    whole = rows // _BLOCK * _BLOCK
    tops = [cost[:, :whole].unflatten(1, (-1, _BLOCK)).amin(2)]
    if whole < rows:
        tops.append(cost[:, whole:].amin(1, keepdim=True))
    least = torch.cat(tops, dim=1).min(dim=1)
    first = least.indices[..., None] * _BLOCK  # of the block that holds it
    inside = (first + torch.arange(_BLOCK, dtype=torch.int64, device="cpu")).clamp_max_(rows - 1)
    places = inside * columns + torch.arange(columns, dtype=torch.int64, device="cpu")[:, None]
    entries = cost.flatten(1).gather(1, places.flatten(1)).view(pairs, columns, _BLOCK)
    return least.values, first[..., 0] + cheapest_rows(entries)


FAR = 1e10  # the squared difference to a padded position: larger than any real one, and small enough to stay finite


@dataclass(frozen=True)
class Group:
    """Pairs of images that are matched together, padded to as many positions as the largest of them has.

    Attributes:
        first, second: the patches of the two images at the positions, in 8-bit levels.
        positions: where they are, (x, y) in pixels.
        valid: False where a pair has fewer positions than the largest.
        weight: what one pixel of displacement costs, in the unit of ``sqrt(S)``.
        rows: how many rows of the cost matrices are made at a time.
    """

    first: Float[Tensor, "P n K"]
    second: Float[Tensor, "P n K"]
    positions: Float[Tensor, "P n 2"]
    valid: Bool[Tensor, "P n"]
    weight: float
    rows: int

    def swapped(self) -> Group:
        """Return the same pairs the other way round."""
        return Group(self.second, self.first, self.positions, self.valid, self.weight, self.rows)


def matches(group: Group) -> tuple[Float[Tensor, "P n 2"], Float[Tensor, "P n 2"]]:
    """Return where the cheapest match of every row and of every column of the cost matrix is, first among equals.

    One matrix serves both directions: its rows are the positions of the first image, its columns those of the second.
    """
    left, right = squares(group.first, group.second, group.valid, group.valid)
    at_left, at_right = squares(group.positions, group.positions)
    row_best, col_best, col_cost = [], None, None
    for start in range(0, left.shape[1], group.rows):
        block = slice(start, start + group.rows)
        cost = torch.bmm(left[:, block], right).sqrt_()
        # Scaled on its own: torch's fused multiply-add rounds differently at the ends of a row.
        cost += torch.bmm(at_left[:, block], at_right).sqrt_().mul_(group.weight)
        row_best.append(cheapest_rows(cost))
        values, indices = cheapest_columns(cost)
        if col_best is None or col_cost is None:
            col_cost, col_best = values, indices
        else:
            better = values < col_cost
            col_cost, col_best = torch.where(better, values, col_cost), torch.where(better, indices + start, col_best)
    assert col_best is not None  # a group has at least one row
    return take(group.positions, torch.cat(row_best, dim=1)), take(group.positions, col_best)


def expected_matches(group: Group, temperature: float) -> Float[Tensor, "P n 2"]:
    """Return the softmax-weighted mean position of the matches of every row: ``matches``, but differentiable.

    ``temperature`` is in the unit of ``sqrt(S)``.
    """
    left, right = squares(group.first, group.second, group.valid, group.valid)
    at_left, at_right = squares(group.positions, group.positions)
    means = []
    for rows, at_rows in zip(left.split(group.rows, dim=1), at_left.split(group.rows, dim=1), strict=True):
        # One level added under the root: its slope at zero would be infinite.
        cost = (torch.bmm(rows, right).clamp_min(0) + 1).sqrt()
        cost = cost + torch.bmm(at_rows, at_right).clamp_min(0).sqrt() * group.weight
        means.append(torch.bmm(torch.softmax(-cost / temperature, dim=2), group.positions))
    return torch.cat(means, dim=1)


def squares(
    first: Float[Tensor, "P n K"],
    second: Float[Tensor, "P m K"],
    first_valid: Bool[Tensor, "P n"] | None = None,
    second_valid: Bool[Tensor, "P m"] | None = None,
) -> tuple[Float[Tensor, "P n K+2"], Float[Tensor, "P K+2 m"]]:
    """Return two factors whose matrix product is |a|^2 + |b|^2 - 2ab, for every row a and column b; far for padding."""
    left_norm, right_norm = _norms(first, first_valid), _norms(second, second_valid)
    left = torch.cat((-2 * first, left_norm, torch.ones_like(left_norm)), dim=2)
    return left, torch.cat((second, torch.ones_like(right_norm), right_norm), dim=2).transpose(1, 2)


def take(values: Float[Tensor, "P n D"], index: Int64[Tensor, "P m"]) -> Float[Tensor, "P m D"]:
    """Return the rows at ``index``."""
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[2]))


def _norms(vectors: Tensor, valid: Tensor | None) -> Tensor:
    norms = vectors.square().sum(2, keepdim=True)
    return norms if valid is None else norms.masked_fill_(~valid[..., None], FAR)
