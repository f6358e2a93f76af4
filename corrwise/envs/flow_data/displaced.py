"""A body that moves aside over its background: the images behind a curve of loss against offset."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["displaced", "true_fields"]


def displaced(
    images: Float[Tensor, "m 3 h w"], background: Float[Tensor, "3 h w"], *, n: int, reach: int
) -> tuple[Float[Tensor, "n d 3 h w"], Bool[Tensor, "n d h w"]]:
    """Return the first n images whose body stays whole while it moves ``reach`` pixels, and the masks of the body.

    The body is cut out and pasted onto the empty background at offsets of 0, 1 .. reach pixels to the right (as the
    car of Geng et al., CVPR 2022, Fig. 2b).

    Raises:
        ValueError: no body is narrow enough.
    """
    body = (images != background).any(dim=1)
    columns = body.any(dim=1)
    width = images.shape[-1]
    left = columns.int().argmax(dim=1)
    wide = width - columns.flip(1).int().argmax(dim=1) - left
    fits = torch.nonzero((wide <= width - reach) & columns.any(dim=1))[:n, 0].tolist()
    if not fits:
        raise ValueError(f"expected a reach that leaves space for the body, at most {width - int(wide.min())} pixels, "
                         f"got {reach}")  # fmt: skip
    starts = [int((width - reach - wide[i]) // 2 - left[i]) for i in fits]
    shifts = [(i, start + d) for i, start in zip(fits, starts, strict=True) for d in range(reach + 1)]
    masks = torch.stack([body[i].roll(shift, 1) for i, shift in shifts])
    moved = torch.stack([images[i].roll(shift, 2) for i, shift in shifts])
    pasted = torch.where(masks[:, None], moved, background)
    return pasted.unflatten(0, (len(fits), -1)), masks.unflatten(0, (len(fits), -1))


def true_fields(masks: Bool[Tensor, "n d h w"]) -> tuple[Float[Tensor, "p 2 h w"], Float[Tensor, "p 2 h w"]]:
    """Return the ground-truth flow from offset 0 to each offset, and back, of ``displaced``; p = n * d pairs."""
    offsets = torch.arange(masks.shape[1], dtype=torch.float32, device=masks.device)[None, :, None, None]
    forward, backward = masks[:, :1] * offsets, -(masks * offsets)
    return tuple(torch.stack((dx, torch.zeros_like(dx)), dim=2).flatten(0, 1) for dx in (forward, backward))  # type: ignore[return-value]
