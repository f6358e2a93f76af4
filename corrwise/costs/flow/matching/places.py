"""Where two images differ, what they show there, and how such places of many pairs are matched a few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

__all__ = ["REACH", "THRESHOLD", "Chunk", "Places", "differing", "paired_chunks", "patches_of"]

THRESHOLD = 0.01  # of a channel: pixels that differ by no more did not move
REACH = 1  # px around a pixel that differs: the rim of a body seen through a patch


@dataclass(frozen=True)
class Chunk:
    """A few pairs with about equally many positions.

    Attributes:
        index: where the positions of each pair stand in the list of all positions; padding points past its end.
        valid: False for padding.
    """

    index: Int64[Tensor, "P n"]
    valid: Bool[Tensor, "P n"]


class Places:
    """The list of all positions that take part, pair after pair and in reading order, with a dummy at its end."""

    def __init__(self, mask: Bool[Tensor, "B h w"]) -> None:
        self.mask = mask
        sample, y, x = mask.nonzero(as_tuple=True)
        self.total = sample.shape[0]
        self.sample, self.y, self.x = (F.pad(axis, (0, 1)) for axis in (sample, y, x))
        self.counts = mask.sum(dim=(1, 2))

    def chunks(self, max_entries: int) -> Iterator[Chunk]:
        """Yield all pairs that have positions, in chunks of at most ``max_entries`` matrix entries or a single pair."""
        counts = self.counts.tolist()
        for pairs in _bundles(counts, max_entries):
            yield self.chunk(pairs, counts[pairs[-1]])

    def chunk(self, pairs: list[int], most: int) -> Chunk:
        """Return the positions of these pairs, of which none has more than ``most``."""
        along = torch.arange(most, dtype=torch.int64, device=self.mask.device)
        chosen = torch.tensor(pairs, dtype=torch.int64, device=self.mask.device)
        counts = self.counts[chosen, None]
        valid = along < counts
        index = self.counts.cumsum(0)[chosen, None] - counts + along
        return Chunk(torch.where(valid, index, self.total), valid)

    def positions(self, chunk: Chunk) -> Float[Tensor, "P n 2"]:
        """Return the positions (x, y) in pixels."""
        return torch.stack((self.x[chunk.index], self.y[chunk.index]), dim=-1).float()

    def patches_at(self, patches: Float[Tensor, "B h w k k C"], chunk: Chunk) -> Float[Tensor, "P n K"]:
        """Return the patches at the positions, flat, and zeros for padding.

        Padding reads the first pair's corner, whose NaN must not be taken for the cheapest match of another's.
        """
        seen = patches[self.sample[chunk.index], self.y[chunk.index], self.x[chunk.index]].flatten(2)
        return seen.masked_fill_(~chunk.valid[..., None], 0)

    def scatter(self, values: Float[Tensor, "M 2"]) -> Float[Tensor, "B 2 h w"]:
        """Put one vector per position into fields that are zero elsewhere; the last one is the dummy's."""
        last = self.total
        field = values.new_zeros(*self.mask.shape, 2)
        field = field.index_put((self.sample[:last], self.y[:last], self.x[:last]), values[:last])
        return field.permute(0, 3, 1, 2)


def patches_of(images: Float[Tensor, "B C h w"], side: int) -> Float[Tensor, "B h w side side C"]:
    """Return a view of all patches of ``side`` pixels, beyond the border mirrored."""
    margin = side // 2
    padded = F.pad(images, (margin, margin, margin, margin), mode="reflect")
    padded = padded.contiguous(memory_format=torch.channels_last)  # a row of a patch lies together
    return padded.unfold(2, side, 1).unfold(3, side, 1).permute(0, 2, 3, 4, 5, 1)


def paired_chunks(first: Places, second: Places, max_entries: int) -> Iterator[tuple[Chunk, Chunk]]:
    """Yield the pairs that have positions in both lists, in chunks as ``Places.chunks`` makes them."""
    counts = list(zip(first.counts.tolist(), second.counts.tolist(), strict=True))
    larger = [max(both) if min(both) else 0 for both in counts]
    for pairs in _bundles(larger, max_entries):
        most_first, most_second = (max(counts[i][side] for i in pairs) for side in (0, 1))
        yield first.chunk(pairs, most_first), second.chunk(pairs, most_second)


def differing(
    x: Float[Tensor, "B C h w"], y: Float[Tensor, "B C h w"], *, threshold: float | int | Tensor, reach: int
) -> Bool[Tensor, "B h w"]:
    """Return where a pixel within ``reach`` differs by more than ``threshold`` in a channel; NaN does not.

    A threshold per pair has shape (B, 1, 1, 1).
    """
    pixels = ((x.detach() - y.detach()).abs_() > threshold).any(dim=1)
    return _spread(_spread(pixels, reach, dim=1), reach, dim=2)


def _spread(marked: Bool[Tensor, "B h w"], reach: int, dim: int) -> Bool[Tensor, "B h w"]:
    """Mark what lies within ``reach`` along one axis of what is marked; pooling takes ten times as long on a CPU."""
    wide = marked.clone()
    for by in range(1, min(reach, marked.shape[dim] - 1) + 1):
        kept = marked.shape[dim] - by
        wide.narrow(dim, by, kept).logical_or_(marked.narrow(dim, 0, kept))
        wide.narrow(dim, 0, kept).logical_or_(marked.narrow(dim, by, kept))
    return wide


def _bundles(counts: list[int], max_entries: int) -> Iterator[list[int]]:
    """Group the pairs by count, ascending; a group of P pairs with n positions at most has P n^2 entries."""
    bundle: list[int] = []
    for pair in sorted((i for i, count in enumerate(counts) if count), key=lambda i: counts[i]):
        if bundle and (len(bundle) + 1) * counts[pair] ** 2 > max_entries:
            yield bundle
            bundle = []
        bundle.append(pair)
    if bundle:
        yield bundle
