"""Trunks of the motion discriminator: from maps of motion to tokens at several depths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import pi
from typing import Any, Literal, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

__all__ = ["Mixing", "Place", "TokenTrunk", "Trunk", "recomputed"]

_OCTAVES = 4  # wavelengths of a place, from two sides of the image downwards, each half of the one before
_PERIODS = (4, 8, 16, 32, 64)  # of a frame's time, in frames

Mixing = Literal["transformer", "conv"]


@runtime_checkable
class Trunk(Protocol):
    """What reads the maps; a module, so that its weights learn."""

    @property
    def widths(self) -> Sequence[int]:
        """Features of a token at each depth."""
        ...

    def __call__(self, maps: Float[Tensor, "n T 3 h w"]) -> tuple[Float[Tensor, "n _ _"], ...]:
        """Return the tokens (n, L, d) of each depth; their number L may differ between depths."""
        ...


class TokenTrunk(nn.Module):
    """Cuts each map into patches, which exchange information over space and time in residual blocks.

    A patch also covers the maps beside its own, as far as there are some, so a token has the change of its motion from
    the start.

    In a ``transformer`` every token attends to those of all maps: one block compares a body with itself in every other
    map, however far it moved, where attention along one axis at a time needs two. Its share of the arithmetic is below
    a quarter up to twice ``width`` tokens, and a third for 12 maps of 32 px with the defaults. ``conv`` is the same
    network with a convolution of 3 x 3 x 3 tokens, channel by channel, in place of attention. Places and times enter as
    waves, so a network takes clips of any number of maps and of any size in whole patches.

    Args:
        width: features of a token.
        blocks: how many there are.
        taps: after which blocks tokens are returned, counted from 1.
        patch: side of a patch, in pixels.
        span: maps that a patch covers, an odd number.
        heads: of the attention.
        mixing: how tokens exchange information.
        recompute: store only the tokens between blocks, and compute the rest again in the backward pass.
    """

    def __init__(
        self,
        width: int,
        blocks: int,
        taps: Sequence[int],
        *,
        patch: int,
        span: int,
        heads: int,
        mixing: Mixing = "transformer",
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.patch, self.span, self.taps, self.recompute = patch, span, tuple(taps), recompute
        self.widths = (width,) * len(self.taps)
        self.enter = nn.Linear(3 * span * patch**2, width)
        self.place = Place(width)
        mixers = (_Attention(width, heads) if mixing == "transformer" else _Near(width) for _ in range(blocks))
        self.blocks = nn.ModuleList(_Block(width, mixer) for mixer in mixers)

    def forward(self, maps: Float[Tensor, "n T 3 h w"]) -> tuple[Float[Tensor, "n _ _"], ...]:
        """Return the tokens after each of the ``taps``.

        Raises:
            ValueError: sides that are no multiples of the patch.
        """
        height, width = maps.shape[-2:]
        if height % self.patch or width % self.patch:
            raise ValueError(f"expected maps with sides that are multiples of {self.patch}, got {(height, width)}")
        patches = F.pixel_unshuffle(maps.flatten(0, 1), self.patch).unflatten(0, maps.shape[:2]).movedim(2, -1)
        times = torch.arange(maps.shape[1], dtype=torch.int64, device=maps.device)
        around = [(times + k).clamp(0, len(times) - 1) for k in range(-(self.span // 2), self.span // 2 + 1)]
        x = self.enter(torch.cat([patches[:, each] for each in around], dim=-1)) + self.place(patches)
        tapped = []
        for number, block in enumerate(self.blocks, 1):
            x = recomputed(block, x) if self.recompute else block(x)
            if number in self.taps:
                tapped.append(x.flatten(1, 3))
        return tuple(tapped)


class Place(nn.Module):
    """Features of a token's place and time: a linear map of waves over the image and over the frames.

    A place counts in shorter sides of the image from its middle, so that it has the same features at every size; a time
    counts in frames.

    Args:
        width: number of features.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(2 * (2 * _OCTAVES + len(_PERIODS)), width, bias=False)

    def forward(self, grid: Float[Tensor, "n T rows columns d"]) -> Float[Tensor, "T rows columns width"]:
        """Return the features of each cell of a grid."""
        _, times, rows, columns, _ = grid.shape
        plain: dict[str, Any] = {"dtype": torch.float32, "device": grid.device}
        octaves = [pi * 2**k for k in range(_OCTAVES)]
        angles = [_outer(torch.arange(times, **plain), [2 * pi / period for period in _PERIODS])]
        for side in (rows, columns):
            angles.append(_outer((torch.arange(side, **plain) - (side - 1) / 2) / min(rows, columns), octaves))
        waves = [torch.cat([each.sin(), each.cos()], dim=-1).to(self.project.weight) for each in angles]
        time, row, column = waves
        shape = (times, rows, columns, -1)
        spread = (time[:, None, None].expand(shape), row[:, None].expand(shape), column.expand(shape))
        features: Tensor = self.project(torch.cat(spread, dim=-1))
        return features


class _Block(nn.Module):
    """Exchange between tokens, then a network on each token, both beside the identity."""

    def __init__(self, width: int, mixer: nn.Module) -> None:
        super().__init__()
        self.mix = nn.Sequential(nn.LayerNorm(width), mixer)
        hidden = 4 * width
        self.each = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Float[Tensor, "n T rows columns d"]) -> Float[Tensor, "n T rows columns d"]:
        x = x + self.mix(x)
        out: Tensor = x + self.each(x)
        return out


class _Attention(nn.Module):
    """Every token attends to all tokens of its clip."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.enter, self.leave = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "n T rows columns d"]) -> Float[Tensor, "n T rows columns d"]:
        flat = x.flatten(1, 3)
        parts = self.enter(flat).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
        out: Tensor = self.leave(mixed).reshape(x.shape)
        return out


class _Near(nn.Module):
    """Every channel of a token sees that of its neighbours in space and time; then the channels mix."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.near = nn.Conv3d(width, width, 3, padding=1, groups=width)
        self.leave = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "n T rows columns d"]) -> Float[Tensor, "n T rows columns d"]:
        out: Tensor = self.leave(F.gelu(self.near(x.movedim(-1, 1))).movedim(1, -1))
        return out


def recomputed(part: Callable[..., Any], *inputs: Tensor) -> Any:
    """Return a part's output; what it computes on the way is not stored, but computed again for its gradient."""
    return checkpoint(part, *inputs, use_reentrant=False) if torch.is_grad_enabled() else part(*inputs)


def _outer(values: Tensor, factors: Sequence[float]) -> Float[Tensor, "n k"]:
    return torch.stack([values * factor for factor in factors], dim=-1)
