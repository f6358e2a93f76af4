"""The perceptual distance of the paper: L1 between the activations of a classifier, VGG-19."""

from __future__ import annotations

from os import PathLike

import torch
from jaxtyping import Float
from torch import Tensor, nn

from corrwise.costs._checks import check_images, check_one_view, check_pair
from corrwise.costs._precision import like_weights, ordinary_defaults
from corrwise.costs._weights import fits, load_weights

__all__ = ["Perceptual"]

# VGG-19 up to relu5_1: channels of each convolution, "M" halves the image. Layer numbers agree with torchvision's.
LAYERS = (64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512)
TAPS = {1: 1 / 32, 6: 1 / 16, 11: 1 / 8, 20: 1 / 4, 29: 1.0}  # relu1_1, relu2_1, relu3_1, relu4_1, relu5_1
SMALLEST = 16  # four halvings leave one pixel


class Perceptual(nn.Module):
    """L1 between VGG-19 activations at relu1_1 ... relu5_1, weighted 1/32, 1/16, 1/8, 1/4, 1 (the paper's L_p).

    Images in [0, 1] go in; the network sees them in [-1, 1] and, as in the paper's code, without ImageNet's mean and
    standard deviation. The weights take no gradient and the module stays in evaluation mode.

    Args:
        weights: a torchvision name ("IMAGENET1K_V1" or "VGG19_Weights.IMAGENET1K_V1"; downloaded on first use), a local
            file with a VGG-19 state dict, or None for random weights (tests only).

    Raises:
        FileNotFoundError: the weights file does not exist.
        ValueError: an unknown name, or a file that holds another network.
        RuntimeError: the download failed.
    """

    def __init__(self, weights: str | PathLike[str] | None = "IMAGENET1K_V1") -> None:
        super().__init__()
        with ordinary_defaults():
            self.features = _layers()
        if weights is not None:
            state = load_weights(weights, "VGG19_Weights")
            wanted = self.features.state_dict()
            loaded = {name: state[key] for name in wanted for key in (f"features.{name}", name) if key in state}
            if loaded.keys() != wanted.keys() or not fits(loaded, wanted):
                raise ValueError(f"expected the weights of a VGG-19, got {len(state)} tensors of another network")
            self.features.load_state_dict(loaded)
        self.requires_grad_(False)
        self.train(False)

    def forward(self, x: Float[Tensor, "*batch 3 h w"], y: Float[Tensor, "*batch 3 h w"]) -> Float[Tensor, "*batch"]:
        """Return one value per pair of images.

        Raises:
            TypeError, ValueError: not two float RGB images of one shape, or smaller than 16 px.
        """
        check_pair(x, y)
        return self.compare(self.encode(x), self.encode(y)).to(x.dtype)

    def encode(self, images: Float[Tensor, "*batch 3 h w"]) -> tuple[Tensor, ...]:
        """Return the five activations of every image, each (*batch, channels, height, width)."""
        check_images("images", images)
        check_one_view(images)
        if images.shape[-3] != 3 or min(images.shape[-2:]) < SMALLEST:
            raise ValueError(f"expected RGB images (..., 3, h, w) of at least {SMALLEST} px, got {tuple(images.shape)}")
        self.features.to(images.device)
        activation = 2 * like_weights(images.reshape(-1, *images.shape[-3:]), self.features) - 1
        taps = []
        for index, layer in enumerate(self.features):
            activation = layer(activation)
            if index in TAPS:
                taps.append(activation.reshape(*images.shape[:-3], *activation.shape[-3:]))
        return tuple(taps)

    def compare(self, first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> Float[Tensor, "*batch"]:
        """Return the weighted L1 between two results of ``encode``."""
        parts = [
            weight * (a - b).abs().mean(dim=(-2, -1)).mean(dim=-1)
            for weight, a, b in zip(TAPS.values(), first, second, strict=True)
        ]
        return torch.stack(parts).sum(dim=0)

    def train(self, mode: bool = True) -> Perceptual:
        """Stay in evaluation mode, whatever the training loop around asks for."""
        return super().train(False)


def _layers() -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for item in LAYERS:
        if isinstance(item, str):
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(channels, item, 3, padding=1), nn.ReLU()]
            channels = item
    return nn.Sequential(*layers)
