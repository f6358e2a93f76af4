"""The border between uint8 H x W x 3 pictures and float channels-first images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from corrwise.envs.arrays import to_numpy


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
