"""The border to images and arrays of other libraries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

__all__ = ["row_of", "to_numpy"]


def to_numpy(values: Any) -> np.ndarray:
    """Return what an environment handed out as an array of NumPy: tensors on any device, lists of them, numbers."""
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


def to_uint8(image: Float[torch.Tensor, "*batch 3 h w"]) -> np.ndarray:
    """Return images in [0, 1] as uint8, channels last."""
    return (image.movedim(-3, -1).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def from_uint8(picture: Any) -> Float[torch.Tensor, "*batch 3 h w"]:
    """Return uint8 pictures, channels last or first, as float32 images in [0, 1].

    Raises:
        ValueError: if the array is not uint8 or has no axis of three channels where one is expected.
    """
    array = to_numpy(picture)
    last = array.ndim >= 3 and array.shape[-1] == 3
    if array.dtype != np.uint8 or array.ndim < 3 or not (last or array.shape[-3] == 3):
        raise ValueError(f"expected uint8 pictures (..., H, W, 3) or (..., 3, H, W), got {array.dtype} {array.shape}")
    tensor = torch.from_numpy(np.ascontiguousarray(array)).float() / 255.0
    return tensor.movedim(-1, -3) if last else tensor
