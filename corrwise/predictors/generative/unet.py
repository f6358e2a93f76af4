"""A small U-Net that reads images and a few numbers, and whose output begins at zero.

Images are cut into patches of 2 x 2 pixels, whose pixels become channels, so that no convolution runs at full
resolution: at equal arithmetic half the resolution has room for twice the channels, and takes less memory. Every
normalisation is that of one pixel over its channels (Karras et al., ICLR 2018), so that a crop of an image gives what
the whole image gives there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["PATCH", "UNet"]

PATCH = 2  # pixels to a side of a patch
_EPSILON = 1e-4  # added to a mean square before its root


class UNet(nn.Module):
    """Maps input images to output images of the same size; numbers scale and shift the channels of each block.

    The first convolution of the inputs that stay the same can be computed once (``entered``) for many calls.

    Args:
        inputs: channels of each group of input images; the groups enter by convolutions of their own, which add up.
        outputs: channels of the output images.
        numbers: how many numbers modulate the blocks.
        widths: channels of each level, at half the resolution, a quarter and so on.
        blocks: residual blocks of each level on the way down; as many are on the way up.
    """

    def __init__(
        self, inputs: Sequence[int], outputs: int, numbers: int, widths: Sequence[int], blocks: int = 1
    ) -> None:
        super().__init__()
        self.widths = tuple(widths)
        area, hidden = PATCH**2, 4 * widths[0]
        self.enter = nn.ModuleList(nn.Conv2d(area * each, widths[0], 3, padding=1) for each in inputs)
        self.numbers = nn.Sequential(nn.Linear(numbers, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(widths))
        self.before = nn.ModuleList(_Blocks(width, width, hidden, blocks) for width in widths)
        self.up = nn.ModuleList(nn.Conv2d(b, a * area, 1) for a, b in pairwise(widths))
        self.after = nn.ModuleList(_Blocks(width, width, hidden, blocks) for width in widths[:-1])
        self.leave = nn.Conv2d(widths[0], area * outputs, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        assert self.leave.bias is not None
        nn.init.zeros_(self.leave.bias)

    @property
    def side(self) -> int:
        """What the sides of images are multiples of."""
        return int(PATCH * 2 ** len(self.down))

    def entered(self, group: int, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        """Return the first features of one group of input images."""
        features: Tensor = self.enter[group](F.pixel_unshuffle(images, PATCH))
        return features

    def forward(self, entered: Float[Tensor, "n d h2 w2"], numbers: Float[Tensor, "n k"]) -> Float[Tensor, "n o h w"]:
        """Return the output images.

        Args:
            entered: the sum of the groups' first features.
            numbers: that modulate the blocks.
        """
        return F.pixel_shuffle(self.leave(self.features(entered, numbers)[-1]), PATCH)

    def features(
        self, entered: Float[Tensor, "n d h2 w2"], numbers: Float[Tensor, "n k"]
    ) -> list[Float[Tensor, "n _ _ _"]]:
        """Return the features of each level on the way up, the coarsest first; the output is made of the last ones."""
        modulation, x, skips = self.numbers(numbers), entered, []
        for level, blocks in enumerate(self.before):
            if level:
                x = self.down[level - 1](x)
            x = blocks(x, modulation)
            skips.append(x)
        features = [skips.pop()]
        for level in reversed(range(len(self.after))):
            x = F.pixel_shuffle(self.up[level](features[-1]), 2)
            features.append(self.after[level](x + skips[level], modulation))
        return features


class _Blocks(nn.ModuleList):
    """Residual blocks in turn."""

    def __init__(self, channels: int, out: int, hidden: int, count: int) -> None:
        super().__init__(_Block(channels if i == 0 else out, out, hidden) for i in range(count))

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        for block in self:
            x = block(x, modulation)
        return x


class _Block(nn.Module):
    """Two convolutions beside the identity, or beside a 1 x 1 convolution where the number of channels changes."""

    def __init__(self, channels: int, out: int, hidden: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(channels, out, 3, padding=1), nn.Conv2d(out, out, 3, padding=1)
        self.beside = nn.Identity() if channels == out else nn.Conv2d(channels, out, 1)
        self.modulate = nn.Linear(hidden, 2 * out)
        nn.init.zeros_(self.second.weight)  # a new block is the identity

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        scale, shift = self.modulate(modulation)[..., None, None].chunk(2, dim=1)
        hidden = self.first(F.silu(_normalised(x)))
        hidden = self.second(F.silu(torch.addcmul(shift, _normalised(hidden), 1 + scale)))
        beside: Tensor = self.beside(x)
        return beside + hidden


def _normalised(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Return channels with a mean square of 1 at each pixel."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + _EPSILON)
