"""The report's images: embedded while a budget lasts, linked from the run folder beyond it, cropped to what moves."""

from __future__ import annotations

import base64
import io
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from corrwise.experiments.report.strip import ROWS, flow_wheel, png_bytes

__all__ = ["StripImage", "StripImages", "crop_to_motion", "embedded", "local_file", "wheel_image"]

_MOST_STEPS = 100_000  # frames side by side in one strip
_MOST_PIXELS = 2**24  # of a strip that is decoded to see what moves in it
_MARGIN = 3  # pixels around what moves

Box = tuple[int, int, int, int]  # left, top, width, height in pixels


@dataclass(frozen=True)
class StripImage:
    """A strip as the page shows it.

    Attributes:
        source: where it comes from: a data address, or a name relative to the page.
        side: of a frame, in pixels.
        steps: frames side by side.
        motion: what differs between the frames of the first two panels, the goal and the images seen; None where
            nothing does or nobody looked.
    """

    source: str
    side: int
    steps: int
    motion: Box | None = None


class StripImages:
    """Hands out the strips of a run folder and counts what went into the file.

    Attributes:
        out: the run folder.
        linked: how many strips did not fit and are linked.
    """

    def __init__(self, out: Path, budget: int) -> None:
        self.linked = 0
        self.out = out
        self._left = budget

    def get(self, name: Any, rows: int = len(ROWS)) -> StripImage | None:
        """Return the strip of that relative name; None where there is no such file or it is no strip."""
        local = local_file(self.out, name)
        if local is None:
            return None
        with (self.out / local).open("rb") as file:
            head = file.read(24)
            if head[:8] != b"\x89PNG\r\n\x1a\n" or len(head) < 24:
                return None
            width, height = struct.unpack(">II", head[16:24])
            side = height // rows if rows else 0
            if not side or not side <= width <= _MOST_STEPS * side:
                return None
            size = (self.out / local).stat().st_size
            if size > self._left:
                self.linked += 1
                return StripImage(local, side, width // side)
            data = head + file.read(size - len(head))
        self._left -= len(data)
        return StripImage(embedded(data), side, width // side, _motion(data, side, width // side))


def crop_to_motion(strips: Iterable[StripImage | None]) -> Box:
    """Return the part of the frames to show, the same for all strips: what moves in any of them, or the whole frame.

    A part is at least a third of the frame high, and at most three times as wide as high.
    """
    known = [strip for strip in strips if strip is not None]
    side = max((strip.side for strip in known), default=0)
    boxes = [strip.motion for strip in known]
    if not boxes or None in boxes or any(strip.side != side for strip in known):
        return 0, 0, side, side
    found = [box for box in boxes if box is not None]
    left, top = min(box[0] for box in found), min(box[1] for box in found)
    right, bottom = max(box[0] + box[2] for box in found), max(box[1] + box[3] for box in found)
    left, width = _span(left - _MARGIN, right + _MARGIN, side, least=side // 3)
    top, height = _span(top - _MARGIN, bottom + _MARGIN, side, least=max(side // 3, -(-width // 3)))
    return (left, top, width, height) if width * height < 0.7 * side**2 else (0, 0, side, side)


def _span(low: int, high: int, side: int, *, least: int) -> tuple[int, int]:
    """Return where a span of at least this length begins, and its length, inside a side."""
    length = min(max(high - low, least), side)
    return min(max((low + high - length) // 2, 0), side - length), length


def _motion(data: bytes, side: int, steps: int) -> Box | None:
    """Return the box of the pixels in which the frames of the first two panels differ."""
    from PIL import Image

    if 2 * side * side * steps > _MOST_PIXELS:
        return None
    try:
        with Image.open(io.BytesIO(data)) as image:
            rows = np.asarray(image.convert("RGB").crop((0, 0, side * steps, 2 * side)))
    except Exception:  # a damaged file: Pillow raises many types, and the browser says what it cannot show
        return None
    frames = rows.reshape(2, side, steps, side, 3).swapaxes(1, 2)
    moves = (frames != frames[:1, :1]).any(axis=(0, 1, 4))
    if not moves.any():
        return None
    ys, xs = (np.flatnonzero(moves.any(axis=axis)) for axis in (1, 0))
    return int(xs[0]), int(ys[0]), int(xs[-1] - xs[0] + 1), int(ys[-1] - ys[0] + 1)


def local_file(out: Path, name: Any) -> str | None:
    """Return a relative name that is a file inside the run folder, else None: rows may come from elsewhere.

    A link that leads out of the folder is none: what it leads to would be passed on with the report.
    """
    path = PurePosixPath(name) if isinstance(name, str) and name and "\0" not in name else None
    if path is None or not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        return None
    try:
        inside = (out / path).is_file() and (out / path).resolve().is_relative_to(out.resolve())
    except (OSError, RuntimeError):  # a name too long, a link that leads to itself
        return None
    return str(path) if inside else None


def wheel_image() -> str:
    """Return the legend of the flow colours as a data address."""
    return embedded(png_bytes(flow_wheel(72)))


def embedded(data: bytes) -> str:
    """Return a PNG file's bytes as a data address."""
    return "data:image/png;base64," + base64.b64encode(data).decode()
