"""Video that is stored as single images: read when requested, resized and cropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from corrwise.predictors.data.formats.image_decoding import BitDepth, read_image, resize_image

__all__ = ["ImageFiles", "ImageSequence", "ImageSequences", "consecutive", "pick"]

T = TypeVar("T")


@runtime_checkable
class ImageSequence(Protocol):
    """Images in temporal order with random access."""

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def name(self, i: int) -> str:
        """Return the name of an image, for messages."""
        ...

    def read(self, i: int) -> UInt8[np.ndarray, "h w 3"]:
        """Return an image, RGB."""
        ...


class ImageFiles:
    """An ``ImageSequence`` of image files, each with its own bit depth (see ``BitDepth``)."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = list(files)

    def __len__(self) -> int:
        return len(self.files)

    def name(self, i: int) -> str:
        """Return the file's path."""
        return str(self.files[i])

    def read(self, i: int) -> UInt8[np.ndarray, "h w 3"]:
        """Return an image, RGB.

        Raises:
            FileNotFoundError: the file does not exist.
            ValueError: it cannot be read as an image.
        """
        depth = BitDepth()
        image = read_image(self.files[i], depth)
        depth.finish(str(self.files[i]))
        return image


class ImageSequences:
    """Videos that are stored as images (a ``ClipSource`` without actions). Only the requested frames are read.

    Args:
        sequences: the videos.
        size: (H, W) of the frames, a centre crop.
        resize: size of an image before the crop: (H, W), or the length of its shorter side; None keeps it.

    Attributes:
        size, action_dim, lengths: see ``ClipSource``.

    Raises:
        ValueError: frames larger than the resized images.
    """

    def __init__(
        self, sequences: Sequence[ImageSequence], size: tuple[int, int], *, resize: tuple[int, int] | int | None = None
    ) -> None:
        if isinstance(resize, tuple) and (resize[0] < size[0] or resize[1] < size[1]):
            raise ValueError(f"expected images resized to at least (H, W) {size}, got {resize}")
        self.size, self.action_dim = size, 0
        self.lengths = [len(images) for images in sequences]
        self._sequences, self._resize = list(sequences), resize

    def read(
        self, clip: int, start: int, stop: int
    ) -> tuple[UInt8[np.ndarray, "n H W 3"], Float32[np.ndarray, "steps 0"]]:
        """Return frames ``start`` to ``stop`` (not included) of a clip, and n - 1 empty actions.

        Raises:
            FileNotFoundError: an image does not exist.
            ValueError: an image cannot be read, is smaller than the frames, or has another size than the one before.
        """
        images, before, frames = self._sequences[clip], None, []
        for i in range(start, min(stop, len(images))):
            image = images.read(i)
            frames.append(self._cropped(image, images.name(i)))
            if before not in (None, image.shape):
                raise ValueError(
                    f"expected images of one size, got {before[:2]} and then {image.shape[:2]} from {images.name(i)}"
                )
            before = image.shape
        return np.stack(frames), np.zeros((len(frames) - 1, 0), np.float32)

    def _cropped(self, image: np.ndarray, name: str) -> np.ndarray:
        height, width = self.size
        if isinstance(self._resize, int):
            factor = self._resize / min(image.shape[:2])
            image = resize_image(image, (round(factor * image.shape[0]), round(factor * image.shape[1])))
        elif self._resize is not None:
            image = resize_image(image, self._resize)
        top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
        if top < 0 or left < 0:
            raise ValueError(f"expected images of at least (H, W) {self.size}, got {image.shape[:2]} from {name}")
        return image[top : top + height, left : left + width]


def consecutive(numbered: Mapping[int, Path]) -> list[list[Path]]:
    """Return numbered files as runs of consecutive numbers; a missing frame ends a run."""
    runs: list[list[Path]] = []
    for number in sorted(numbered):
        if number - 1 not in numbered:
            runs.append([])
        runs[-1].append(numbered[number])
    return runs


def pick(what: str, name: str, known: Mapping[str, T]) -> T:
    """Return the entry of a table.

    Raises:
        ValueError: an unknown name.
    """
    if name not in known:
        raise ValueError(f"unknown {what} {name!r}; there are {', '.join(known)}")
    return known[name]
