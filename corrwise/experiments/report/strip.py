"""The picture of an episode: a row for each of its panels, one column per control step, in one PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from corrwise._files import reading
from corrwise._writing import RunFolderError, write_bytes_atomic

__all__ = ["ROWS", "load_strip", "make_strip", "png_bytes", "save_strip", "split_strip"]

Array = np.ndarray
ROWS = ("goal", "seen", "predicted", "flow")  # where an episode's row says nothing of its panels


def make_strip(rows: Sequence[Sequence[Array]]) -> Array:
    """Lay frames (uint8, H x W x 3, all of one size) out as rows of columns; every row has the same length."""
    if not rows or not rows[0] or any(len(row) != len(rows[0]) for row in rows):
        raise ValueError(f"expected rows of one length above zero, got lengths {[len(row) for row in rows]}")
    first = rows[0][0]
    for frame in (frame for row in rows for frame in row):
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.shape != first.shape:
            raise ValueError(f"expected uint8 frames {first.shape}, H x W x 3, got {frame.dtype} {frame.shape}")
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)


def split_strip(strip: Array, *, rows: int = len(ROWS)) -> Array:
    """Return the frames of a strip, (rows, steps, h, w, 3); frames are square, so the height tells their size."""
    height, width, channels = strip.shape
    side = height // rows
    if side * rows != height or width % side:
        raise ValueError(f"expected a strip of {rows} rows of square frames, got {height} x {width}")
    return strip.reshape(rows, side, width // side, side, channels).swapaxes(1, 2)


def save_strip(path: Path, strip: Array) -> None:
    """Write a strip as PNG, as a whole or not at all."""
    write_bytes_atomic(path, png_bytes(strip))


def load_strip(path: Path) -> Array:
    """Read a strip, uint8 (H, W, 3)."""
    from PIL import Image

    with reading(path, "cannot be read as a picture", RunFolderError), Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def png_bytes(image: Array) -> bytes:
    """Encode an image, uint8 (H, W, 3), as PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
