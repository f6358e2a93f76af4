"""Shift-tolerant LPIPS (Ghildyal and Liu, ECCV 2022): a learned perceptual distance whose weights a package ships.

``pip install stlpips-pytorch`` (BSD-2) brings both networks, trained from scratch on the BAPPS data set; nothing is
downloaded at run time. Only its files of weights are read: its code is never imported.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from os import PathLike, fspath
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from corrwise.costs._checks import check_images, check_one_view, check_pair
from corrwise.costs._precision import like_weights, ordinary_defaults
from corrwise.costs._weights import fits, read_file

__all__ = ["SHIFT_TOLERANT", "ShiftTolerantFeatures", "ShiftTolerantLPIPS"]

_PACKAGE = "stlpips-pytorch"
_CONV, _RELU, _POOL, _BLUR = "conv", "relu", "pool", "blur"

# The five parts of each trunk; what comes out of a part is compared. Numbers are channels, kernel and padding of a
# convolution, or the kernel of a maximum over neighbours at stride 1, behind which the blur halves the image.
_Layer = tuple[str, tuple[int, ...]]


def _conv(channels: int, kernel: int = 3, padding: int = 1) -> list[_Layer]:
    return [(_CONV, (channels, kernel, padding)), (_RELU, ())]


def _half(kernel: int) -> list[_Layer]:
    return [(_POOL, (kernel,)), (_BLUR, ())]


_PARTS: dict[str, list[list[_Layer]]] = {
    "alex": [
        [(_CONV, (64, 11, 2)), (_BLUR, ()), (_RELU, ())],
        [*_half(3), *_conv(192, 5, 2)],
        [*_half(3), *_conv(384)],
        _conv(256),
        _conv(256),
    ],
    "vgg": [
        [*_conv(64), *_conv(64)],
        [*_half(2), *_conv(128), *_conv(128)],
        [*_half(2), *_conv(256), *_conv(256), *_conv(256)],
        [*_half(2), *_conv(512), *_conv(512), *_conv(512)],
        [*_half(2), *_conv(512), *_conv(512), *_conv(512)],
    ],
}
SHIFT_TOLERANT = {"st-alex": ("alex", 21), "st-vgg": ("vgg", 18)}
"""The trunk of each name, and the least side of an image in pixels."""


class ShiftTolerantFeatures(nn.Module):
    """The trunk of a shift-tolerant LPIPS: AlexNet or VGG-16 with blurs where those have strides.

    Args:
        name: "st-alex" or "st-vgg".
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        trunk, self.smallest = SHIFT_TOLERANT[name]
        channels, number = 3, 0
        for i, part in enumerate(_PARTS[trunk], start=1):
            layers = nn.Sequential()
            for kind, numbers in part:
                layers.add_module(str(number), _layer(kind, numbers, channels))
                channels, number = numbers[0] if kind == _CONV else channels, number + 1
            self.add_module(f"slice{i}", layers)

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> list[Tensor]:
        """Return what comes out of each of the five parts."""
        out, x = [], images
        for part in self.children():
            x = part(x)
            out.append(x)
        return out


class ShiftTolerantLPIPS(nn.Module):
    """The learned distance: squared differences of unit features, weighted by channel; 0 for equal images.

    Images in [0, 1] go in. The weights take no gradient and the module stays in evaluation mode.

    Args:
        network: "st-alex", 2.5 million weights, or "st-vgg", 15 million, which is four times as slow.
        weights: a file in the package's layout; None is that of the installed package.

    Raises:
        FileNotFoundError: the file does not exist.
        RuntimeError: the package is not installed.
        ValueError: an unknown network, or a file that holds another one.
    """

    def __init__(self, network: str = "st-alex", weights: str | PathLike[str] | None = None) -> None:
        super().__init__()
        state = shift_tolerant_state(network, weights)
        with ordinary_defaults():
            self.net = ShiftTolerantFeatures(network)
            self.register_buffer("shift", state["scaling_layer.shift"].clone())
            self.register_buffer("scale", state["scaling_layer.scale"].clone())
            self.heads = nn.ParameterList([state[f"lin{i}.model.1.weight"].clone() for i in range(5)])
        self.net.load_state_dict({name[4:]: value for name, value in state.items() if name.startswith("net.")})
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
        flat = checked(images, self.net.smallest)
        self.to(images.device)
        seen = (2 * like_weights(flat, self.net) - 1 - self.shift) / self.scale
        units = [x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10) for x in self.net(seen)]
        return tuple(x.reshape(*images.shape[:-3], *x.shape[1:]) for x in units)

    def compare(self, first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> Float[Tensor, "*batch"]:
        """Return the distance between two results of ``encode``."""
        parts = [
            ((a - b).square() * head[0]).sum(dim=-3).mean(dim=(-2, -1))
            for head, a, b in zip(self.heads, first, second, strict=True)
        ]
        return torch.stack(parts).sum(dim=0)

    def train(self, mode: bool = True) -> ShiftTolerantLPIPS:
        """Stay in evaluation mode, whatever the training loop around asks for."""
        return super().train(False)


def checked(images: Tensor, smallest: int) -> Float[Tensor, "n 3 h w"]:
    """Return images with their leading axes flattened.

    Raises:
        TypeError, ValueError: not float RGB images of at least so many pixels to a side.
    """
    check_images("images", images)
    check_one_view(images)
    if images.shape[-3] != 3 or min(images.shape[-2:]) < smallest:
        raise ValueError(f"expected RGB images (..., 3, h, w) of at least {smallest} px, got {tuple(images.shape)}")
    return images.reshape(-1, *images.shape[-3:])


def shift_tolerant_state(network: str, weights: str | PathLike[str] | None = None) -> dict[str, Tensor]:
    """Return the weights of a shift-tolerant LPIPS.

    Raises:
        FileNotFoundError, RuntimeError, ValueError: see ``ShiftTolerantLPIPS``.
    """
    if network not in SHIFT_TOLERANT:
        raise ValueError(f"expected network to be one of {', '.join(SHIFT_TOLERANT)}, got {network!r}")
    path = _installed(network) if weights is None else weights
    state = read_file(path)
    with torch.device("meta"):
        trunk = ShiftTolerantFeatures(network).state_dict()
        wanted = {f"net.{name}": value for name, value in trunk.items()}
        taps = [part[-2][1][0] if part[-2][0] == _CONV else 64 for part in _PARTS[SHIFT_TOLERANT[network][0]]]
        wanted |= {f"lin{i}.model.1.weight": torch.empty(1, n, 1, 1, dtype=torch.float32, device="cpu") for i, n in enumerate(taps)}
        wanted |= {f"scaling_layer.{name}": torch.empty(1, 3, 1, 1, dtype=torch.float32, device="cpu") for name in ("shift", "scale")}
    wanted = {name: torch.empty(value.shape, dtype=torch.float32, device="cpu") for name, value in wanted.items()}
    if not wanted.keys() <= state.keys() or not fits(state, wanted):
        raise ValueError(f"expected the weights of {network} in {fspath(path)!r}, got those of another network")
    return {name: state[name] for name in wanted}


def _installed(network: str) -> Path:
    """Return the file of weights in the installed package."""
    name = f"{SHIFT_TOLERANT[network][0]}_shift_tolerant.pth"
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
        taps = torch.tensor([0.25, 0.5, 0.25], dtype=torch.float32)
        self.register_buffer("filt", torch.outer(taps, taps).expand(channels, 1, 3, 3).clone())

    def forward(self, x: Tensor) -> Tensor:
        assert isinstance(self.filt, Tensor)
        return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), self.filt, stride=2, groups=x.shape[1])
