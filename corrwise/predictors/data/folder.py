"""A folder of shards, and the index that lists what should be in it."""

from __future__ import annotations

import re
import warnings
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from corrwise._files import read_json, shown
from corrwise.predictors.data.formats.shards import BrokenShard, read_clip, read_states, shard_about

__all__ = ["INDEX", "ClipFolder", "read_index", "shard_name"]

INDEX = "index.json"
_SHARD = re.compile(r"shard-\d+\.h5", re.ASCII)
_CACHE = 2**30  # bytes of frames that are kept in memory


def shard_name(i: int) -> str:
    """Return the file name of the i-th shard."""
    return f"shard-{i:05d}.h5"


class ClipFolder:
    """The clips of a folder (a ``ClipSource``). A broken shard is named in a warning; all others stay readable.

    Args:
        path: a folder of shards. Its index.json is optional and lists the clips of each shard, so that the clips of a
            broken shard can be named. A shard may be a link to a file elsewhere; the index may name only shards of
            the folder.

    Attributes:
        size, action_dim, lengths: see ``ClipSource``.
        about: metadata of all clips, such as the task and versions.
        broken: a sentence for each shard that cannot be read.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: it holds no clips that can be read, or clips of several sizes or numbers of actions, or its index
            names a file outside it.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise FileNotFoundError(f"there is no folder of clips at {self.path}")
        index = read_index(self.path)
        self.broken: list[str] = []
        self.lengths: list[int] = []
        self._where: list[tuple[Path, int]] = []
        shards: dict[str, dict[str, Any]] = {}
        for name in sorted({*index, *(file.name for file in self.path.glob("shard-*.h5"))}):
            try:
                shards[name] = shard_about(self.path / name)
            except BrokenShard as error:
                self.broken.append(f"{error}{_lost(index.get(name))}")
                warnings.warn(self.broken[-1], stacklevel=2)
        for name, about in shards.items():
            self.lengths += about["lengths"]
            self._where += [(self.path / name, i) for i in range(len(about["lengths"]))]
        if not shards:
            why = "; ".join(self.broken) or "expected shard-*.h5, as corrwise collect writes them"
            raise ValueError(f"{self.path} holds no clips: {why}")
        kinds = {name: ((*about["size"],), about["action_dim"]) for name, about in shards.items()}
        first, kind = next(iter(kinds.items()))
        other = next((name for name in kinds if kinds[name] != kind), None)
        if other is not None:
            raise ValueError(
                f"{self.path} mixes clips: (H, W), A are {kind} in {first} and {kinds[other]} in {other}; "
                "train on folders of one kind"
            )
        self.size, self.action_dim = kind
        self.about = shards[first]
        self._cache: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._free = _CACHE
        self._reading = Lock()

    def read(
        self, clip: int, start: int, stop: int
    ) -> tuple[UInt8[np.ndarray, "n H W 3"], Float32[np.ndarray, "steps A"]]:
        """Return frames ``start`` to ``stop`` (not included) of a clip, and the actions between them.

        Raises:
            BrokenShard: its shard can no longer be read.
        """
        if clip in self._cache:
            frames, actions = self._cache[clip]
            return frames[start:stop], actions[start : stop - 1]
        path, i = self._where[clip]
        if self.lengths[clip] * 3 * self.size[0] * self.size[1] > self._free:
            return read_clip(path, i, start, stop)
        with self._reading:
            if clip not in self._cache:
                self._cache[clip] = read_clip(path, i)
                self._free -= self._cache[clip][0].nbytes
        return self.read(clip, start, stop)

    def states(self, clip: int) -> Float64[np.ndarray, "T S"] | None:
        """Return the simulator's state behind each frame of a clip; None where they are not known.

        Raises:
            BrokenShard: its shard can no longer be read.
        """
        return read_states(*self._where[clip])


def read_index(path: Path) -> dict[str, dict[str, Any]]:
    """Return what index.json states about each shard; an empty dictionary if there is no such file.

    Shards can be read without an index. An index that cannot be read is named in a warning.

    Raises:
        ValueError: it names a file that is not a shard of the folder.
    """
    file = path / INDEX
    if not file.exists():
        return {}
    try:
        index = read_json(file)
        shards = index["shards"] if isinstance(index, dict) and "shards" in index else None
        if not isinstance(shards, dict):
            raise ValueError(f"{file} is no index of shards: expected an object of shards, got {shown(index)}")
    except (OSError, ValueError) as error:
        warnings.warn(f"{error}; the shards are read without it", stacklevel=2)
        return {}
    for name in shards:
        if not _SHARD.fullmatch(name):
            raise ValueError(f"expected {file} to name files of {path} such as {shard_name(0)}, got {shown(name)}")
    return {name: about if isinstance(about, dict) else {} for name, about in shards.items()}


def _lost(about: Any) -> str:
    return (
        f"; its episodes {shown(about['episodes'])} are lost" if isinstance(about, dict) and "episodes" in about else ""
    )
