"""Decoding image files to RGB of 8 bits. Their size is checked first; bit depth and orientation are applied."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import UInt8, UInt16

__all__ = ["MAX_PIXELS", "BitDepth", "check_pixels", "decode_image", "read_image", "resize_image"]

T = TypeVar("T")

MAX_PIXELS = 2**26
"""Most pixels of an image or a frame, 8192 x 8192. The declared size is checked before memory is allocated."""

_MOST_BYTES = 8 * MAX_PIXELS  # of a file: four channels of 16 bits, not compressed
_WHITE = 2**16 - 1  # of 16 bits
_UNUSED = 2**14 - 1  # images of 16 bits with values up to this hold 14 bits or fewer, and would be nearly black
_FORMATS = ("PNG", "JPEG", "BMP", "DIB", "TIFF", "WEBP", "PPM", "JPEG2000")
_SINGLE = ("TIFF", "WEBP", "PNG")  # may hold several images; those of an MPO file are views of one scene
_ORIENTATION = 274  # tag of TIFF and EXIF
_EXIF_MARKS = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")  # where a PNG file may state its orientation
_COMMENT = re.compile(rb"#[^\n]*")


class BitDepth:
    """Scales images of more than 8 bits to 8 bits, all images of a clip alike.

    ``white`` becomes 255. It defaults to 65535, and then clips whose values all lie at or below 16383 (14 bits) are
    refused: their white level is not known, and a guess for each image would flicker.

    Args:
        white: the white level of images of more than 8 bits; None is 65535.

    Raises:
        ValueError: a white level outside 16 bits.
    """

    def __init__(self, white: int | None = None) -> None:
        if white is not None and not 1 <= white <= _WHITE:
            raise ValueError(f"expected a white from 1 to {_WHITE}, got {white}")
        self._white = white
        self._least, self._most = _WHITE, 0

    def scaled(self, image: UInt16[np.ndarray, "h w 3"], name: str) -> UInt8[np.ndarray, "h w 3"]:
        """Return an image in 8 bits, rounded.

        Raises:
            ValueError: values above white.
        """
        least, most = int(image.min()), int(image.max())
        self._least, self._most = min(least, self._least), max(most, self._most)
        if most > (white := self._white or _WHITE):
            raise ValueError(f"expected values from 0 to white, {white}, in {name}, got values from {least} to {most}")
        return _scaled(image, white)

    def finish(self, name: str) -> None:
        """Refuse a clip whose images would be nearly black because their white level is not known.

        Raises:
            ValueError: the message has the range of the values.
        """
        if self._white is None and 0 < self._most <= _UNUSED:
            raise ValueError(
                f"{name} has images of 16 bits with values from {self._least} to {self._most}, which would be nearly "
                f"black; give the value that is white, such as white = {2 ** self._most.bit_length() - 1}"
            )


def decode_image(data: bytes | bytearray, name: str, depth: BitDepth) -> UInt8[np.ndarray, "h w 3"] | None:
    """Return the image, RGB, in the bytes of a file; None if they are not an image, or a truncated one.

    Grey images and images with a palette become RGB, transparency is dropped, and the EXIF orientation is applied.

    Args:
        data: the file's bytes.
        name: of the file in messages.
        depth: scales images of more than 8 bits.

    Raises:
        ValueError: more than ``MAX_PIXELS``, several images, values that are not integers of 8 or 16 bits, or see
            ``BitDepth``.
    """
    header = _header(data, name)
    if header is None:
        return None
    check_pixels(header.size, name)
    images = _attempt(lambda: header.n_frames if header.is_animated else 1, 1) if header.format in _SINGLE else 1
    if images > 1:
        raise ValueError(f"expected one image in {name}, got {images}")
    if header.mode == "F" or (header.mode == "I" and header.format == "TIFF"):
        numbers = "32-bit floats" if header.mode == "F" else "32-bit integers"
        extrema = _attempt(header.getextrema, None)
        if extrema is None:
            return None
        least, most = extrema
        raise ValueError(f"expected an image of 8 or 16 bits in {name}, got {numbers} from {least:g} to {most:g}")
    decoded = _decoded(data)
    if decoded is None:
        return None
    if header.format == "PPM" and (white := _attempt(lambda: _declared_white(data), 255)) not in (255, _WHITE):
        decoded = _scaled(np.minimum(decoded, white).astype(np.uint16), white)
    if decoded.dtype == np.uint16:
        decoded = depth.scaled(decoded, name)
    if decoded.dtype != np.uint8:
        least, most = decoded.min(), decoded.max()
        raise ValueError(f"expected an image of 8 or 16 bits in {name}, got {decoded.dtype} from {least:g} to {most:g}")
    if header.format == "TIFF":  # OpenCV has applied its orientation
        return decoded
    return _upright(decoded, _orientation(header, data))


def read_image(path: Path, depth: BitDepth) -> UInt8[np.ndarray, "h w 3"]:
    """Return the image in a file, RGB.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it cannot be read as an image, or is too large (see ``decode_image``).
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no image at {path}")
    if (size := path.stat().st_size) > _MOST_BYTES:
        raise ValueError(f"expected at most {_MOST_BYTES} bytes in {path}, got {size}")
    image = decode_image(path.read_bytes(), str(path), depth)
    if image is None:
        raise ValueError(f"{path} is no image that can be read, or only a part of one")
    return image


def check_pixels(size: tuple[int, int], name: str) -> None:
    """Refuse an image or frame that is too large.

    Args:
        size: its width and height.
        name: of the image in the message.

    Raises:
        ValueError: it has more than ``MAX_PIXELS``.
    """
    width, height = size
    if width * height > MAX_PIXELS:
        raise ValueError(f"expected at most {MAX_PIXELS} pixels in {name}, got {width} x {height}")


def resize_image(image: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """Return an image resized to (H, W) with Pillow's bilinear filter, which averages when it shrinks."""
    if image.shape[:2] == size:
        return image
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))


def _header(data: bytes | bytearray, name: str) -> Any:
    """Return the file as Pillow opens it, without decoding; None if it is not an image."""
    from PIL import Image  # imported here because planning needs neither Pillow nor OpenCV

    try:
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    except Image.DecompressionBombError as error:
        count = re.search(r"\d+", str(error))
        got = count[0] if count else "more than twice as many"
        raise ValueError(f"expected at most {MAX_PIXELS} pixels in {name}, got {got}") from error
    except Exception:  # Pillow's errors for a broken header differ between formats
        return None


def _attempt(read: Callable[[], T], otherwise: T) -> T:
    """Return what Pillow reads from a header, or ``otherwise`` if the header is broken."""
    try:
        return read()
    except Exception:  # as above
        return otherwise


def _decoded(data: bytes | bytearray) -> np.ndarray | None:
    import cv2

    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    return None if decoded is None else cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def _declared_white(data: bytes | bytearray) -> int:
    """Return the largest value that a PPM or PGM file declares; 255 for a PBM file, which is black and white."""
    fields = _COMMENT.sub(b" ", bytes(data[: 2**16])).split(maxsplit=4)
    return 255 if fields[0] in (b"P1", b"P4") else min(int(fields[3]), _WHITE)


def _orientation(header: Any, data: bytes | bytearray) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if there is none. To read that of a PNG, Pillow decodes the whole file."""
    if header.format == "PNG" and not any(mark in data for mark in _EXIF_MARKS):
        return 1
    return _attempt(lambda: int(header.getexif().get(_ORIENTATION, 1)), 1)


def _scaled(image: np.ndarray, white: int) -> np.ndarray:
    return ((image.astype(np.uint32) * 255 + white // 2) // white).astype(np.uint8)


def _upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Return an image turned by its EXIF orientation, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)
