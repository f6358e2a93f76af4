"""Noise carriers: how the noise of a video's first frame becomes the noise of each later frame.

Each class states in its attributes what it keeps. Those that do not keep it are baselines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from corrwise.predictors.restoration.gaussian_process import (
    GaussianProcess,
    GaussianProcessConfig,
    sample_gaussian_process,
)
from corrwise.predictors.restoration.maps import FrameMap, corners
from corrwise.registry import CARRIER_PATHS, Registry

__all__ = [
    "CARRIERS",
    "BilinearNoise",
    "CarriedNoise",
    "DiscreteNoise",
    "FixedNoise",
    "FunctionNoise",
    "NearestNoise",
    "NoiseCarrier",
    "ResampledNoise",
    "carried_noise",
    "make_carrier",
]

CARRIERS: Registry[Any] = Registry(CARRIER_PATHS)


@dataclass(frozen=True)
class CarriedNoise:
    """The noise of one frame, and what the next frame's is made of.

    Attributes:
        values: of each pixel; a sampler starts from them.
        function: the function on the plane whose values they are; None for noise that is known at pixels alone.
    """

    values: Float[Tensor, "C h w"]
    function: GaussianProcess | None = None


@runtime_checkable
class NoiseCarrier(Protocol):
    """Makes the noise of each frame of a video; ``corrwise.testing.check_noise_carrier`` checks one.

    All random numbers come from the generator, which is on the CPU.
    """

    @property
    def config(self) -> GaussianProcessConfig | None:
        """The kernel of the noise; None for white noise. An image model is trained with the same."""
        ...

    @property
    def follows(self) -> bool:
        """Whether noise moves with the scene: exactly, where it moves by whole pixels."""
        ...

    @property
    def keeps_law(self) -> bool:
        """Whether the noise of each frame has the law of the first frame's, as an image model expects."""
        ...

    def start(self, first: FrameMap, channels: int, generator: Generator) -> CarriedNoise:
        """Return the noise of the first frame; its map states the size and the device."""
        ...

    def carry(self, noise: CarriedNoise, step: FrameMap, generator: Generator) -> CarriedNoise:
        """Return the noise of the next frame, given the last frame's and the map of the next."""
        ...


def make_carrier(name: str, **options: Any) -> NoiseCarrier:
    """Return a noise carrier by name.

    Args:
        name: in ``CARRIERS``.
        options: its fields.

    Raises:
        ValueError: an unknown name, or options that it does not have.
    """
    if name not in CARRIERS:
        raise ValueError(f"unknown noise carrier {name!r}; there are {', '.join(CARRIERS)}")
    try:
        made: NoiseCarrier = CARRIERS[name](**options)
    except TypeError as error:
        raise ValueError(f"{name} has no such options: {error}") from error
    return made


def carried_noise(
    carrier: NoiseCarrier, maps: Iterable[FrameMap], channels: int, generator: Generator
) -> Iterator[Float[Tensor, "C h w"]]:
    """Return the noise of each frame of a video; only the last frame's is kept.

    Args:
        carrier: how noise moves.
        maps: of each frame, the first included, as ``video_maps`` and ``affine_maps`` return them.
        channels: of the noise.
        generator: source of all draws, on the CPU.
    """
    noise: CarriedNoise | None = None
    for step in maps:
        noise = carrier.start(step, channels, generator) if noise is None else carrier.carry(noise, step, generator)
        yield noise.values


class _Drawn:
    """Noise of the first frame by a kernel, or white noise without one."""

    config: GaussianProcessConfig | None = None

    def start(self, first: FrameMap, channels: int, generator: Generator) -> CarriedNoise:
        """Draw the noise of the first frame."""
        return CarriedNoise(_drawn(self.config, first, channels, generator))


@dataclass(frozen=True)
class FixedNoise(_Drawn):
    """The same noise in every frame: the texture that it makes stays where it is while the scene moves.

    Attributes:
        config: the kernel of Gaussian-process noise; None is white noise.
    """

    config: GaussianProcessConfig | None = None
    follows = False
    keeps_law = True

    def carry(self, noise: CarriedNoise, step: FrameMap, generator: Generator) -> CarriedNoise:
        """Return the noise as it is."""
        _check_size(noise, step)
        return noise


@dataclass(frozen=True)
class ResampledNoise(_Drawn):
    """New noise in every frame: each frame is restored by itself.

    Attributes:
        config: the kernel of Gaussian-process noise; None is white noise.
    """

    config: GaussianProcessConfig | None = None
    follows = False
    keeps_law = True

    def carry(self, noise: CarriedNoise, step: FrameMap, generator: Generator) -> CarriedNoise:
        """Draw the noise of the next frame."""
        _check_size(noise, step)
        return self.start(step, len(noise.values), generator)


@dataclass(frozen=True)
class NearestNoise(_Drawn):
    """White noise taken from the nearest pixel of the frame before; hidden and entering pixels have new noise.

    Where the scene grows, several pixels take one value: the noise is then no longer white.
    """

    follows = True
    keeps_law = False

    def carry(self, noise: CarriedNoise, step: FrameMap, generator: Generator) -> CarriedNoise:
        """Take the nearest pixels."""
        _check_size(noise, step)
        new = _white(step, len(noise.values), generator)
        x, y = (step.previous + 0.5).floor().long().unbind(-1)  # rounds all halves one way: each pixel is taken once
        height, width = step.size
        taken = noise.values[:, y.clamp(0, height - 1), x.clamp(0, width - 1)]
        return CarriedNoise(torch.where(step.visible, taken, new))


@dataclass(frozen=True)
class BilinearNoise(_Drawn):
    """White noise sampled bilinearly in the frame before; hidden and entering pixels have new noise.

    A mean of independent values has less variance than each, so that the noise fades with every frame.
    """

    follows = True
    keeps_law = False

    def carry(self, noise: CarriedNoise, step: FrameMap, generator: Generator) -> CarriedNoise:
        """Sample between the pixels."""
        _check_size(noise, step)
        new = _white(step, len(noise.values), generator)
        places, shares = _requests(step)
        total = shares.sum(dim=0)
        sampled = (noise.values.flatten(1)[:, places] * shares).sum(dim=1) / total
        return CarriedNoise(torch.where(total > 0, sampled, new))


@dataclass(frozen=True)
class DiscreteNoise(_Drawn):
    """White noise that stays white: each pixel's value is split among the pixels that take a part of its area.

    The integral noise of Chang et al. (ICLR 2024): white noise on a pixel is an integral of white noise over its area.
    A pixel of the next frame asks for its bilinear shares of four pixels, as in the infinite-resolution variant of Deng
    et al. (ICLR 2025). The parts of one pixel are independent given that they sum to its value; what a pixel gets,
    divided by the square root of its area, is standard normal and independent of every other pixel. Deviation: the
    parts are drawn all at once instead of along a Brownian bridge, pixel after pixel; their law is the same.
    """

    follows = True
    keeps_law = True

    def carry(self, noise: CarriedNoise, step: FrameMap, generator: Generator) -> CarriedNoise:
        """Split the value of each pixel, and collect the parts."""
        _check_size(noise, step)
        channels, (height, width) = len(noise.values), step.size
        new = _white(step, channels, generator)
        places, shares = _requests(step)
        flat = places.flatten()
        asked = shares.new_zeros(height * width).index_add_(0, flat, shares.flatten())
        areas = shares / asked[places].clamp(min=torch.finfo(shares.dtype).tiny)
        size = (channels, 4, height, width)
        drawn = torch.randn(size, generator=generator, dtype=shares.dtype, device="cpu").to(shares.device)
        drawn = drawn * areas.sqrt()
        total = torch.zeros_like(noise.values).flatten(1).index_add_(1, flat, drawn.flatten(1))
        # In this order a pixel that is asked for as a whole passes its value on to the bit.
        parts = noise.values.flatten(1)[:, places] * areas + (drawn - total[:, places] * areas)
        area = areas.sum(dim=0)
        return CarriedNoise(torch.where(area > 0, parts.sum(dim=1) / area.sqrt(), new))


@dataclass(frozen=True)
class FunctionNoise:
    """Gaussian-process noise, evaluated at the origin of each pixel: the carrier of Warped Diffusion.

    What comes into view after the first frame has noise of its own: a further plane of the same function.

    Attributes:
        config: the kernel.
    """

    config: GaussianProcessConfig = field(default_factory=GaussianProcessConfig)
    follows = True
    keeps_law = True

    def start(self, first: FrameMap, channels: int, generator: Generator) -> CarriedNoise:
        """Draw the function, and evaluate it on the grid."""
        process = sample_gaussian_process(self.config, channels, generator, device=first.points.device)
        return CarriedNoise(process.grid(*first.size), process)

    def carry(self, noise: CarriedNoise, step: FrameMap, generator: Generator) -> CarriedNoise:
        """Evaluate the function at the origins.

        Raises:
            ValueError: noise of another carrier, which is no function.
        """
        _check_size(noise, step)
        if noise.function is None:
            raise ValueError("expected noise that is a function, got noise that another carrier started")
        planes = step.origin if bool(step.origin.any()) else None
        return CarriedNoise(noise.function.at(step.points, planes).permute(2, 0, 1), noise.function)


def _drawn(config: GaussianProcessConfig | None, at: FrameMap, channels: int, generator: Generator) -> Tensor:
    """Return new noise of a frame: Gaussian-process noise with a kernel, else white noise."""
    if config is None:
        return _white(at, channels, generator)
    return sample_gaussian_process(config, channels, generator, device=at.points.device).grid(*at.size)


def _white(at: FrameMap, channels: int, generator: Generator) -> Float[Tensor, "C h w"]:
    if channels < 1:
        raise ValueError(f"expected at least one channel, got {channels}")
    drawn = torch.randn(channels, *at.size, generator=generator, dtype=torch.float32, device="cpu")
    return drawn.to(at.points.device)


def _requests(step: FrameMap) -> tuple[Int[Tensor, "4 h w"], Float[Tensor, "4 h w"]]:
    """Return four pixels of the frame before for each pixel, and its share of each; none where it was not visible."""
    height, width = step.size
    places, shares = [], []
    for pixel, share in corners(step.previous):
        x, y = pixel.unbind(-1)
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & step.visible
        places.append(torch.where(inside, y * width + x, 0).long())
        shares.append(torch.where(inside, share, 0))
    return torch.stack(places), torch.stack(shares)


def _check_size(noise: CarriedNoise, step: FrameMap) -> None:
    if tuple(noise.values.shape[1:]) != step.size:
        got = tuple(noise.values.shape[1:])
        raise ValueError(f"expected a map of {got[0]} x {got[1]} pixels like the noise, got {step.size}")
