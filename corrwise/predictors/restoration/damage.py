"""Damages of images as values: masks with missing pixels, and a lower resolution.

A ``Damage`` has a name and options and is written as text, ``random:share=0.4``. It draws an ``Operator``: a linear map
A from whole images to what is observed of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.predictors.generative.named import Named, make_named, option

__all__ = [
    "DAMAGES",
    "Box",
    "Damage",
    "Downscale",
    "Downscaling",
    "FreeForm",
    "Masking",
    "Operator",
    "RandomPixels",
    "as_images",
    "make_damage",
]


def as_images(values: Tensor) -> Tensor:
    """Return images in [0, 1] in single precision, in which a model computes.

    Raises:
        TypeError: images that are not floats.
    """
    if not values.is_floating_point():
        raise TypeError(f"expected images in [0, 1], got {values.dtype}; divide bytes by 255")
    return values.to(torch.float32)


@runtime_checkable
class Operator(Protocol):
    """A linear map A from images to what is observed of them; A A^T is a multiple of the identity."""

    def apply(self, images: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C oh ow"]:
        """Return what is observed: ``A x``."""
        ...

    def transpose(self, observed: Float[Tensor, "B C oh ow"]) -> Float[Tensor, "B C h w"]:
        """Return ``A^T y``."""
        ...

    def filled(self, observed: Float[Tensor, "B C oh ow"]) -> Float[Tensor, "B C h w"]:
        """Return a first guess of the images, in [0, 1], which a model corrects."""
        ...

    def known(self, observed: Float[Tensor, "B C oh ow"]) -> Float[Tensor, "B 1 h w"]:
        """Return the share of each pixel that is known: 1, 0, or the inverse of an averaged area."""
        ...

    def project(
        self, images: Float[Tensor, "B C h w"], observed: Float[Tensor, "B C oh ow"]
    ) -> Float[Tensor, "B C h w"]:
        """Return the nearest images of which exactly this is observed."""
        ...


@dataclass(frozen=True)
class Masking:
    """Missing pixels: A multiplies by the mask. Observed values where the mask is 0 mean nothing, and may be anything.

    Attributes:
        mask: 1 where a pixel is known, 0 where it is missing; one for each image, or one for all.
    """

    mask: Float[Tensor, "n 1 h w"]

    def __post_init__(self) -> None:
        """Refuse masks of another shape or other values."""
        if self.mask.ndim != 4 or self.mask.shape[1] != 1:
            raise ValueError(f"expected masks (n, 1, h, w), got {tuple(self.mask.shape)}")
        if not ((self.mask == 0) | (self.mask == 1)).all():
            raise ValueError("expected masks of 0 and 1, got other values; divide bytes by 255")

    def apply(self, images: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C h w"]:
        """Return the images with zeros where pixels are missing.

        Raises:
            ValueError: images of another size, or of another number than masks.
        """
        self._check(images)
        return torch.where(self.mask > 0, images, 0)

    def transpose(self, observed: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C h w"]:
        """Return the same: the mask is its own transpose."""
        return self.apply(observed)

    def filled(self, observed: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C h w"]:
        """Return the images with grey where pixels are missing."""
        self._check(observed)
        return torch.where(self.mask > 0, observed, 0.5)

    def known(self, observed: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 1 h w"]:
        """Return the mask of each image."""
        self._check(observed)
        return self.mask.expand(len(observed), -1, -1, -1)

    def project(self, images: Float[Tensor, "B C h w"], observed: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C h w"]:
        """Return the images with the known pixels in their places."""
        self._check(images)
        return torch.where(self.mask > 0, observed, images)

    def _check(self, images: Tensor) -> None:
        n, _, h, w = self.mask.shape
        if images.shape[-2:] != (h, w) or n not in (1, len(images)):
            raise ValueError(f"expected a mask of the images' size, got {(n, h, w)} for {tuple(images.shape)}")


@dataclass(frozen=True)
class Downscaling:
    """A lower resolution: A is the mean over squares of pixels.

    Attributes:
        factor: side of a square, in pixels.
    """

    factor: int

    def __post_init__(self) -> None:
        """Refuse a factor below 1."""
        if self.factor < 1:
            raise ValueError(f"expected a factor of at least 1, got {self.factor}")

    def apply(self, images: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C oh ow"]:
        """Return the small images.

        Raises:
            ValueError: sides that are no multiples of the factor.
        """
        if any(side % self.factor for side in images.shape[-2:]):
            got = tuple(images.shape[-2:])
            raise ValueError(f"expected images with sides that are multiples of {self.factor}, got {got}")
        return F.avg_pool2d(images, self.factor)

    def transpose(self, observed: Float[Tensor, "B C oh ow"]) -> Float[Tensor, "B C h w"]:
        """Return large images whose squares have an equal part of each pixel."""
        return self._repeated(observed) / self.factor**2

    def filled(self, observed: Float[Tensor, "B C oh ow"]) -> Float[Tensor, "B C h w"]:
        """Return the images enlarged bilinearly."""
        return F.interpolate(observed, scale_factor=self.factor, mode="bilinear")

    def known(self, observed: Float[Tensor, "B C oh ow"]) -> Float[Tensor, "B 1 h w"]:
        """Return the inverse of the area over which pixels were averaged."""
        return self._repeated(torch.full_like(observed[:, :1], 1 / self.factor**2))

    def project(
        self, images: Float[Tensor, "B C h w"], observed: Float[Tensor, "B C oh ow"]
    ) -> Float[Tensor, "B C h w"]:
        """Return the images with the mean of each square moved to the observed one."""
        return images + self._repeated(observed - self.apply(images))

    def _repeated(self, small: Tensor) -> Tensor:
        return small.repeat_interleave(self.factor, dim=-2).repeat_interleave(self.factor, dim=-1)


@dataclass(frozen=True)
class Damage(Named):
    """What happens to images; ``str(damage)`` is the text that makes it again."""

    def draw(
        self, count: int, height: int, width: int, generator: Generator, *, device: torch.device | str = "cpu"
    ) -> Operator:
        """Return the operator of so many images of a size, drawn at random where the damage is.

        Args:
            count: number of images.
            height: of the images in pixels.
            width: of the images in pixels.
            generator: source of all draws, on the CPU.
            device: of the images.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class RandomPixels(Damage):
    """Single pixels are missing, each with the same probability.

    Attributes:
        share: the probability.
    """

    name = "random"
    share: float = option(0.4, 0.0, 1.0)

    def draw(
        self, count: int, height: int, width: int, generator: Generator, *, device: torch.device | str = "cpu"
    ) -> Masking:
        """Return masks with random pixels."""
        drawn = torch.rand(count, 1, height, width, generator=generator, dtype=torch.float32, device="cpu")
        return Masking((drawn >= self.share).float().to(device))


@dataclass(frozen=True)
class Box(Damage):
    """A box is missing, whose place and aspect ratio (from 1/2 to 2) are drawn.

    Attributes:
        share: of the image's area; the box is cut where it would be larger than a side.
    """

    name = "box"
    share: float = option(0.25, 0.0, 1.0)

    def draw(
        self, count: int, height: int, width: int, generator: Generator, *, device: torch.device | str = "cpu"
    ) -> Masking:
        """Return masks with a box."""
        mask = torch.ones(count, 1, height, width, dtype=torch.float32, device="cpu")
        draws = torch.rand(count, 3, generator=generator, dtype=torch.float32, device="cpu").tolist()
        for one, (aspect, down, right) in zip(mask, draws, strict=True):
            stretch = 2 ** (aspect - 0.5)
            tall = min(height, round(height * sqrt(self.share) * stretch))
            wide = min(width, round(width * sqrt(self.share) / stretch))
            top, left = int(down * (height - tall + 1)), int(right * (width - wide + 1))
            one[:, top : top + tall, left : left + wide] = 0
        return Masking(mask.to(device))


@dataclass(frozen=True)
class FreeForm(Damage):
    """Brush strokes are missing: lines of several segments that turn at random.

    Attributes:
        strokes: number of strokes.
        segments: of each stroke.
        thickness: of a stroke, as a share of the image's shorter side.
    """

    name = "free-form"
    strokes: int = option(4, 1.0, 100.0)
    segments: int = option(4, 1.0, 100.0)
    thickness: float = option(0.08, 0.0, 1.0)

    def draw(
        self, count: int, height: int, width: int, generator: Generator, *, device: torch.device | str = "cpu"
    ) -> Masking:
        """Return masks with strokes."""
        size = torch.tensor([width, height], dtype=torch.float32, device="cpu")
        shape = (count, self.strokes, 2 + 2 * self.segments)
        draws = torch.rand(shape, generator=generator, dtype=torch.float32, device="cpu")
        turns = (draws[..., 2 : 2 + self.segments] - 0.5) * pi
        turns[..., 0] *= 2  # a stroke begins in any direction
        angles = turns.cumsum(dim=-1)
        lengths = (0.1 + 0.3 * draws[..., 2 + self.segments :]) * min(height, width)
        steps = torch.stack((angles.cos(), angles.sin()), dim=-1) * lengths[..., None]
        first = draws[..., :2] * size
        ends = first[..., None, :] + steps.cumsum(dim=-2)
        starts = torch.cat((first[..., None, :], ends[..., :-1, :]), dim=-2)
        xs, ys = (torch.arange(side, dtype=torch.float32, device="cpu") + 0.5 for side in (width, height))
        pixels = torch.stack((xs.expand(height, width), ys[:, None].expand(height, width)), dim=-1)
        radius, mask = (
            self.thickness * min(height, width) / 2,
            torch.ones(count, 1, height, width, dtype=torch.float32, device="cpu"),
        )
        for one, begins, vectors in zip(mask, starts.flatten(1, 2), steps.flatten(1, 2), strict=True):
            for begin, vector in zip(begins, vectors, strict=True):
                along = ((pixels - begin) @ vector / vector.square().sum().clamp(min=1e-6)).clamp(0, 1)
                one[:, (pixels - begin - along[..., None] * vector).norm(dim=-1) <= radius] = 0
        return Masking(mask.to(device))


@dataclass(frozen=True)
class Downscale(Damage):
    """The resolution is lower.

    Attributes:
        factor: how many pixels to a side become one.
    """

    name = "downscale"
    factor: int = option(4, 2.0, 64.0)

    def draw(
        self, count: int, height: int, width: int, generator: Generator, *, device: torch.device | str = "cpu"
    ) -> Downscaling:
        """Return the operator, the same for all images."""
        return Downscaling(self.factor)


DAMAGES: dict[str, type[Damage]] = {each.name: each for each in (RandomPixels, Box, FreeForm, Downscale)}


def make_damage(text: str) -> Damage:
    """Return the damage that a text describes, such as ``box:share=0.25``; ``downscale:4`` is ``downscale:factor=4``.

    Raises:
        ValueError: an unknown name or option, or a value outside the option's range.
    """
    name, _, rest = text.partition(":")
    if name == Downscale.name and rest.isdecimal():
        text = f"{name}:factor={rest}"
    return make_named("damage", DAMAGES, text)
