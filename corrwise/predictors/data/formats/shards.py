"""Shards: HDF5 files of a few clips each. A truncated HDF5 file is lost, and with it only a few episodes.

What a shard declares is checked before it is read, see ``hdf5_checks``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from corrwise._files import parse_json, reading, shown
from corrwise.predictors.data.clip import Clip
from corrwise.predictors.data.formats.hdf5_checks import (
    MOST_NUMBERS,
    check_bytes,
    check_dataset,
    check_global_heaps,
    inside,
)

__all__ = [
    "CLIP",
    "FORMAT",
    "MOST_BYTES",
    "MOST_SIDE",
    "SHARD_CLIPS",
    "BrokenShard",
    "opened_shard",
    "read_clip",
    "read_shard",
    "read_states",
    "shard_about",
]

SHARD_CLIPS = 10  # at most
MOST_SIDE = 8192  # pixels to a side of a frame
MOST_BYTES = 2**34  # 16 GiB: of an array that is read at once
_KNOWN = {
    "episodes": list,
    "stamps": list,
    "task": str,
    "frame_skip": int,
    "supersample": int,
}  # optional metadata
_MOST_TEXT = 2**24  # bytes of an attribute
FORMAT = 1
CLIP = "clip-{:02d}"  # the group of each clip


class BrokenShard(ValueError):
    """A shard that cannot be read; the message names the file."""


def shard_about(path: str | PathLike[str]) -> dict[str, Any]:
    """Return the metadata of a shard's clips, including ``lengths``, ``size`` (H, W) and ``action_dim``.

    Raises:
        BrokenShard: it cannot be read, or its arrays do not match its metadata.
    """
    with opened_shard(path) as file:
        return _about(file)


def read_clip(
    path: str | PathLike[str], clip: int, start: int = 0, stop: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return frames ``start`` to ``stop`` (not included; None is all) of one clip, and the actions between them.

    Raises:
        BrokenShard: it cannot be read, or has more than ``MOST_BYTES`` of frames or actions that are not finite in that
            part.
    """
    with opened_shard(path) as file:
        group = inside(file, CLIP.format(clip))
        frames, actions = inside(group, "frames"), inside(group, "actions")
        _check_frames(frames, stored=False)
        check_dataset(actions, (len(frames) - 1, None), np.float32)
        stop = len(frames) if stop is None else stop
        check_bytes("frames", (min(stop, len(frames)) - start, *frames.shape[1:]), np.uint8, MOST_BYTES)
        return frames[start:stop], _finite(actions[start : stop - 1], clip)


def read_states(path: str | PathLike[str], clip: int) -> np.ndarray | None:
    """Return the simulator's states (T, S) of one clip; None where it has none.

    Raises:
        BrokenShard: it cannot be read.
    """
    with opened_shard(path) as file:
        group = inside(file, CLIP.format(clip))
        return _states(group, len(inside(group, "frames")))


def read_shard(path: str | PathLike[str]) -> list[Clip]:
    """Return all clips of a shard.

    Raises:
        BrokenShard: it cannot be read, or has a clip with more than ``MOST_BYTES`` of frames or actions that are not
            finite.
    """
    with opened_shard(path) as file:
        return [_read(inside(file, CLIP.format(i))) for i in range(len(_about(file)["lengths"]))]


@contextmanager
def opened_shard(path: str | PathLike[str]) -> Iterator[h5py.File]:
    """Open a shard. Every error becomes a ``BrokenShard``."""
    with reading(path, "is no shard of clips that can be read", BrokenShard), h5py.File(Path(path), "r") as file:
        yield file


def _about(file: h5py.File) -> dict[str, Any]:
    """Return the metadata of a shard, after checking its types and comparing it with the arrays."""
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
        _finite(inside(group, "actions")[:], i)
    return about


def _text(holder: h5py.Group, name: str) -> str:
    """Return an attribute that is text."""
    kind = holder.attrs.get_id(name)
    if kind.shape != () or h5py.check_string_dtype(kind.dtype) is None or kind.get_storage_size() > _MOST_TEXT:
        raise ValueError(f"expected text of at most {_MOST_TEXT} bytes as {name}, got {kind.dtype} {kind.shape}")
    if kind.dtype.hasobject:  # text of variable length, as in older shards
        check_global_heaps(holder.file.filename)
    text = holder.attrs[name]
    return text.decode() if isinstance(text, bytes) else str(text)


def _whole(values: Any, least: int, most: int) -> bool:
    return isinstance(values, list) and all(type(each) is int and least <= each <= most for each in values)


def _check_frames(frames: Any, *, stored: bool = True) -> None:
    """Refuse what is not an array of frames, or is too large."""
    shape = frames.shape if isinstance(frames, h5py.Dataset) and frames.ndim == 4 else (0, 0, 0, 0)
    if not (shape[0] and 0 < shape[1] <= MOST_SIDE and 0 < shape[2] <= MOST_SIDE):
        got = getattr(frames, "shape", frames)
        raise ValueError(f"expected frames (T, H, W, 3) of at most {MOST_SIDE} pixels to a side, got {shown(got)}")
    check_dataset(frames, (*shape[:3], 3), np.uint8, stored=stored)


def _read(group: h5py.Group) -> Clip:
    """Return a clip whose frames and actions ``_about`` has checked."""
    frames, actions = group["frames"], group["actions"]
    check_bytes("frames", frames.shape, np.uint8, MOST_BYTES)
    states = _states(group, len(frames))
    about = parse_json(_text(group, "about"))
    if not isinstance(about, dict):
        raise ValueError(f"expected the metadata of a clip as an object, got {shown(about)}")
    return Clip(frames[:], actions[:], states, about)


def _finite(actions: np.ndarray, clip: int) -> np.ndarray:
    if not np.isfinite(actions).all():
        raise ValueError(f"expected finite actions in clip {clip}, got NaN or infinity")
    return actions


def _states(group: h5py.Group, length: int) -> np.ndarray | None:
    """Return the states of a clip of that many frames, if it has them."""
    if "states" not in group:
        return None
    check_dataset(inside(group, "states"), (length, None), np.float64)
    states: np.ndarray = group["states"][:]
    return states
