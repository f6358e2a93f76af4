"""Shards: HDF5 files of a few clips each. HDF5 does not survive truncation, so a broken one costs few episodes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from corrwise.predictors.clips.clip import Clip, check_clip

__all__ = ["SHARD_CLIPS", "BrokenShard", "read_clip", "read_shard", "shard_about", "write_shard"]

SHARD_CLIPS = 10  # at most
_FORMAT = 1
_NAME = "clip-{:02d}"
_FRAMES_A_CHUNK = 8  # a training window touches one or two
_PACKED = {"compression": "gzip", "compression_opts": 4}


class BrokenShard(ValueError):
    """A shard that cannot be read; the message names the file."""


def write_shard(path: str | PathLike[str], clips: Sequence[Clip], about: Mapping[str, Any]) -> None:
    """Write clips of one size, and what is known about all of them.

    Raises:
        ValueError: no clips or too many, arrays that do not fit each other, or clips that do not.
        OSError: the file cannot be written.
    """
    if not 1 <= len(clips) <= SHARD_CLIPS:
        raise ValueError(f"expected 1 to {SHARD_CLIPS} clips in a shard, got {len(clips)}")
    kinds = {check_clip(clip) for clip in clips}
    if len(kinds) > 1:
        raise ValueError(f"expected clips of one size and one number of actions, got (H, W), A of {sorted(kinds)}")
    ((size, action_dim),) = kinds
    lengths = [len(clip.frames) for clip in clips]
    told = {**about, "format": _FORMAT, "size": size, "action_dim": action_dim, "lengths": lengths}
    with h5py.File(path, "w") as file:
        file.attrs["about"] = json.dumps(told)
        for i, clip in enumerate(clips):
            _write(file.create_group(_NAME.format(i)), clip)


def shard_about(path: str | PathLike[str]) -> dict[str, Any]:
    """Return what is known about a shard's clips, among it their ``lengths``, ``size`` (H, W) and ``action_dim``.

    Raises:
        BrokenShard: it cannot be read.
    """
    with _opened(path) as file:
        about = dict(json.loads(file.attrs["about"]))
        if about["format"] != _FORMAT or len(file) != len(about["lengths"]):
            raise ValueError(f"format {about['format']} with {len(file)} of {len(about['lengths'])} clips")
        return about


def read_clip(
    path: str | PathLike[str], clip: int, start: int = 0, stop: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return frames ``start`` to ``stop`` (not included; None is all) of one clip, and the actions between them.

    Raises:
        BrokenShard: it cannot be read.
    """
    with _opened(path) as file:
        group = file[_NAME.format(clip)]
        stop = len(group["frames"]) if stop is None else stop
        return group["frames"][start:stop], group["actions"][start : stop - 1]


def read_shard(path: str | PathLike[str]) -> list[Clip]:
    """Return all clips of a shard.

    Raises:
        BrokenShard: it cannot be read.
    """
    with _opened(path) as file:
        return [_read(file[_NAME.format(i)]) for i in range(len(json.loads(file.attrs["about"])["lengths"]))]


@contextmanager
def _opened(path: str | PathLike[str]) -> Iterator[h5py.File]:
    """Open a shard; whatever is wrong with it becomes a ``BrokenShard``."""
    try:
        with h5py.File(Path(path), "r") as file:
            yield file
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BrokenShard(f"{path} is no shard of clips that can be read: {said}") from error


def _write(group: h5py.Group, clip: Clip) -> None:
    chunk = (min(_FRAMES_A_CHUNK, len(clip.frames)), *clip.frames.shape[1:])
    group.create_dataset("frames", data=clip.frames, chunks=chunk, **_PACKED)
    group.create_dataset("actions", data=clip.actions.astype(np.float32))
    if clip.states is not None:
        group.create_dataset("states", data=clip.states.astype(np.float64), **_PACKED)
    group.attrs["about"] = json.dumps(dict(clip.about))


def _read(group: h5py.Group) -> Clip:
    states = group["states"][:] if "states" in group else None
    return Clip(group["frames"][:], group["actions"][:], states, json.loads(group.attrs["about"]))
