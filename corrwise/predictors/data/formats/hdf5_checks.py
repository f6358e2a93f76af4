"""Checks of HDF5 files before they are read: a dataset can declare any shape without a byte of data."""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Sequence
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from corrwise._files import shown

__all__ = ["MOST_CHUNK_BYTES", "MOST_NUMBERS", "check_bytes", "check_dataset", "check_global_heaps", "inside"]

MOST_NUMBERS = 100_000  # in an action or a state
MOST_CHUNK_BYTES = 2**31  # 2 GiB, which HDF5 unpacks at a time; eight frames of the largest size are smaller
_MOST_PACKED = 1100  # the largest compression ratio of gzip; zeros come close to it
_MARK = b"GCOL"  # begins a global heap
_HEAD, _OBJECT = struct.Struct("<4sB3xQ"), struct.Struct("<HH4xQ")  # mark, version, size; index, count, size


def inside(group: Any, name: str) -> Any:
    """Return a member of a group that lies in the same file.

    Raises:
        KeyError: the group has no such member.
        ValueError: the member is a link to another place, or ``group`` is not a group.
    """
    if not isinstance(group, h5py.Group):
        raise ValueError(f"expected a group with {name}, got {shown(group)}")
    link = group.get(name, getlink=True)
    if link is not None and not isinstance(link, h5py.HardLink):
        place = f"{getattr(link, 'filename', '')}:{link.path}"
        raise ValueError(f"expected {name} in the file itself, got a link to {shown(place)}")
    return group[name]


def check_dataset(data: Any, shape: tuple[int | None, ...], dtype: Any = None, *, stored: bool = True) -> None:
    """Refuse a dataset of another shape or type than expected, or with less data than it declares.

    Args:
        data: the member of a file.
        shape: expected shape; None is any length up to ``MOST_NUMBERS``.
        dtype: expected type; None is any type of number.
        stored: whether to compare the declared size with the bytes in the file, which takes longer for many chunks.

    Raises:
        ValueError: the check fails; the message names the dataset.
    """
    if not isinstance(data, h5py.Dataset):
        raise ValueError(f"expected a dataset, got {shown(data)}")
    name = str(data.name).rpartition("/")[2]
    kinds = data.dtype.kind in "biuf" if dtype is None else data.dtype == dtype
    fits = len(data.shape or ()) == len(shape) and all(
        (got <= MOST_NUMBERS) if want is None else got == want
        for got, want in zip(data.shape or (), shape, strict=True)
    )
    if data.shape is None or not kinds or not fits:
        wanted = f"{'numbers' if dtype is None else np.dtype(dtype)} {_words(shape)}"
        raise ValueError(f"expected {name} {wanted}, got {data.dtype} {data.shape}")
    if data.external or data.is_virtual:
        place = data.external[0][0] if data.external else data.virtual_sources()[0].file_name
        raise ValueError(f"expected the numbers of {name} in the file itself, got those of {shown(place)}")
    declared = math.prod(data.shape) * data.dtype.itemsize
    if stored and declared > _MOST_PACKED * (there := int(data.id.get_storage_size())) + 4096:
        raise ValueError(f"{name} declares {declared} bytes {data.shape}, and the file holds {there} of them, packed")
    if data.chunks is not None:
        check_bytes(f"a chunk of {name}", data.chunks, data.dtype, MOST_CHUNK_BYTES)


def check_bytes(name: str, shape: Sequence[int], dtype: Any, most: int) -> None:
    """Refuse an array that has too many bytes to be read at once.

    Raises:
        ValueError: it has more than ``most``.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size > most:
        raise ValueError(f"{name} {tuple(shape)} has {size} bytes, and at most {most} are read at once")


def _words(shape: Sequence[int | None]) -> str:
    return f"({', '.join('n' if each is None else str(each) for each in shape)})"


def check_global_heaps(path: str | PathLike[str]) -> None:
    """Refuse a file with a global heap that holds an object of no size: libhdf5 reads such a heap in an endless loop.

    HDF5 keeps text and arrays of variable length in global heaps; files without such data need no check. The whole file
    is searched, and only once as long as it does not change.

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
    """Return whether a heap, or bytes that look like one, holds an object of no size."""
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
