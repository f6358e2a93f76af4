"""What is not motion: two pictures brought to one brightness and colour, and how noisy their difference is then."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["alike", "noise"]

LEVELS = 255
SAMPLES = 32  # to a side are enough to tell brightness and contrast
TOLERANCES = (64, 32, 16, 12, 12)  # levels; how far apart pixels that show the same may be, round by round
SAME = 0.5  # share of the pixels that must agree: the scene is mostly still, or nothing can be said
GAIN = 2.0  # contrasts further apart than this are not one scene's
NOISE = 4.0  # times the median difference; above it, a difference is motion


def alike(x: Float[Tensor, "B C h w"], y: Float[Tensor, "B C h w"]) -> tuple[Tensor, Tensor]:
    """Return both images, in whole 8-bit levels over 255, with each channel's mean and contrast halfway between them.

    Mean and contrast are those of the pixels in which the images agree, found in a few rounds; so the moving body does
    not take part. Where fewer than half of the pixels agree the images only are rounded. All sums are of integers in
    float64, and so are the same to the bit whatever is beside a pair; swapped images give swapped results.
    """
    first, second = (LEVELS * x).round(), (LEVELS * y).round()
    step = max(1, min(x.shape[2:]) // SAMPLES)
    few_first, few_second = (levels[..., ::step, ::step].double() for levels in (first, second))
    near, far = few_first, few_second
    for tolerance in TOLERANCES:
        agree = ((near - far).abs() <= tolerance).all(dim=1, keepdim=True).double()
        one, other = _lines(few_first, few_second, agree)
        near, far = one.of(few_first), other.of(few_second)
    return one.of(first).round_().div_(LEVELS), other.of(second).round_().div_(LEVELS)


def noise(x: Float[Tensor, "B C h w"], y: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 1 1 1"]:
    """Return the difference of a channel, in intensity, above which it is not noise: 0 where most pixels are equal."""
    largest = (x - y).abs().amax(dim=1).flatten(1)
    middle = largest.median(dim=1).values if largest.numel() else largest.new_zeros(len(largest))
    return NOISE * middle[:, None, None, None]


@dataclass(frozen=True)
class _Line:
    """``gain * (level - start) + end``, one of each a channel, (B, C, 1, 1)."""

    gain: Tensor
    start: Tensor
    end: Tensor

    def of(self, levels: Tensor) -> Tensor:
        moved = levels - self.start.to(levels.dtype)
        return moved * self.gain.to(levels.dtype) + self.end.to(levels.dtype)


def _lines(first: Tensor, second: Tensor, agree: Tensor) -> tuple[_Line, _Line]:
    """Return what takes the agreeing pixels' mean and contrast of either image halfway to the other's."""
    count = agree.sum(dim=(2, 3), keepdim=True)
    (mean_a, var_a), (mean_b, var_b) = (_moments(image, agree, count) for image in (first, second))
    # One level added: a plain picture has no contrast. Two divisions: swapped images give swapped results to the bit.
    up, down = ((var_b + 1) / (var_a + 1)).sqrt(), ((var_a + 1) / (var_b + 1)).sqrt()
    sane = (count >= SAME * first.shape[2] * first.shape[3]) & (up < GAIN) & (down < GAIN)
    middle = (mean_a + mean_b) / 2
    end = torch.where(sane, middle, 0.0)
    one = _Line(torch.where(sane, up.sqrt(), 1.0), torch.where(sane, mean_a, 0.0), end)
    return one, _Line(torch.where(sane, down.sqrt(), 1.0), torch.where(sane, mean_b, 0.0), end)


def _moments(image: Tensor, agree: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    total = (image * agree).sum(dim=(2, 3), keepdim=True)
    squares = (image.square() * agree).sum(dim=(2, 3), keepdim=True)
    mean = total / count.clamp_min(1)
    return mean, (squares / count.clamp_min(1) - mean.square()).clamp_min(0)
