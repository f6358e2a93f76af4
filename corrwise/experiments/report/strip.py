"""The images of an episode in one PNG: a row for each panel, a column per control step; and optical flow as colour."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from corrwise._files import reading
from corrwise._writing import RunFolderError, write_bytes_atomic

__all__ = ["ROWS", "flow_to_rgb", "flow_wheel", "load_strip", "make_strip", "png_bytes", "save_strip", "split_strip"]

Array = np.ndarray


def flow_to_rgb(flow: Array, *, max_px: float | int | None = None) -> Array:
    """Paint a flow field (2, h, w) in pixels, channels (dx, dy), as uint8 (h, w, 3).

    Right is red, down is yellow-green, left is cyan, up is violet; no motion is white, ``max_px`` or more the full
    colour. Give ``max_px`` to compare frames; None takes the longest vector of this field. A vector that is not finite
    is painted grey.
    """
    flow = np.asarray(flow, dtype=np.float64)
    if flow.ndim != 3 or flow.shape[0] != 2:
        raise ValueError(f"expected a flow of shape (2, h, w), got {flow.shape}")
    known = np.isfinite(flow).all(axis=0)
    dx, dy = np.where(known, flow, 0.0)
    length = np.hypot(dx, dy)
    longest = float(length.max(initial=0.0)) if max_px is None else float(max_px)
    strength = np.clip(length / longest, 0.0, 1.0) if longest > 0 else np.zeros_like(length)
    hue = np.arctan2(dy, dx) / (2 * np.pi) % 1.0
    rgb = _wheel_color(hue, strength)
    rgb[~known] = 0.5
    return (rgb * 255).round().astype(np.uint8)


def flow_wheel(size: int = 64) -> Array:
    """Return the legend, uint8 (size, size, 3): each point of the disc shows the colour of the arrow leading to it."""
    axis = np.linspace(-1, 1, size)
    dx, dy = np.meshgrid(axis, axis)
    outside = np.hypot(dx, dy) > 1
    return np.where(outside[..., None], np.uint8(255), flow_to_rgb(np.stack([dx, dy]), max_px=1.0))


def _wheel_color(hue: Array, strength: Array) -> Array:
    """Return RGB in [0, 1]: saturation follows the strength, and value falls a little so that yellow shows on white."""
    sector = hue[..., None] * 6 + np.array([5.0, 3.0, 1.0])
    wave = np.clip(np.minimum(sector % 6, 4 - sector % 6), 0.0, 1.0)  # 0 where the channel is on, 1 where it is off
    value = (1 - 0.12 * strength)[..., None]
    return value * (1 - strength[..., None] * wave)


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
