"""Plain video that lies on disk picture by picture: read when it is asked for, resized, cropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from corrwise.predictors.data.formats.image_decoding import MAX_PIXELS, BitDepth, decode_image, resize_image

__all__ = ["ImageFiles", "ImageSequences", "Pictures", "consecutive", "pick", "read_image"]

T = TypeVar("T")
_LARGEST = 8 * MAX_PIXELS  # bytes of a file: four channels of 16 bits, not compressed


@runtime_checkable
class Pictures(Protocol):
    """Pictures in the order of time, any of which can be read."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def name(self, i: int) -> str:
        """Return what a message calls a picture."""
        ...

    def read(self, i: int) -> UInt8[np.ndarray, "h w 3"]:
        """Return a picture, RGB."""
        ...


class ImageFiles:
    """Pictures that are image files (``Pictures``), each with its own bit depth (see ``BitDepth``)."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = list(files)

    def __len__(self) -> int:
        return len(self.files)

    def name(self, i: int) -> str:
        """Return the file's path."""
        return str(self.files[i])

    def read(self, i: int) -> UInt8[np.ndarray, "h w 3"]:
        """Return a picture, RGB.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it cannot be read as a picture.
        """
        depth = BitDepth()
        image = read_image(self.files[i], depth)
        depth.finish(str(self.files[i]))
        return image


class ImageSequences:
    """Videos as pictures (``ClipSource`` without actions): only the frames that are asked for are read.

    Args:
        sequences: the videos.
        size: (H, W) of the frames, cut from the middle.
        resize: what a picture is resized to before: (H, W), or the length of its shorter side; None leaves it.

    Attributes:
        size, action_dim, lengths: see ``ClipSource``.

    Raises:
        ValueError: frames larger than what the pictures are resized to.
    """

    def __init__(
        self, sequences: Sequence[Pictures], size: tuple[int, int], *, resize: tuple[int, int] | int | None = None
    ) -> None:
        if isinstance(resize, tuple) and (resize[0] < size[0] or resize[1] < size[1]):
            raise ValueError(f"expected pictures resized to at least (H, W) {size}, got {resize}")
        self.size, self.action_dim = size, 0
        self.lengths = [len(pictures) for pictures in sequences]
        self._sequences, self._resize = list(sequences), resize

    def read(
        self, clip: int, start: int, stop: int
    ) -> tuple[UInt8[np.ndarray, "n H W 3"], Float32[np.ndarray, "steps 0"]]:
        """Return frames ``start`` to ``stop`` (not included) of a clip, and n - 1 actions of no numbers.

        Raises:
            FileNotFoundError: a picture is not there.
            ValueError: a picture cannot be read, or is smaller than the frames.
        """
        pictures = self._sequences[clip]
        frames = [self._frame(pictures, i) for i in range(start, min(stop, len(pictures)))]
        return np.stack(frames), np.zeros((len(frames) - 1, 0), np.float32)

    def _frame(self, pictures: Pictures, i: int) -> np.ndarray:
        picture, (height, width) = pictures.read(i), self.size
        if isinstance(self._resize, int):
            factor = self._resize / min(picture.shape[:2])
            picture = resize_image(picture, (round(factor * picture.shape[0]), round(factor * picture.shape[1])))
        elif self._resize is not None:
            picture = resize_image(picture, self._resize)
        top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
        if top < 0 or left < 0:
            raise ValueError(
                f"expected pictures of at least (H, W) {self.size}, got {picture.shape[:2]} from {pictures.name(i)}"
            )
        return picture[top : top + height, left : left + width]


def read_image(path: Path, depth: BitDepth) -> UInt8[np.ndarray, "h w 3"]:
    """Return the image in a file, RGB.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read as an image, or is too large (see ``decode_image``).
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no picture at {path}")
    if (size := path.stat().st_size) > _LARGEST:
        raise ValueError(f"expected at most {_LARGEST} bytes in {path}, got {size}")
    image = decode_image(path.read_bytes(), str(path), depth)
    if image is None:
        raise ValueError(f"{path} is no picture that can be read, or only a part of one")
    return image


def consecutive(numbered: Mapping[int, Path]) -> list[list[Path]]:
    """Return numbered files as runs without a gap: a frame that is missing ends a run."""
    runs: list[list[Path]] = []
    for number in sorted(numbered):
        if number - 1 not in numbered:
            runs.append([])
        runs[-1].append(numbered[number])
    return runs


def pick(what: str, name: str, known: Mapping[str, T]) -> T:
    """Return what is known by a name.

    Raises:
        ValueError: nothing is.
    """
    if name not in known:
        raise ValueError(f"unknown {what} {name!r}; there are {', '.join(known)}")
    return known[name]
