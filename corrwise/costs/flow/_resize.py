"""Images of any size for networks that want a least size and a multiple of their stride, and their flow back."""

from __future__ import annotations

from math import ceil

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

__all__ = ["resized", "restored", "working_size"]


def working_size(height: int, width: int, *, least: int, stride: int) -> tuple[int, int]:
    """Return the size as many whole times larger as ``least`` px to a side need, then up to multiples of ``stride``."""
    factor = max(1, ceil(least / min(height, width)))
    return ceil(height * factor / stride) * stride, ceil(width * factor / stride) * stride


def resized(images: Float[Tensor, "B C h w"], size: tuple[int, int]) -> Float[Tensor, "B C H W"]:
    """Return the images at another size, bilinearly."""
    if tuple(images.shape[-2:]) == size:
        return images
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False)


def restored(flow: Float[Tensor, "B 2 H W"], size: tuple[int, int]) -> Float[Tensor, "B 2 h w"]:
    """Return the flow of resized images at their first size and in its pixels."""
    height, width = flow.shape[-2:]
    if (height, width) == size:
        return flow
    scale = flow.new_tensor([size[1] / width, size[0] / height])[:, None, None]
    return scale * resized(flow, size)
