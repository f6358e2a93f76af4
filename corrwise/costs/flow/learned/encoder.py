"""What a flow net sees in one image."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from corrwise.costs.flow.learned.config import FlowNetConfig

__all__ = ["Encoder"]


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
        fine = self.fine(self.stem(2 * images - 1))
        return fine, self.coarse(self.down(F.relu(fine)))
