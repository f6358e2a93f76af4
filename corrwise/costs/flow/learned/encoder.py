"""The configuration of a flow net, and what it sees in one image."""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from corrwise.validation import Range, validated

__all__ = ["CELL", "HALF", "Encoder", "FlowNetConfig"]

Size = Annotated[int, Range(1, 8192)]
CELL = 4  # pixels to a side of a token's cell
HALF = 2  # pixels to a side of a fine feature's cell


@validated(error=ValueError)
class FlowNetConfig:
    """How wide and how patient the net is.

    Attributes:
        fine: channels of the features at half resolution, on which pixels are refined.
        coarse: channels of the features at quarter resolution.
        width: channels of the tokens, one for each quarter-resolution cell; a multiple of ``heads``.
        heads: attention heads.
        hidden: channels of the refinement's recurrent state.
        updates: how often the tokens' flow is updated, with the same weights.
        refinements: how often the pixels' flow is refined, with the same weights.

    Raises:
        ValueError: a number that is not whole, from 1 to 8192, or a width that is no multiple
            of ``heads``.
    """

    fine: Size = 24
    coarse: Size = 64
    width: Size = 96
    heads: Size = 4
    hidden: Size = 32
    updates: Size = 3
    refinements: Size = 2

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"width must be a multiple of {self.heads} heads, got {self.width}")


class _Residual(nn.Module):
    """Two 3x3 convolutions beside the identity; the second begins at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(F.relu(x))))


class Encoder(nn.Module):
    """Features of one image at half and at quarter resolution."""

    def __init__(self, config: FlowNetConfig) -> None:
        super().__init__()
        fine, coarse = config.fine, config.coarse
        self.stem = nn.Conv2d(3, fine, 5, stride=2, padding=2)
        self.fine = nn.Sequential(_Residual(fine), _Residual(fine))
        self.down = nn.Conv2d(fine, coarse, 3, stride=2, padding=1)
        self.coarse = nn.Sequential(_Residual(coarse), _Residual(coarse))

    def forward(self, images: Float[Tensor, "B 3 h w"]) -> tuple[Tensor, Tensor]:
        """Return the features of pixels and of cells."""
        fine = self.fine(self.stem(2 * images - 1))
        return fine, self.coarse(self.down(F.relu(fine)))
