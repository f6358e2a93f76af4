"""Optical flow as colour: hue is the direction, saturation the length."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def flow_to_rgb(flow: Array, *, max_px: float | int | None = None) -> Array:
    """Return the colours of a flow field (2, h, w) in pixels, channels (dx, dy), as uint8 (h, w, 3).

    Right is red, down is yellow-green, left is cyan, up is violet. No motion is white. A vector that is not finite is
    grey.

    Args:
        flow: the field.
        max_px: length in pixels of the full colour; None takes the longest vector of this field.

    Raises:
        ValueError: a flow of another shape.
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
