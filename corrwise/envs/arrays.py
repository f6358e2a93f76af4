"""Convert images and arrays at the border to other libraries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from corrwise.types import COLOURS, channel_axis

__all__ = ["beside", "from_metres", "from_uint8", "row_of", "to_metres", "to_numpy", "to_uint8"]


def to_numpy(values: Any) -> np.ndarray:
    """Return tensors on any device, lists of tensors or numbers as a NumPy array."""
    if isinstance(values, torch.Tensor):
        return values.detach().cpu().numpy()
    if isinstance(values, (list, tuple)):
        return np.asarray([to_numpy(each) for each in values])  # tensors of another device cannot be stacked by NumPy
    return np.asarray(values)


def row_of(values: Any, row: int) -> Any:
    """Return one copy's part of what a vector environment holds.

    ``values`` is an array over the copies, a sequence with an entry for each (None where there is none), or a mapping
    of these.
    """
    if isinstance(values, Mapping):
        return {name: row_of(part, row) for name, part in values.items()}
    return values[row]


def to_uint8(image: Float[torch.Tensor, "*batch C h w"]) -> np.ndarray:
    """Return images in [0, 1] as uint8, channels last."""
    return (image.movedim(-3, -1).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def from_uint8(image: Any) -> Float[torch.Tensor, "*batch C h w"]:
    """Return uint8 images of V views, channels last or first, as float32 in [0, 1].

    Raises:
        ValueError: if the array is not uint8 or has no axis of 3V channels where one is expected (``channel_axis``).
    """
    array = to_numpy(image)
    axis = channel_axis(array.shape)
    if array.dtype != np.uint8 or axis is None:
        raise ValueError(f"expected uint8 images (..., H, W, 3V) or (..., 3V, H, W), got {array.dtype} {array.shape}")
    tensor = torch.from_numpy(np.ascontiguousarray(array)).float() / 255.0
    return tensor.movedim(-1, -3) if axis == -1 else tensor


def to_metres(depth: Float[torch.Tensor, "*batch V h w"]) -> np.ndarray:
    """Return the depths of V views as float32 metres, channels last."""
    return np.ascontiguousarray(depth.movedim(-3, -1).float().cpu().numpy())


def from_metres(depth: Any) -> Float[torch.Tensor, "*batch V h w"]:
    """Return depths in metres, channels last, as a float32 tensor, channels first.

    Raises:
        ValueError: if the array is not floating point, or has no axes (H, W, V).
    """
    array = to_numpy(depth)
    if not np.issubdtype(array.dtype, np.floating) or array.ndim < 3:
        raise ValueError(f"expected depths in metres (..., H, W, V), got {array.dtype} {array.shape}")
    return torch.from_numpy(np.ascontiguousarray(array)).float().movedim(-1, -3)


def beside(images: np.ndarray) -> np.ndarray:
    """Return uint8 images (..., H, W, 3V) with their views side by side, (..., H, V W, 3)."""
    views = images.shape[-1] // COLOURS
    return images if views == 1 else np.concatenate(np.split(images, views, axis=-1), axis=-2)


def depth_to_grey(metres: Float[np.ndarray, "B h w"]) -> np.ndarray:
    """Return depths as grey images uint8 (B, h, w, 3): near bright, by their inverses, each in its own range.

    What has no depth is black. The inverses keep what moves apart, tens of metres before a simulator's far plane.
    """
    known = (metres > 0) & np.isfinite(metres)
    inverse = np.where(known, 1 / np.where(known, metres, 1.0), 0.0)
    low = np.where(known, inverse, np.inf).min(axis=(1, 2), keepdims=True)
    span = np.maximum(inverse.max(axis=(1, 2), keepdims=True) - low, 1e-9)
    grey = np.where(known, (inverse - low) / span, 0.0).clip(0, 1)
    return np.repeat(np.rint(255 * grey).astype(np.uint8)[..., None], 3, axis=-1)
