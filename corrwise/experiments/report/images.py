"""The report's pictures: embedded while a budget lasts, linked from the run folder beyond it."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from corrwise.experiments.report.flow_color import flow_wheel
from corrwise.experiments.report.strip import ROWS, png_bytes

__all__ = ["Picture", "Pictures", "embedded", "local_file", "wheel_picture"]

_MOST_STEPS = 100_000  # frames side by side in one strip


@dataclass(frozen=True)
class Picture:
    """A strip as the page shows it: where it comes from, the side of a frame in pixels, the number of steps."""

    source: str
    side: int
    steps: int


class Pictures:
    """Hands out the strips of a run folder and counts what went into the file.

    Attributes:
        out: the run folder.
        linked: how many strips did not fit and are linked.
    """

    def __init__(self, out: Path, budget: int) -> None:
        self.linked = 0
        self.out = out
        self._left = budget

    def get(self, name: Any, rows: int = len(ROWS)) -> Picture | None:
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
                return Picture(local, side, width // side)
            data = head + file.read(size - len(head))
        self._left -= len(data)
        return Picture(embedded(data), side, width // side)


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


def wheel_picture() -> str:
    """Return the legend of the flow colours as a data address."""
    return embedded(png_bytes(flow_wheel(72)))


def embedded(data: bytes) -> str:
    """Return a PNG file's bytes as a data address."""
    return "data:image/png;base64," + base64.b64encode(data).decode()
