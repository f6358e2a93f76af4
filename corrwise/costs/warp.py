"""The backward warp of the paper's Eq. 4."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from corrwise.costs._checks import check_images
from corrwise.costs._precision import in_full_precision

__all__ = ["warp"]

PADDINGS = ("reflection", "border", "zeros")


@in_full_precision  # no half type distinguishes the columns of 256 px
def warp(
    image: Float[Tensor, "B C h w"], flow: Float[Tensor, "B 2 h w"], padding: str = "reflection"
) -> Float[Tensor, "B C h w"]:
    """Sample ``image`` bilinearly at ``p + flow(p)``: the image that ``flow`` carries onto its own grid (Eq. 4).

    Differentiable in the image and in the flow. A pixel whose flow is not finite is NaN: no distance lets it win.

    Args:
        image: what is sampled.
        flow: displacement in pixels, channels (dx, dy); ``flow(target, source)`` carries ``source`` onto ``target``.
        padding: what lies outside: "reflection" (about the centres of the border pixels), "border" or "zeros".

    Raises:
        TypeError: not float tensors.
        ValueError: a flow that does not fit the image, or an unknown padding.
    """
    check_images("image", image)
    check_images("flow", flow)
    if image.ndim != 4 or flow.shape != (image.shape[0], 2, *image.shape[2:]):
        got = f"{tuple(image.shape)} and {tuple(flow.shape)}"
        raise ValueError(f"expected an image (B, C, h, w) and a flow (B, 2, h, w), got {got}")
    if padding not in PADDINGS:
        raise ValueError(f"expected padding to be one of {', '.join(PADDINGS)}, got {padding!r}")
    sampled = F.grid_sample(image, _grid(flow), mode="bilinear", padding_mode=padding, align_corners=True)
    return sampled.masked_fill_(~torch.isfinite(flow[:, :1] + flow[:, 1:]), torch.nan)


def _grid(flow: Tensor) -> Tensor:
    """Turn a flow in pixels into grid_sample's coordinates: -1 and 1 are the centres of the border pixels."""
    height, width = flow.shape[-2:]
    xs = torch.arange(width, device=flow.device, dtype=flow.dtype)
    ys = torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None]
    # An axis of one pixel has no length; any finite coordinate then means that pixel.
    horizontal = (flow[:, 0] + xs) * (2 / max(width - 1, 1)) - 1
    vertical = (flow[:, 1] + ys) * (2 / max(height - 1, 1)) - 1
    return torch.stack((horizontal, vertical), dim=1).permute(0, 2, 3, 1)  # planes, which grid_sample reads as fast
