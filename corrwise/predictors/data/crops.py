"""Squares around what moves: a small body in a wide picture is most of what there is to learn."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

__all__ = ["moving_crops"]

_STILL = 1e-3  # share of the crops that go anywhere, so that the background is learned, too


def moving_crops(
    frames: UInt8[np.ndarray, "n T h w 3"], side: int, draw: np.random.Generator
) -> UInt8[np.ndarray, "n T side side 3"]:
    """Return a square of each window, all its frames from the same place.

    A pixel is drawn in proportion to how much it changes in the window, then a square that holds it, each one inside
    the picture as likely as another.

    Args:
        frames: windows.
        side: of the squares, in pixels.
        draw: where from.

    Raises:
        ValueError: the squares are larger than the pictures.
    """
    n, _, height, width, _ = frames.shape
    if side > min(height, width):
        raise ValueError(f"expected crops no larger than pictures of {height} x {width}, got {side}")
    found = np.empty((n, frames.shape[1], side, side, 3), dtype=np.uint8)
    for k, window in enumerate(frames):
        change = np.abs(np.diff(window.astype(np.int16), axis=0)).sum(axis=(0, 3)).ravel().astype(float)
        weights = change + _STILL * (change.sum() or 1.0) / change.size
        y, x = divmod(int(draw.choice(weights.size, p=weights / weights.sum())), width)
        top, left = (_start(at, side, whole, draw) for at, whole in ((y, height), (x, width)))
        found[k] = window[:, top : top + side, left : left + side]
    return found


def _start(at: int, side: int, whole: int, draw: np.random.Generator) -> int:
    """Draw where an interval of ``side`` that holds ``at`` begins, inside of ``whole``."""
    return int(draw.integers(max(0, at - side + 1), min(at, whole - side) + 1))
