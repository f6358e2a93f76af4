"""Plain video that lies on disk picture by picture: read when it is asked for, resized, cropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

__all__ = ["ImageFiles", "ImageSequences", "Pictures", "consecutive", "decode_image", "pick", "resize_image"]

T = TypeVar("T")


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
    """Pictures that are files (``Pictures``), PNG or JPEG."""

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
        if not self.files[i].is_file():
            raise FileNotFoundError(f"there is no picture at {self.files[i]}")
        picture = decode_image(self.files[i].read_bytes())
        if picture is None:
            raise ValueError(f"{self.files[i]} is no picture that can be read, or only a part of one")
        return picture


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


def decode_image(data: bytes | bytearray) -> UInt8[np.ndarray, "h w 3"] | None:
    """Return the picture, RGB, in the bytes of a PNG or JPEG file; None where they are not one."""
    import cv2  # as Pillow below: whoever only plans needs neither

    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    return None if picture is None else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def resize_image(picture: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """Return a picture in another size (H, W), by Pillow's bilinear filter: it averages over what it shrinks."""
    if picture.shape[:2] == size:
        return picture
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize(size[::-1], Image.Resampling.BILINEAR))


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
