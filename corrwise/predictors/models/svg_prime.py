"""SVG' (Villegas et al., NeurIPS 2019): SVG-LP whose features are maps, with convolutional LSTMs.

Sizes follow a public re-implementation, which calls itself unverified: a shallow VGG down to an eighth of the
resolution and back, 3 x 3 gates over input and state. Geng et al. (CVPR 2022) use a wide one, SVG++ (K = M = 2).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from corrwise.predictors.models.pretrained import Width
from corrwise.predictors.models.stochastic import Recurrent, States, Stochastic, StochasticConfig
from corrwise.validation import validated

__all__ = ["SVGPrime", "SVGPrimeConfig"]


@validated(error=ValueError)
class SVGPrimeConfig(StochasticConfig):
    """How wide the model is; features and latents are the channels of maps.

    The fields are those of ``StochasticConfig``, and the defaults are those of the re-implementation.
    """

    latent: Width = 10


class SVGPrime(Stochastic):
    """SVG-LP with a VGG encoder and decoder, and convolutional LSTMs between them. Image sides are multiples of 8."""

    name, config_type = "svg-prime", SVGPrimeConfig

    def __init__(self, config: SVGPrimeConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.width, 2 * config.width, 4 * config.width]
        self.encoder = _Encoder(config.channels, widths, config.features)
        self.decoder = _Decoder(config.channels, widths, config.features)
        inputs = config.features + config.action_dim + config.latent
        self.predictor = _Predictor(inputs, config.features, config.hidden, config.layers)
        self.prior = _Gaussian(config.features, config.latent, config.hidden)
        self.posterior = _Gaussian(config.features, config.latent, config.hidden)


def _convolutions(first: int, width: int, times: int) -> list[nn.Module]:
    parts: list[nn.Module] = []
    for i in range(times):
        parts += [nn.Conv2d(first if i == 0 else width, width, 3, padding=1), nn.BatchNorm2d(width), nn.LeakyReLU(0.2)]
    return parts


class _Encoder(nn.Module):
    def __init__(self, channels: int, widths: list[int], features: int) -> None:
        super().__init__()
        pairs = zip([channels, *widths], widths, (2, 2, 3), strict=False)
        self.stages = nn.ModuleList(nn.Sequential(*_convolutions(a, b, times)) for a, b, times in pairs)
        self.pool = nn.MaxPool2d(2)
        self.last = nn.Conv2d(widths[-1], features, 3, padding=1)

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        if images.shape[-1] % 8 or images.shape[-2] % 8:
            raise ValueError(f"expected images with sides that are multiples of 8, got {tuple(images.shape[-2:])}")
        skips = []
        for stage in self.stages:
            images = stage(images)
            skips.append(images)
            images = self.pool(images)
        return self.last(images), skips


class _Decoder(nn.Module):
    def __init__(self, channels: int, widths: list[int], features: int) -> None:
        super().__init__()
        self.first = nn.Sequential(*_convolutions(features, widths[-1], 1))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        after = [*widths[-2::-1], widths[0]]
        pairs = zip(widths[::-1], after, (3, 2, 1), strict=True)
        self.stages = nn.ModuleList(nn.Sequential(*_convolutions(2 * a, b, times)) for a, b, times in pairs)
        self.last = nn.Conv2d(widths[0], channels, 3, padding=1)

    def forward(self, features: Tensor, skips: list[Tensor]) -> Tensor:
        hidden = self.first(features)
        for stage, skip in zip(self.stages, skips[::-1], strict=True):
            hidden = stage(torch.cat([self.up(hidden), skip], dim=1))
        return torch.sigmoid(self.last(hidden))


class _ConvLSTM(Recurrent):
    """An embedding and layers of convolutional LSTM cells. The state is h and c of each layer."""

    def __init__(self, inputs: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.hidden, self.states = hidden, 2 * layers
        self.embed = nn.Conv2d(inputs, hidden, 3, padding=1)
        self.gates = nn.ModuleList(nn.Conv2d(2 * hidden, 4 * hidden, 3, padding=1) for _ in range(layers))

    def begin(self, features: Tensor) -> States:
        """Return zeros."""
        return (features.new_zeros(len(features), self.hidden, *features.shape[2:]),) * self.states

    def advance(self, inputs: Tensor, states: States) -> tuple[Tensor, States]:
        """Return the last layer's output and the new state."""
        seen, after = self.embed(inputs), []
        for gates, hidden, cell in zip(self.gates, states[::2], states[1::2], strict=True):
            into, forget, out, candidate = gates(torch.cat([seen, hidden], dim=1)).chunk(4, dim=1)
            kept = torch.sigmoid(forget) * cell + torch.sigmoid(into) * torch.tanh(candidate)
            seen = torch.sigmoid(out) * torch.tanh(kept)
            after += [seen, kept]
        return seen, tuple(after)


class _Predictor(_ConvLSTM):
    def __init__(self, inputs: int, features: int, hidden: int, layers: int) -> None:
        super().__init__(inputs, hidden, layers)
        self.out = nn.Conv2d(hidden, features, 3, padding=1)

    def forward(self, inputs: Tensor, states: States) -> tuple[Tensor, States]:
        hidden, states = self.advance(inputs, states)
        return torch.tanh(self.out(hidden)), states


class _Gaussian(_ConvLSTM):
    def __init__(self, features: int, latent: int, hidden: int) -> None:
        super().__init__(features, hidden, 1)
        self.mean = nn.Conv2d(hidden, latent, 3, padding=1)
        self.log_variance = nn.Conv2d(hidden, latent, 3, padding=1)

    def forward(self, features: Tensor, states: States) -> tuple[tuple[Tensor, Tensor], States]:
        hidden, states = self.advance(features, states)
        return (self.mean(hidden), self.log_variance(hidden)), states
