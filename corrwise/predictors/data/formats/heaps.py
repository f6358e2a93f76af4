"""A guard against HDF5 files that its library reads for ever: heaps of text and JPEGs with an object of no size."""

from __future__ import annotations

import mmap
import struct
from functools import lru_cache
from os import PathLike
from pathlib import Path

__all__ = ["check_heaps"]

_MARK = b"GCOL"  # begins a global heap, where HDF5 keeps what has no fixed length
_HEAD, _OBJECT = struct.Struct("<4sB3xQ"), struct.Struct("<HH4xQ")  # mark, version, size; index, count, size


def check_heaps(path: str | PathLike[str]) -> None:
    """Refuse a file with a heap through which libhdf5 never gets: it steps over an object of no size for ever.

    The whole file is searched, once as long as it does not change; only data without a fixed length need it.

    Raises:
        OSError: it cannot be read.
        ValueError: there is such a heap.
    """
    stat = Path(path).stat()
    _check(str(path), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1024)
def _check(path: str, size: int, changed: int) -> None:
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(_MARK)
        while at >= 0:
            if _endless(data, at):
                raise ValueError(f"its heap at byte {at} holds an object of no size")
            at = data.find(_MARK, at + len(_MARK))


def _endless(data: mmap.mmap, at: int) -> bool:
    """Return whether the objects of what may be a heap, or bytes that look like one, come to one without a size."""
    if len(data) - at < _HEAD.size:
        return False
    _, version, size = _HEAD.unpack_from(data, at)
    end = min(at + size, len(data))
    at += _HEAD.size
    while version == 1 and end - at >= _OBJECT.size:
        index, _, length = _OBJECT.unpack_from(data, at)
        step = length if index == 0 else (_OBJECT.size + (length + 7) // 8 * 8) % 2**64
        if not step:
            return True
        at += step
    return False
