"""NorPix .seq video files of JPEG frames, the format of the Caltech Pedestrian dataset."""

from __future__ import annotations

import struct
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import UInt8

from corrwise._files import local_path
from corrwise.predictors.data.formats.image_decoding import BitDepth, decode_image

__all__ = ["NorpixSequence"]

_HEADER = 1024  # bytes before the first frame
_MAGIC = (0xFEED).to_bytes(4, "little")
_NAME = "Norpix seq".encode("utf-16-le")
_FIELDS = struct.Struct("<9Id")  # width, height, two bit depths, bytes, format, frames, origin, true bytes; fps
_FIELDS_AT = 548
_FORMATS = (102, 201)  # JPEG: grey, colour
_JPEG = b"\xff\xd8"
_MOST_SIDE = 65_535  # of a JPEG
_LEAST = 4 + len(_JPEG)  # bytes of a frame: its length, and the first bytes of a JPEG
_STAMP, _ZEROS = 8, 8  # bytes after a frame: the time, and zeros in some files


class NorpixSequence:
    """The frames of a .seq file (an ``ImageSequence``). A frame is decoded when it is requested.

    A frame is a uint32 length, which includes itself, the JPEG, and 8 bytes with the time; in some files 8 zeros
    follow.

    Args:
        path: the file.
        every: keep every n-th frame.

    Attributes:
        size: (H, W), from the header.
        fps: frames per second in the file, from the header.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it is not a .seq file of JPEG frames, or is truncated.
    """

    def __init__(self, path: str | PathLike[str], *, every: int = 1) -> None:
        self.path = local_path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"there is no .seq file at {self.path}")
        if every < 1:
            raise ValueError(f"expected every n-th frame with n at least 1, got {every}")
        with self.path.open("rb", buffering=0) as file:
            width, height, _, _, _, kind, count, _, _, self.fps = _header(file, self.path)
            if not (0 < width <= _MOST_SIDE and 0 < height <= _MOST_SIDE):
                raise ValueError(
                    f"expected frames of 1 to {_MOST_SIDE} pixels to a side in {self.path}, got {height} x {width}"
                )
            if kind not in _FORMATS:
                raise ValueError(f"expected frames of format 102 or 201 (JPEG) in {self.path}, got format {kind}")
            self._places = _index(file, self.path, count)[::every]
        self.size, self._every = (height, width), every

    def __len__(self) -> int:
        return len(self._places)

    def name(self, i: int) -> str:
        """Return the name of the file and the index of the frame in it."""
        return f"{self.path} frame {i * self._every}"

    def read(self, i: int) -> UInt8[np.ndarray, "h w 3"]:
        """Return a frame, RGB.

        Raises:
            ValueError: it cannot be decoded, or is too large (see ``decode_image``).
        """
        at, length = self._places[i]
        with self.path.open("rb") as file:
            file.seek(at)
            image = decode_image(file.read(length), self.name(i), BitDepth())
        if image is None:
            raise ValueError(f"{self.name(i)} is no JPEG that can be read")
        return image


def _header(file: BinaryIO, path: Path) -> tuple[Any, ...]:
    header = file.read(_HEADER)
    if len(header) < _HEADER or header[:4] != _MAGIC or header[4 : 4 + len(_NAME)] != _NAME:
        raise ValueError(f"expected a .seq file at {path}, with {_HEADER} bytes of header that begin 0xFEED Norpix seq")
    return _FIELDS.unpack_from(header, _FIELDS_AT)


def _index(file: BinaryIO, path: Path, count: int) -> list[tuple[int, int]]:
    """Return offset and length of each JPEG. A count of 0, of a file never closed, stands for all whole frames."""
    total, at, after = path.stat().st_size, _HEADER, _STAMP
    most = (total - _HEADER) // _LEAST
    if count > most:
        raise ValueError(f"{path} declares {count} frames, and its {total} bytes can hold no more than {most}")
    places: list[tuple[int, int]] = []
    while len(places) < count or not count:
        length, head = _frame_head(file, at)
        if len(places) == 1 and length == 0:
            at, after = at + _ZEROS, after + _ZEROS
            length, head = _frame_head(file, at)
        if len(head) < len(_JPEG) or at + length > total:
            if not count:
                break
            raise ValueError(f"{path} is cut off in frame {len(places)} of {count}: it ends after {total} bytes")
        if head != _JPEG:
            raise ValueError(f"expected a JPEG as frame {len(places)} of {path}, got bytes that begin {head.hex(' ')}")
        if length < _LEAST:
            raise ValueError(f"expected at least {_LEAST} bytes in frame {len(places)} of {path}, got {length}")
        places.append((at + 4, length - 4))
        at += length + after
    return places


def _frame_head(file: BinaryIO, at: int) -> tuple[int, bytes]:
    """Return a frame's length and the first bytes of its image."""
    file.seek(at)
    head = file.read(4 + len(_JPEG))
    return int.from_bytes(head[:4], "little"), head[4:]
