"""Pixel-wise distances: the base losses that a correspondence-wise distance compares matched pixels with.

Images are RGB floats in [0, 1], of one view or of several stacked along the channels, which all count alike; images
with depth go through ``PerView``, for metres and colours have no common unit. Every function reduces C, h, w and
nothing else, so that candidates can be ranked.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from corrwise.costs._checks import check_colours, check_pair

__all__ = ["l1", "mse", "ssim"]

SSIM_WINDOW = 11


def l1(x: Float[Tensor, "*batch C h w"], y: Float[Tensor, "*batch C h w"]) -> Float[Tensor, "*batch"]:
    """Mean absolute difference, in [0, 1]; half of what the same images give in the paper's [-1, 1] range.

    Raises:
        TypeError, ValueError: not two float images of one shape, or a view with depth.
    """
    check_pair(x, y)
    check_colours(x)
    return _mean((x - y).abs())


def mse(x: Float[Tensor, "*batch C h w"], y: Float[Tensor, "*batch C h w"]) -> Float[Tensor, "*batch"]:
    """Mean squared difference, in [0, 1]; a quarter of what the same images give in the paper's [-1, 1] range.

    Raises:
        TypeError, ValueError: not two float images of one shape, or a view with depth.
    """
    check_pair(x, y)
    check_colours(x)
    return _mean((x - y).square())


def ssim(x: Float[Tensor, "*batch C h w"], y: Float[Tensor, "*batch C h w"]) -> Float[Tensor, "*batch"]:
    """Structural dissimilarity ``(1 - SSIM) / 2``, in [0, 1], zero for equal images.

    SSIM after Wang et al. 2004: Gaussian window of 11 px and sigma 1.5, data range 1, reflected at the border, averaged
    over pixels and channels (kornia's). Other libraries use other windows: never compare values across them.

    Raises:
        TypeError, ValueError: not two float images of one shape, a view with depth, or a side shorter than 6 px (the
            window's reflection).
    """
    from kornia.metrics import ssim as similarity  # takes seconds to import

    check_pair(x, y)
    check_colours(x)
    if min(x.shape[-2:]) <= SSIM_WINDOW // 2:
        raise ValueError(f"expected images of at least {SSIM_WINDOW // 2 + 1} px for SSIM, got {tuple(x.shape[-2:])}")
    maps = similarity(_flat(x), _flat(y), window_size=SSIM_WINDOW, max_val=1.0, eps=0.0)
    return (1 - _mean(maps).reshape(x.shape[:-3])) / 2


def _flat(images: Tensor) -> Tensor:
    return images.reshape(-1, *images.shape[-3:])


def _mean(values: Tensor) -> Tensor:
    # In two steps: torch splits a reduction to a single number over its threads, so a batch of one large image would
    # round differently from the same image within a batch.
    return values.mean(dim=(-2, -1)).mean(dim=-1)
