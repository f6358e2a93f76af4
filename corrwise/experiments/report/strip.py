"""The images of an episode in one PNG, a row for each panel and a column for each control step; and how pages show it.

A page embeds strips while a budget lasts, links those beyond it, and crops them to what moves.
"""

from __future__ import annotations

import base64
import io
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from corrwise._writing import write_bytes_atomic

PANELS = ("goal", "seen", "predicted", "flow")  # the default of an episode's row
_MOST_STEPS = 100_000  # frames side by side in one strip
_MOST_PIXELS = 2**24  # of a strip that is decoded to see what moves in it
_MARGIN = 3  # pixels around what moves

Array = np.ndarray
Box = tuple[int, int, int, int]  # left, top, width, height in pixels


def make_strip(rows: Sequence[Sequence[Array]]) -> Array:
    """Lay frames (uint8, H x W x 3, all of one size) out as rows of columns; every row has the same length."""
    if not rows or not rows[0] or any(len(row) != len(rows[0]) for row in rows):
        raise ValueError(f"expected rows of one length above zero, got lengths {[len(row) for row in rows]}")
    first = rows[0][0]
    for frame in (frame for row in rows for frame in row):
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.shape != first.shape:
            raise ValueError(f"expected uint8 frames {first.shape}, H x W x 3, got {frame.dtype} {frame.shape}")
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)


def save_strip(path: Path, strip: Array) -> None:
    """Write a strip as PNG, as a whole or not at all."""
    write_bytes_atomic(path, png_bytes(strip))


def png_bytes(image: Array) -> bytes:
    """Encode an image, uint8 (H, W, 3), as PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def embedded(data: bytes) -> str:
    """Return a PNG file's bytes as a data address."""
    return "data:image/png;base64," + base64.b64encode(data).decode()


@dataclass(frozen=True)
class StripImage:
    """A strip as the page shows it.

    Attributes:
        source: a data address, or a name relative to the page.
        side: of a frame, in pixels.
        steps: frames side by side.
        motion: the box in which the frames of the first two panels, goal and observation, differ; None if they do not,
            and for a linked strip.
    """

    source: str
    side: int
    steps: int
    motion: Box | None = None


class StripImages:
    """Reads the strips of a run folder, and embeds them as long as they fit.

    Attributes:
        out: the run folder.
        linked: how many strips did not fit and are linked.
    """

    def __init__(self, out: Path, budget: int) -> None:
        self.linked = 0
        self.out = out
        self._left = budget

    def get(self, name: Any, rows: int = len(PANELS)) -> StripImage | None:
        """Return the strip of that relative name; None if there is no such file or it is no strip."""
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
    boxes = [strip.motion for strip in known if strip.motion is not None and strip.side == side]
    if not boxes or len(boxes) < len(known):
        return 0, 0, side, side
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right, bottom = max(box[0] + box[2] for box in boxes), max(box[1] + box[3] for box in boxes)
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
    except Exception:  # a damaged file: Pillow raises many types, and the browser reports what it cannot show
        return None
    frames = rows.reshape(2, side, steps, side, 3).swapaxes(1, 2)
    moves = (frames != frames[:1, :1]).any(axis=(0, 1, 4))
    box = Image.fromarray(moves).getbbox()
    return None if box is None else (box[0], box[1], box[2] - box[0], box[3] - box[1])


def local_file(out: Path, name: Any) -> str | None:
    """Return a relative name that is a file inside the run folder, else None: rows may come from elsewhere.

    A link that leads out of the folder gives None: its target would be passed on with the report.
    """
    path = PurePosixPath(name) if isinstance(name, str) and name and "\0" not in name else None
    if path is None or not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        return None
    try:
        inside = (out / path).is_file() and (out / path).resolve().is_relative_to(out.resolve())
    except (OSError, RuntimeError):  # a name too long, a link that leads to itself
        return None
    return str(path) if inside else None
