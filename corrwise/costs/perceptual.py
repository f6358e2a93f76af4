"""The perceptual distance of the paper: L1 between the activations of a classifier, VGG-19."""

from __future__ import annotations

from os import PathLike

import torch
from jaxtyping import Float
from torch import Tensor, nn

from corrwise.costs._checks import check_colour_images, check_pair
from corrwise.costs._precision import like_weights, ordinary_defaults
from corrwise.costs._weights import fits, load_weights
from corrwise.costs.presets import SHIFT_TOLERANT
from corrwise.costs.st_lpips import ShiftTolerantLPIPS

__all__ = ["Perceptual"]

# VGG-19 up to relu5_1: channels of each convolution, "M" halves the image. Layer numbers agree with torchvision's.
LAYERS = (64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512)
TAPS = {1: 1 / 32, 6: 1 / 16, 11: 1 / 8, 20: 1 / 4, 29: 1.0}  # relu1_1, relu2_1, relu3_1, relu4_1, relu5_1
SMALLEST = 16  # four halvings leave one pixel


class Perceptual(nn.Module):
    """L1 between VGG-19 activations at relu1_1 ... relu5_1, weighted 1/32, 1/16, 1/8, 1/4, 1 (the paper's L_p).

    Images in [0, 1] go in; the network sees them in [-1, 1] and, as in the paper's code, without ImageNet's mean and
    standard deviation. The weights take no gradient and the module stays in evaluation mode.

    Weights named "st-vgg" or "st-alex" are those of ``ShiftTolerantLPIPS``, which an installed package ships: the
    activations are then the five of its VGG-16 or AlexNet, which sees images as it was trained to, and weigh alike.

    Args:
        weights: a torchvision name ("IMAGENET1K_V1" or "VGG19_Weights.IMAGENET1K_V1"; downloaded on first use), a local
            file with a VGG-19 state dict, "st-vgg" or "st-alex", or None for random weights (tests only).

    Raises:
        FileNotFoundError: the weights file does not exist.
        ValueError: an unknown name, or a file that holds another network.
        RuntimeError: the download failed, or the package is not installed.
    """

    def __init__(self, weights: str | PathLike[str] | None = "IMAGENET1K_V1") -> None:
        super().__init__()
        self.features: nn.Sequential | ShiftTolerantLPIPS
        if isinstance(weights, str) and weights in SHIFT_TOLERANT:
            self.features, self.smallest = ShiftTolerantLPIPS(weights), SHIFT_TOLERANT[weights]
            return
        self.smallest = SMALLEST
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
        flat = check_colour_images(images, self.smallest)
        self.features.to(images.device)
        activation = 2 * like_weights(flat, self.features) - 1
        taps = self.features.activations(activation) if isinstance(self.features, ShiftTolerantLPIPS) else []
        for index, layer in enumerate(self.features if isinstance(self.features, nn.Sequential) else ()):
            activation = layer(activation)
            if index in TAPS:
                taps.append(activation)
        return tuple(each.reshape(*images.shape[:-3], *each.shape[-3:]) for each in taps)

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
