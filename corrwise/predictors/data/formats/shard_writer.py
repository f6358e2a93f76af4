"""Writing shards: all clips at once, or clip by clip from a stream of frames."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from os import PathLike
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float32, UInt8

from corrwise.predictors.data.clip import Clip, check_clip
from corrwise.predictors.data.formats.shards import CLIP, FORMAT, SHARD_CLIPS, opened_shard

__all__ = ["SHARD_BYTES", "ShardWriter", "WrittenHDF5", "shard_is_full", "write_shard"]


class WrittenHDF5:
    """A new HDF5 file; a context manager that raises the first error of writing when it exits.

    HDF5 buffers what is written, so an error may occur while the file is closed, where h5py ignores it and HDF5 1.14
    ends with a segmentation fault. Here errors are recorded and kept from HDF5.

    Args:
        path: the file; an existing one is replaced.

    Attributes:
        file: to write to.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self._disk = _Disk(path)
        self.file = h5py.File(self._disk, "w")

    def __enter__(self) -> WrittenHDF5:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.file.close()
        except (OSError, RuntimeError):
            if self._disk.error is None:
                raise
        finally:
            self._disk.close()
        if error is None or isinstance(error, Exception):
            self.check()  # later errors follow from the first

    def check(self) -> None:
        """Raise the first error of writing, if there was one."""
        if self._disk.error is not None:
            raise self._disk.error


class _Disk(io.FileIO):
    """A file that records its first error of writing and then ignores all further writes."""

    def __init__(self, path: str | PathLike[str]) -> None:
        super().__init__(path, "w+")
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of the data; after an error, write nothing."""
        rest = memoryview(data).cast("B")
        length = len(rest)
        try:
            while len(rest) and self.error is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return length

    def truncate(self, size: int | None = None) -> int:
        """Change the length, and record an error."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0


SHARD_BYTES = 2**30  # of frames; a shard of this size takes no more clips
_MOST_FIXED = 32_768  # bytes of text that is stored with a fixed length
_FRAMES_A_CHUNK = 8  # a training window touches one or two
_PACKED = {"compression": "gzip", "compression_opts": 4}


def write_shard(path: str | PathLike[str], clips: Sequence[Clip], about: Mapping[str, Any]) -> None:
    """Write clips of one size and their common metadata.

    Raises:
        ValueError: no clips or too many, arrays whose shapes do not match, or clips of several sizes.
        OSError: the file cannot be written.
    """
    if not 1 <= len(clips) <= SHARD_CLIPS:
        raise ValueError(f"expected 1 to {SHARD_CLIPS} clips in a shard, got {len(clips)}")
    kinds = {check_clip(clip) for clip in clips}
    if len(kinds) > 1:
        raise ValueError(f"expected clips of one size and one number of actions, got (H, W), A of {sorted(kinds)}")
    ((size, action_dim),) = kinds
    with WrittenHDF5(path) as written:
        _describe(written.file, about, size, action_dim, [len(clip.frames) for clip in clips])
        for i, clip in enumerate(clips):
            _write(written.file.create_group(CLIP.format(i)), clip)


class ShardWriter:
    """A shard to which clips are added as their frames are decoded; a context manager.

    Args:
        path: the file.
        size: (H, W) of the frames.
        action_dim: A.

    Attributes:
        lengths: frames of each clip so far.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: str | PathLike[str], size: tuple[int, int], action_dim: int) -> None:
        self.lengths: list[int] = []
        self._size, self._action_dim = size, action_dim
        self._written = WrittenHDF5(path)
        self._file = self._written.file

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._written.__exit__(kind, error, at)

    @property
    def is_full(self) -> bool:
        """Whether it takes no more clips."""
        return shard_is_full(self.lengths, self._size)

    def add(
        self,
        frames: Iterable[UInt8[np.ndarray, "H W 3"]],
        actions: Float32[np.ndarray, "steps A"] | None,
        about: Mapping[str, Any],
    ) -> None:
        """Write a clip with only a few frames in memory at a time. After an error, nothing of the clip is kept.

        Args:
            frames: of the clip, in order.
            actions: between the frames; None stands for A = 0.
            about: metadata of the clip.

        Raises:
            ValueError: no frames, or another number of actions.
            OSError: the file cannot be written.
        """
        name = CLIP.format(len(self.lengths))
        group = self._file.create_group(name)
        try:
            length = self._append(group, frames)
            steps = np.zeros((length - 1, 0), np.float32) if actions is None else actions
            if length < 1 or steps.shape != (length - 1, self._action_dim):
                raise ValueError(
                    f"expected {length - 1} actions of {self._action_dim} numbers between the {length} frames of "
                    f"{about.get('name', name)}, got {steps.shape}"
                )
            group.create_dataset("actions", data=steps.astype(np.float32))
            _note(group.attrs, "about", about)
        except ValueError:
            del group, self._file[name]
            raise
        self.lengths.append(length)

    def copy(self, path: str | PathLike[str], clip: int) -> None:
        """Copy a clip of another shard without decoding it.

        Raises:
            BrokenShard: it cannot be read.
        """
        name = CLIP.format(len(self.lengths))
        with opened_shard(path) as source:
            length = len(source[CLIP.format(clip)]["frames"])
            source.copy(CLIP.format(clip), self._file, name)
        self._written.check()
        self.lengths.append(length)

    def _append(self, group: h5py.Group, frames: Iterable[np.ndarray]) -> int:
        """Write frames chunk by chunk, and return their number."""
        data, length = None, 0
        for block in _blocks(frames):
            if data is None:
                grows = (None, *block.shape[1:])
                data = group.create_dataset("frames", data=block, maxshape=grows, chunks=block.shape, **_PACKED)
            else:
                data.resize(length + len(block), axis=0)
                data[length:] = block
            length += len(block)
            self._written.check()
        return length

    def describe(self, about: Mapping[str, Any]) -> None:
        """Write the metadata of all clips, without which the shard cannot be read."""
        _describe(self._file, about, self._size, self._action_dim, self.lengths)


def shard_is_full(lengths: Sequence[int], size: tuple[int, int]) -> bool:
    """Return whether a shard takes no more clips, from the number of frames of each clip and their size (H, W)."""
    return len(lengths) >= SHARD_CLIPS or 3 * sum(lengths) * size[0] * size[1] >= SHARD_BYTES


def _note(attributes: Any, name: str, value: Mapping[str, Any]) -> None:
    """Write an attribute as JSON, with a fixed length if it fits into an object's header."""
    text = json.dumps(value)
    attributes[name] = np.bytes_(text) if len(text) <= _MOST_FIXED else text


def _describe(
    file: h5py.File, about: Mapping[str, Any], size: tuple[int, int], action_dim: int, lengths: Sequence[int]
) -> None:
    known = {**about, "format": FORMAT, "size": size, "action_dim": action_dim, "lengths": list(lengths)}
    _note(file.attrs, "about", known)


def _blocks(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    frames = iter(frames)
    while block := list(islice(frames, _FRAMES_A_CHUNK)):
        yield np.stack(block)


def _write(group: h5py.Group, clip: Clip) -> None:
    chunk = (min(_FRAMES_A_CHUNK, len(clip.frames)), *clip.frames.shape[1:])
    group.create_dataset("frames", data=clip.frames, chunks=chunk, **_PACKED)
    group.create_dataset("actions", data=clip.actions.astype(np.float32))
    if clip.states is not None:
        group.create_dataset("states", data=clip.states.astype(np.float64), **_PACKED)
    _note(group.attrs, "about", dict(clip.about))
