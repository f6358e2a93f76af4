"""Shift-tolerant LPIPS (Ghildyal and Liu, ECCV 2022): a learned perceptual distance whose weights a package ships.

``pip install stlpips-pytorch`` (BSD-2) brings both networks, trained from scratch on the BAPPS data set; nothing is
downloaded at run time. Only its files of weights are read: its code is never imported.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from os import PathLike
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from corrwise.costs._checks import check_colour_images, check_pair
from corrwise.costs._precision import like_weights, ordinary_defaults
from corrwise.costs._weights import fits, read_file
from corrwise.costs.presets import SHIFT_TOLERANT

__all__ = ["ShiftTolerantLPIPS"]

_PACKAGE = "stlpips-pytorch"
_TINY = 1e-20  # added to squared lengths: a feature of zero has a gradient of zero
_CONV, _RELU, _POOL, _BLUR = "conv", "relu", "pool", "blur"

# The five parts of each trunk; what comes out of a part is compared. Numbers are channels, kernel and padding of a
# convolution, or the kernel of a maximum over neighbours at stride 1, behind which the blur halves the image.
_Layer = tuple[str, tuple[int, ...]]


def _conv(channels: int, kernel: int = 3, padding: int = 1) -> list[_Layer]:
    return [(_CONV, (channels, kernel, padding)), (_RELU, ())]


def _half(kernel: int) -> list[_Layer]:
    return [(_POOL, (kernel,)), (_BLUR, ())]


_PARTS: dict[str, list[list[_Layer]]] = {
    "st-alex": [
        [(_CONV, (64, 11, 2)), (_BLUR, ()), (_RELU, ())],
        [*_half(3), *_conv(192, 5, 2)],
        [*_half(3), *_conv(384)],
        _conv(256),
        _conv(256),
    ],
    "st-vgg": [
        [*_conv(64), *_conv(64)],
        [*_half(2), *_conv(128), *_conv(128)],
        [*_half(2), *_conv(256), *_conv(256), *_conv(256)],
        [*_half(2), *_conv(512), *_conv(512), *_conv(512)],
        [*_half(2), *_conv(512), *_conv(512), *_conv(512)],
    ],
}


class ShiftTolerantLPIPS(nn.Module):
    """The learned distance: squared differences of unit features, weighted by channel; 0 for equal images.

    Images in [0, 1] go in. The weights take no gradient and the module stays in evaluation mode.

    Args:
        network: "st-alex", 2.5 million weights, or "st-vgg", 15 million, which takes four times as long.
        weights: a file in the package's layout; None is that of the installed package.

    Raises:
        FileNotFoundError: the file does not exist.
        RuntimeError: the package is not installed.
        ValueError: an unknown network, or a file that holds another one.
    """

    def __init__(self, network: str = "st-alex", weights: str | PathLike[str] | None = None) -> None:
        super().__init__()
        if network not in SHIFT_TOLERANT:
            raise ValueError(f"expected network to be one of {', '.join(SHIFT_TOLERANT)}, got {network!r}")
        self.smallest = SHIFT_TOLERANT[network]
        with ordinary_defaults():
            self.net, channels = _trunk(network)
            self.scaling_layer = _Scaling()
            for i, width in enumerate(channels):
                self.add_module(f"lin{i}", _Head(width))
        state, wanted = read_file(_installed(network) if weights is None else weights), self.state_dict()
        if not wanted.keys() <= state.keys() or not fits(state, wanted):
            raise ValueError(f"expected the weights of {network}, got {len(state)} tensors of another network")
        self.load_state_dict({name: state[name] for name in wanted})
        self.requires_grad_(False)
        self.train(False)

    def forward(self, x: Float[Tensor, "*batch 3 h w"], y: Float[Tensor, "*batch 3 h w"]) -> Float[Tensor, "*batch"]:
        """Return one value per pair of images.

        Raises:
            TypeError, ValueError: not two float RGB images of one shape, or smaller than 21 px (VGG: 18).
        """
        check_pair(x, y)
        return self.compare(self.encode(x), self.encode(y)).to(x.dtype)

    def encode(self, images: Float[Tensor, "*batch 3 h w"]) -> tuple[Tensor, ...]:
        """Return the five features of every image, each (*batch, channels, height, width), of unit length."""
        flat = check_colour_images(images, self.smallest)
        self.to(images.device)
        seen = self.activations(2 * like_weights(flat, self.net) - 1)
        units = [x / (x.square().sum(dim=1, keepdim=True).add(_TINY).sqrt()) for x in seen]
        return tuple(x.reshape(*images.shape[:-3], *x.shape[1:]) for x in units)

    def activations(self, images: Float[Tensor, "n 3 h w"]) -> list[Tensor]:
        """Return what comes out of the five parts of the trunk, for images in [-1, 1]."""
        x, out = self.scaling_layer(images), []
        for part in self.net.children():
            x = part(x)
            out.append(x)
        return out

    def compare(self, first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> Float[Tensor, "*batch"]:
        """Return the distance between two results of ``encode``."""
        heads = [self.get_submodule(f"lin{i}.model.1") for i in range(len(first))]
        parts = [
            (weights[0] * (a - b).square()).sum(dim=-3).mean(dim=(-2, -1))
            for (weights,), a, b in zip((head.parameters() for head in heads), first, second, strict=True)
        ]
        return torch.stack(parts).sum(dim=0)

    def train(self, mode: bool = True) -> ShiftTolerantLPIPS:
        """Stay in evaluation mode, whatever the training loop around asks for."""
        return super().train(False)


def _trunk(network: str) -> tuple[nn.Module, list[int]]:
    """Return the five parts of a trunk, and the channels that come out of each; names are those of the file."""
    trunk, out, channels, number = nn.Module(), [], 3, 0
    for i, part in enumerate(_PARTS[network], start=1):
        layers = nn.Sequential()
        for kind, numbers in part:
            layers.add_module(str(number), _layer(kind, numbers, channels))
            channels, number = numbers[0] if kind == _CONV else channels, number + 1
        trunk.add_module(f"slice{i}", layers)
        out.append(channels)
    return trunk, out


def _installed(network: str) -> Path:
    """Return the file of weights in the installed package."""
    name = f"{network.removeprefix('st-')}_shift_tolerant.pth"
    try:
        there = [file for file in files(_PACKAGE) or () if file.name == name]
    except PackageNotFoundError:
        there = []
    if not there:
        raise RuntimeError(f"{network} needs the weights of {_PACKAGE}: pip install {_PACKAGE} (64 MB)")
    return Path(str(there[0].locate()))


def _layer(kind: str, numbers: tuple[int, ...], channels: int) -> nn.Module:
    if kind == _CONV:
        return nn.Conv2d(channels, numbers[0], numbers[1], padding=numbers[2])
    if kind == _POOL:
        return nn.MaxPool2d(numbers[0], stride=1)
    return nn.ReLU() if kind == _RELU else _Blur(channels)


class _Blur(nn.Module):
    """Half of the image's size by a binomial filter of 3 taps, reflected by 2 pixels at the border."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.filt: Tensor
        self.register_buffer("filt", torch.zeros(channels, 1, 3, 3, dtype=torch.float32, device="cpu"))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), self.filt, stride=2, groups=x.shape[1])


class _Scaling(nn.Module):
    """The mean and the standard deviation of colours in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.shift: Tensor
        self.scale: Tensor
        for name in ("shift", "scale"):
            self.register_buffer(name, torch.zeros(1, 3, 1, 1, dtype=torch.float32, device="cpu"))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.shift) / self.scale


class _Head(nn.Module):
    """The weight of each channel, under the name that it has in the package's file."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Identity(), nn.Conv2d(channels, 1, 1, bias=False))
