"""Shards: HDF5 files of a few clips each. HDF5 does not survive truncation, so a broken one costs few episodes.

What a shard declares is checked before it is read: a dataset can claim any shape without holding a byte.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from corrwise._files import parse_json, reading, shown
from corrwise.predictors.data.clip import Clip
from corrwise.predictors.data.formats.heaps import check_heaps

__all__ = [
    "CLIP",
    "FORMAT",
    "MOST_BYTES",
    "MOST_CHUNK_BYTES",
    "MOST_NUMBERS",
    "MOST_SIDE",
    "SHARD_CLIPS",
    "BrokenShard",
    "check_dataset",
    "inside",
    "opened_shard",
    "read_clip",
    "read_shard",
    "shard_about",
]

SHARD_CLIPS = 10  # at most
MOST_SIDE = 8192  # pixels to a side of a frame
MOST_NUMBERS = 100_000  # in an action or a state
MOST_CHUNK_BYTES = 2**31  # 2 GiB: of what HDF5 unpacks at a time; eight frames of the largest size are less
MOST_BYTES = 2**34  # 16 GiB: of an array that is read at once
_KNOWN = {"episodes": list, "stamps": list, "task": str, "frame_skip": int, "supersample": int}  # where it is said
_MOST_TEXT = 2**24  # bytes of an attribute
_MOST_PACKED = 1100  # times smaller than what it holds a chunk of gzip can be; zeros come close to it
FORMAT = 1
CLIP = "clip-{:02d}"  # the group of each clip


class BrokenShard(ValueError):
    """A shard that cannot be read; the message names the file."""


def shard_about(path: str | PathLike[str]) -> dict[str, Any]:
    """Return what is known about a shard's clips, among it their ``lengths``, ``size`` (H, W) and ``action_dim``.

    Raises:
        BrokenShard: it cannot be read, or its arrays are not what it says of them.
    """
    with opened_shard(path) as file:
        return _about(file)


def read_clip(
    path: str | PathLike[str], clip: int, start: int = 0, stop: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return frames ``start`` to ``stop`` (not included; None is all) of one clip, and the actions between them.

    Raises:
        BrokenShard: it cannot be read, or has more than ``MOST_BYTES`` of frames in that part.
    """
    with opened_shard(path) as file:
        group = inside(file, CLIP.format(clip))
        frames, actions = inside(group, "frames"), inside(group, "actions")
        _check_frames(frames, stored=False)
        check_dataset(actions, (len(frames) - 1, None), np.float32)
        stop = len(frames) if stop is None else stop
        _check_bytes("frames", (min(stop, len(frames)) - start, *frames.shape[1:]), np.uint8, MOST_BYTES)
        return frames[start:stop], actions[start : stop - 1]


def read_shard(path: str | PathLike[str]) -> list[Clip]:
    """Return all clips of a shard.

    Raises:
        BrokenShard: it cannot be read, or has a clip with more than ``MOST_BYTES`` of frames.
    """
    with opened_shard(path) as file:
        return [_read(inside(file, CLIP.format(i))) for i in range(len(_about(file)["lengths"]))]


def inside(group: Any, name: str) -> Any:
    """Return a member of a group, and nothing that lies in another file.

    Raises:
        KeyError: there is none.
        ValueError: it is a link that leads elsewhere, or the group is none.
    """
    if not isinstance(group, h5py.Group):
        raise ValueError(f"expected a group with {name}, got {shown(group)}")
    link = group.get(name, getlink=True)
    if link is not None and not isinstance(link, h5py.HardLink):
        place = f"{getattr(link, 'filename', '')}:{link.path}"
        raise ValueError(f"expected {name} in the file itself, got a link to {shown(place)}")
    return group[name]


def check_dataset(data: Any, shape: tuple[int | None, ...], dtype: Any = None, *, stored: bool = True) -> None:
    """Refuse a dataset that is another than it should be, or that holds less than it declares.

    Args:
        data: what a file has in its place.
        shape: that it should have; None is any number up to ``MOST_NUMBERS``.
        dtype: that it should have; None is any number type.
        stored: whether to ask how much of it is there, which takes longer for many chunks.

    Raises:
        ValueError: it is another; the message names the dataset.
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
        _check_bytes(f"a chunk of {name}", data.chunks, data.dtype, MOST_CHUNK_BYTES)


@contextmanager
def opened_shard(path: str | PathLike[str]) -> Iterator[h5py.File]:
    """Open a shard; whatever is wrong with it becomes a ``BrokenShard``."""
    with reading(path, "is no shard of clips that can be read", BrokenShard), h5py.File(Path(path), "r") as file:
        yield file


def _about(file: h5py.File) -> dict[str, Any]:
    """Return what a shard says of its clips, of the right types and true of its arrays."""
    about = parse_json(_text(file, "about"))
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise ValueError(f"expected format {FORMAT}, got {shown(about)}")
    size, lengths, actions = about.get("size", []), about.get("lengths", []), about.get("action_dim")
    if not (_whole(size, 1, MOST_SIDE) and len(size) == 2):
        raise ValueError(f"expected size as (H, W) from 1 to {MOST_SIDE} pixels, got {shown(size)}")
    if not (_whole(lengths, 1, 2**62) and len(lengths) == len(file) <= SHARD_CLIPS):
        raise ValueError(f"expected the lengths of {len(file)} clips, at most {SHARD_CLIPS}, got {shown(lengths)}")
    if not _whole([actions], 0, MOST_NUMBERS):
        raise ValueError(f"expected action_dim from 0 to {MOST_NUMBERS}, got {shown(actions)}")
    for name, kind in _KNOWN.items():
        if name in about and type(about[name]) is not kind:
            raise ValueError(f"expected {kind.__name__} as {name}, got {shown(about[name])}")
    for i, length in enumerate(lengths):
        group = inside(file, CLIP.format(i))
        check_dataset(inside(group, "frames"), (length, *size, 3), np.uint8)
        check_dataset(inside(group, "actions"), (length - 1, actions), np.float32)
    return about


def _text(holder: h5py.Group, name: str) -> str:
    """Return an attribute that is text."""
    kind = holder.attrs.get_id(name)
    if kind.shape != () or h5py.check_string_dtype(kind.dtype) is None or kind.get_storage_size() > _MOST_TEXT:
        raise ValueError(f"expected text of at most {_MOST_TEXT} bytes as {name}, got {kind.dtype} {kind.shape}")
    if kind.dtype.hasobject:  # text without a fixed length, as shards of before hold it
        check_heaps(holder.file.filename)
    text = holder.attrs[name]
    return text.decode() if isinstance(text, bytes) else str(text)


def _whole(values: Any, least: int, most: int) -> bool:
    return isinstance(values, list) and all(type(each) is int and least <= each <= most for each in values)


def _check_frames(frames: Any, *, stored: bool = True) -> None:
    """Refuse what are no frames, or larger ones than any."""
    shape = frames.shape if isinstance(frames, h5py.Dataset) and frames.ndim == 4 else (0, 0, 0, 0)
    if not (shape[0] and 0 < shape[1] <= MOST_SIDE and 0 < shape[2] <= MOST_SIDE):
        got = getattr(frames, "shape", frames)
        raise ValueError(f"expected frames (T, H, W, 3) of at most {MOST_SIDE} pixels to a side, got {shown(got)}")
    check_dataset(frames, (*shape[:3], 3), np.uint8, stored=stored)


def _check_bytes(name: str, shape: Sequence[int], dtype: Any, most: int) -> None:
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size > most:
        raise ValueError(f"{name} {tuple(shape)} has {size} bytes, and at most {most} are read at once")


def _words(shape: Sequence[int | None]) -> str:
    return f"({', '.join('n' if each is None else str(each) for each in shape)})"


def _read(group: h5py.Group) -> Clip:
    """Return a clip whose frames and actions ``_about`` has checked."""
    frames, actions, states = group["frames"], group["actions"], None
    _check_bytes("frames", frames.shape, np.uint8, MOST_BYTES)
    if "states" in group:
        check_dataset(inside(group, "states"), (len(frames), None), np.float64)
        states = group["states"][:]
    about = parse_json(_text(group, "about"))
    if not isinstance(about, dict):
        raise ValueError(f"expected what is known of a clip as an object, got {shown(about)}")
    return Clip(frames[:], actions[:], states, about)
