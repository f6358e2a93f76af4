"""Scenes: an object on a background, at a centre place and at integer offsets from it along the horizontal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from corrwise._files import refuse_pipe
from corrwise.experiments.cli.toy import ToyConfig
from corrwise.experiments.studies.toy.drawings import BACKGROUNDS, OBJECTS
from corrwise.predictors.data.formats.image_decoding import BitDepth, check_pixels, read_image, resize_image
from corrwise.predictors.data.formats.media_files import in_order

__all__ = ["Scenes", "curve_scenes", "make_scenes", "read_background", "read_object"]

_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Scenes:
    """All scenes of an object on a background.

    Attributes:
        background: the image without the object.
        colour: the object's colours times its alpha.
        alpha: how opaque the object is.
        left, top: the object's place in pixels at offset 0.
        reach: the largest offset in pixels, to either side.

    Raises:
        ValueError: the object at its offsets does not fit into the background.
    """

    background: Float[Tensor, "3 h w"]
    colour: Float[Tensor, "3 oh ow"]
    alpha: Float[Tensor, "1 oh ow"]
    left: int
    top: int
    reach: int

    def __post_init__(self) -> None:
        (oh, ow), (h, w) = self.alpha.shape[-2:], self.background.shape[-2:]
        if oh > h or ow > w:
            raise ValueError(f"expected an object that fits into its background of {h} x {w} pixels, got {oh} x {ow}")
        if not 0 <= self.left - self.reach <= self.left + self.reach <= w - ow:
            raise ValueError(
                f"expected an object that stays in its background of {w} pixels' width, got one of {ow} pixels whose "
                f"left edge lies from {self.left - self.reach} to {self.left + self.reach}"
            )

    @property
    def offsets(self) -> range:
        """All offsets, each as probable as every other: an odd number, so that the median is unique."""
        return range(-self.reach, self.reach + 1)

    def at(self, offsets: Iterable[int]) -> Float[Tensor, "n 3 h w"]:
        """Return the scenes with the object at these offsets."""
        return torch.stack([self._shifted(self.background, offset) for offset in offsets])

    def mask(self, offset: int) -> Float[Tensor, "h w"]:
        """Return how opaque the object is at each pixel."""
        return self._shifted(torch.zeros_like(self.background), offset, of=self.alpha)[0]

    @cached_property
    def all(self) -> Float[Tensor, "d 3 h w"]:
        """The scenes of all offsets, in order."""
        return self.at(self.offsets)

    @cached_property
    def region(self) -> Bool[Tensor, "h w"]:
        """Where the object may be."""
        return torch.stack([self.mask(offset) for offset in self.offsets]).amax(dim=0) > 0

    def _shifted(self, image: Tensor, offset: int, *, of: Tensor | None = None) -> Tensor:
        oh, ow = self.alpha.shape[-2:]
        rows, columns = slice(self.top, self.top + oh), slice(self.left + offset, self.left + offset + ow)
        image = image.clone()
        image[:, rows, columns] = (1 - self.alpha) * image[:, rows, columns] + (self.colour if of is None else of)
        return image


def make_scenes(config: ToyConfig) -> Scenes:
    """Return the scenes of the averages.

    Raises:
        FileNotFoundError, ValueError: an image that cannot be read, or an object that has no alpha or does not fit.
    """
    size = config.height, config.width
    background = read_background(config.background, size, np.random.default_rng(config.scene_seed))
    return _scenes(config, background, round(config.offset_range * config.width / 2))


def curve_scenes(config: ToyConfig) -> list[Scenes]:
    """Return one scene on each of many backgrounds; the object may be moved by ``curve_reach`` pixels to the right.

    Raises:
        FileNotFoundError, ValueError: see ``make_scenes``; fewer backgrounds in a folder than are asked for; or a reach
            that leads out of the image.
    """
    size, count = (config.height, config.width), config.curve_backgrounds
    if config.curve_folder is None:
        rng = np.random.default_rng([config.scene_seed, 1])
        drawn = [BACKGROUNDS["street"](size, rng) for _ in range(count)]
    else:
        folder = config.curve_folder
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder of backgrounds at {folder}")
        names = in_order([file.name for file in folder.iterdir() if file.suffix.lower() in _IMAGES])
        if len(names) < count:
            raise ValueError(f"expected {count} images in {folder}, got {len(names)}; --curve-backgrounds takes fewer")
        drawn = [_fitted(read_image(folder / name, BitDepth()), size) for name in names[:count]]
    first = _scenes(config, drawn[0], 0)
    free = first.background.shape[-1] - first.alpha.shape[-1]
    if config.curve_reach > free:
        raise ValueError(f"expected a --curve-reach of at most {free}, beside the object, got {config.curve_reach}")
    return [replace(first, background=_tensor(image), left=(free - config.curve_reach) // 2) for image in drawn]


def _scenes(config: ToyConfig, background: np.ndarray, reach: int) -> Scenes:
    height, width = background.shape[:2]
    rgba = _tensor(read_object(config.object))
    rgba = torch.cat([rgba[:3] * rgba[3:], rgba[3:]])
    tall = max(1, round(config.object_height * height))
    wide = max(1, round(tall * rgba.shape[2] / rgba.shape[1]))
    if wide > width:
        raise ValueError(
            f"expected an object that fits into its background of {height} x {width} pixels, got {tall} x {wide}; a "
            "smaller --object-height fits"
        )
    rgba = F.interpolate(rgba[None], (tall, wide), mode="bilinear", antialias=True)[0].clamp(0, 1)
    left, top = (width - wide) // 2, round(config.vertical * (height - tall))
    return Scenes(_tensor(background), rgba[:3], rgba[3:], left, top, reach)


def read_object(name: str) -> np.ndarray:
    """Return an object by name or file, RGBA of 8 bits, cut to where it is not transparent.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no image that can be read, has no alpha channel, or is transparent everywhere.
    """
    if name in OBJECTS:
        rgba = OBJECTS[name]()
    else:
        path = Path(name).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"there is no object at {path}; built in are {', '.join(OBJECTS)}")
        rgba = _read_rgba(path)
    rows, columns = (np.flatnonzero(rgba[..., 3].any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        raise ValueError(f"expected an object that is somewhere opaque in {name}, got alpha 0 everywhere")
    return rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _read_rgba(path: Path) -> np.ndarray:
    refuse_pipe(path)
    try:
        with Image.open(path) as image:
            check_pixels(image.size, str(path))  # before memory is allocated
            rgba = np.asarray(image.convert("RGBA")) if image.has_transparency_data else None
    except Exception as error:  # Pillow's errors for a broken file differ between formats
        if isinstance(error, MemoryError):
            raise
        raise ValueError(f"{path} is no image that can be read, or only a part of one, or too large") from error
    if rgba is None:
        raise ValueError(f"expected an object with an alpha channel in {path}, got an image without one")
    return rgba


def read_background(name: str, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return a background by name or file, RGB of 8 bits; a file's middle is cut out and resized to the size.

    Raises:
        FileNotFoundError, ValueError: there is no such file, or it is no image that can be read.
    """
    if name in BACKGROUNDS:
        return BACKGROUNDS[name](size, rng)
    path = Path(name).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"there is no background at {path}; built in are {', '.join(BACKGROUNDS)}")
    return _fitted(read_image(path, BitDepth()), size)


def _fitted(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Cut the largest middle part of the size's proportions out of an image, and resize it."""
    (h, w), (height, width) = image.shape[:2], size
    tall, wide = min(h, max(1, round(w * height / width))), min(w, max(1, round(h * width / height)))
    top, left = (h - tall) // 2, (w - wide) // 2
    return resize_image(np.ascontiguousarray(image[top : top + tall, left : left + wide]), size)


def _tensor(image: np.ndarray) -> Float[Tensor, "c h w"]:
    return torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1).contiguous()
