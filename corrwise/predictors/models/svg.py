"""SVG-LP as published (Denton and Fergus, ICML 2018): features are vectors, and the recurrent parts are LSTMs."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corrwise.predictors.models.stochastic import Recurrent, States, Stochastic, StochasticConfig
from corrwise.validation import Range, validated

__all__ = ["SVG", "SVGConfig"]

_INITIAL_STD = 0.02


@validated(error=ValueError)
class SVGConfig(StochasticConfig):
    """How wide the model is; the defaults are the paper's for BAIR.

    Attributes:
        size: pixels to a side of the images, at least 16. The other fields are those of ``StochasticConfig``.

    Raises:
        ValueError: a number that makes no model.
    """

    size: Annotated[int, Range(16, 8192)] = 64

    def __post_init__(self) -> None:
        if self.size % 2**self.halvings:
            raise ValueError(f"size must be a number that can be halved {self.halvings} times, got {self.size}")

    @property
    def halvings(self) -> int:
        """How often the encoder halves the resolution: down to 4 pixels from 64."""
        return max(0, (self.size // 4).bit_length() - 1)


class SVG(Stochastic):
    """SVG-LP with a DCGAN encoder and decoder, and LSTMs between them."""

    name, config_type = "svg", SVGConfig

    def __init__(self, config: SVGConfig) -> None:
        super().__init__()
        self.config = config
        widths = [min(2**i, 8) * config.width for i in range(config.halvings)]
        kernel = config.size >> config.halvings
        self.encoder = _Encoder(config.size, config.channels, widths, config.features, kernel)
        self.decoder = _Decoder(config.channels, widths, config.features, kernel)
        inputs = config.features + config.action_dim + config.latent
        self.predictor = _Predictor(inputs, config.features, config.hidden, config.layers)
        self.prior = _Gaussian(config.features, config.latent, config.hidden)
        self.posterior = _Gaussian(config.features, config.latent, config.hidden)
        self.apply(_initialised)


class _Encoder(nn.Module):
    def __init__(self, size: int, channels: int, widths: list[int], features: int, kernel: int) -> None:
        super().__init__()
        self._size = size
        pairs = zip([channels, *widths], widths, strict=False)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 4, 2, 1), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)) for a, b in pairs
        )
        self.last = nn.Sequential(nn.Conv2d(widths[-1], features, kernel), nn.BatchNorm2d(features), nn.Tanh())

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        if images.shape[-2:] != (self._size, self._size):
            raise ValueError(f"expected images of {self._size} pixels to a side, got {tuple(images.shape[-2:])}")
        skips = []
        for stage in self.stages:
            images = stage(images)
            skips.append(images)
        return self.last(images).flatten(1), skips


class _Decoder(nn.Module):
    def __init__(self, channels: int, widths: list[int], features: int, kernel: int) -> None:
        super().__init__()
        first = widths[-1]
        self.first = nn.Sequential(
            nn.ConvTranspose2d(features, first, kernel), nn.BatchNorm2d(first), nn.LeakyReLU(0.2)
        )
        pairs = zip(widths[::-1], widths[-2::-1], strict=False)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(2 * a, b, 4, 2, 1), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)) for a, b in pairs
        )
        self.last = nn.ConvTranspose2d(2 * widths[0], channels, 4, 2, 1)

    def forward(self, features: Tensor, skips: list[Tensor]) -> Tensor:
        hidden = self.first(features[..., None, None])
        for stage, skip in zip([*self.stages, self.last], skips[::-1], strict=True):
            hidden = stage(torch.cat([hidden, skip], dim=1))
        return torch.sigmoid(hidden)


class _LSTM(Recurrent):
    """An embedding and layers of LSTM cells. The state is h and c of each layer."""

    def __init__(self, inputs: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.hidden, self.states = hidden, 2 * layers
        self.embed = nn.Linear(inputs, hidden)
        self.cells = nn.ModuleList(nn.LSTMCell(hidden, hidden) for _ in range(layers))

    def begin(self, features: Tensor) -> States:
        """Return zeros."""
        return (features.new_zeros(len(features), self.hidden),) * self.states

    def advance(self, inputs: Tensor, states: States) -> tuple[Tensor, States]:
        """Return the last layer's output and the new state."""
        hidden, after = self.embed(inputs), []
        for cell, h, c in zip(self.cells, states[::2], states[1::2], strict=True):
            hidden, kept = cell(hidden, (h, c))
            after += [hidden, kept]
        return hidden, tuple(after)


class _Predictor(_LSTM):
    def __init__(self, inputs: int, features: int, hidden: int, layers: int) -> None:
        super().__init__(inputs, hidden, layers)
        self.out = nn.Linear(hidden, features)

    def forward(self, inputs: Tensor, states: States) -> tuple[Tensor, States]:
        hidden, states = self.advance(inputs, states)
        return F.tanh(self.out(hidden)), states


class _Gaussian(_LSTM):
    def __init__(self, features: int, latent: int, hidden: int) -> None:
        super().__init__(features, hidden, 1)
        self.mean, self.log_variance = nn.Linear(hidden, latent), nn.Linear(hidden, latent)

    def forward(self, features: Tensor, states: States) -> tuple[tuple[Tensor, Tensor], States]:
        hidden, states = self.advance(features, states)
        return (self.mean(hidden), self.log_variance(hidden)), states


def _initialised(module: nn.Module) -> None:
    """Draw weights as the public code does."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(module.weight, 0.0, _INITIAL_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, _INITIAL_STD)
