"""Windows of one size, one in each image, that hold what is marked: convolutions need not see the rest."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

__all__ = ["Windows"]


class Windows:
    """The least size of window that holds all marked pixels of any image and a margin about them, and each one's place.

    A window stays inside its image, so the margin is narrower at a border. The windows of fields at another resolution
    follow by their ``scale``.

    Args:
        marked: the pixels that a window must hold, (B, h, w).
        margin: pixels about them.
    """

    def __init__(self, marked: Bool[Tensor, "B h w"], margin: int) -> None:
        self._sides = marked.shape[1:]
        top, height = _span(marked.any(dim=2), margin)
        left, width = _span(marked.any(dim=1), margin)
        self._corner, self._size = (left, top), (width, height)

    @property
    def corners(self) -> Float[Tensor, "B 2 1 1"]:
        """Where each window begins, (x, y)."""
        return torch.stack(self._corner, dim=1)[:, :, None, None].float()

    def cut(self, field: Shaped[Tensor, "B c hf wf"], *, scale: int = 1, cell: int = 1) -> Shaped[Tensor, "B c H W"]:
        """Return what the windows show of a field with ``scale`` times the pixels to a side; channels lie last.

        A field of cells, each ``cell`` such pixels to a side, is shown as if its pixels were there.
        """
        sample, row, column = self._index(scale)
        return field[sample, :, row // cell, column // cell].permute(0, 3, 1, 2)

    def place(self, window: Float[Tensor, "B c H W"], *, scale: int = 1) -> Float[Tensor, "B c hf wf"]:
        """Return fields that show the windows in their places and zero elsewhere."""
        height, width = self._sides
        field = window.new_zeros(len(window), height * scale, width * scale, window.shape[1])
        return field.index_put(self._index(scale), window.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def _index(self, scale: int) -> tuple[Tensor, Tensor, Tensor]:
        (left, top), (width, height) = self._corner, self._size
        sample = torch.arange(len(top), dtype=torch.int64, device=top.device)
        row = scale * top[:, None] + torch.arange(scale * height, dtype=torch.int64, device=top.device)
        column = scale * left[:, None] + torch.arange(scale * width, dtype=torch.int64, device=top.device)
        return sample[:, None, None], row[:, :, None], column[:, None, :]


def _span(marked: Bool[Tensor, "B n"], margin: int) -> tuple[Tensor, int]:
    """Return where each window begins along one axis, and how long all are."""
    side = marked.shape[1]
    first = marked.int().argmax(dim=1)
    last = torch.where(marked.any(dim=1), side - 1 - marked.flip(1).int().argmax(dim=1), first)
    length = min(int((last - first).max()) + 1 + 2 * margin, side)
    return (first - margin).clamp(0, side - length), length
