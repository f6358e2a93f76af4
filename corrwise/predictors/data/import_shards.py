"""The shards of an import. Each keeps its clips when others are added to the source, change or are removed."""

from __future__ import annotations

import re
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from tqdm import tqdm

from corrwise._writing import write_aside, write_json_atomic
from corrwise.predictors.data.clip import BrokenClip
from corrwise.predictors.data.folder import INDEX, read_index, shard_name
from corrwise.predictors.data.formats.shard_writer import ShardWriter, shard_is_full
from corrwise.predictors.data.formats.shards import BrokenShard, shard_about

__all__ = ["ClipReader", "ImportShards"]

Row = dict[str, Any]
_SHARD = re.compile(r"shard-(\d{5,})\.h5")


@runtime_checkable
class ClipReader(Protocol):
    """Clips that can be imported; each is read when it is requested."""

    names: list[str]
    action_dim: int
    broken: dict[str, str]

    def stamp(self, i: int) -> str:
        """Return a text that changes when the files of a clip change."""
        ...

    def actions(self, i: int) -> np.ndarray | None:
        """Return the actions of a clip; None if it has none."""
        ...

    def frames(self, i: int) -> Iterator[np.ndarray]:
        """Yield the frames of a clip as they are decoded."""
        ...


@dataclass(frozen=True)
class _Shard:
    """A shard as it was when the import began.

    Attributes:
        name: of the file.
        about: its metadata; None if it cannot be read.
        episodes: names of its clips, from the shard itself or else from the index.
    """

    name: str
    about: Row | None
    episodes: list[str]


class _Unchanged(Exception):
    """A shard has not changed, and its new version is discarded."""


class ImportShards:
    """Updates the shards of a folder from a source, one after the other. A shard is replaced as a whole.

    A shard keeps its clips, in their order. A clip whose files have changed is read again in its place, and a clip that
    the source no longer has is removed; the others of its shard are copied without decoding. New clips are added to
    shards that are not full, then to new shards. A shard without clips is removed.

    Args:
        out: the folder.
        clips: the source.
        size: (H, W) of the frames.
        about: metadata of all clips.
        versions: of the software, which every new shard records.
        skip_broken: whether to continue without clips that cannot be read.

    Attributes:
        index: the metadata of each shard, by name.
        skipped: why clips could not be read, by name.
        new, removed: number of clips that were read, and that were removed because the source no longer has them.
    """

    def __init__(
        self,
        out: Path,
        clips: ClipReader,
        size: tuple[int, int],
        about: Mapping[str, Any],
        versions: Mapping[str, str],
        *,
        skip_broken: bool = False,
    ) -> None:
        self.index: dict[str, Row] = {}
        self.skipped: dict[str, str] = {}
        self.new = self.removed = 0
        self._out, self._clips, self._size, self._about, self._skip_broken = out, clips, size, about, skip_broken
        self._versions = dict(versions)
        self._number = {name: i for i, name in enumerate(clips.names)}
        self._stamps: dict[str, str] = {}
        self._waiting: deque[str] = deque()

    def update(self) -> None:
        """Write, replace and remove shards, and write the index.

        Raises:
            BrokenClip: without ``skip_broken``, a clip cannot be read.
            RunFolderError: a shard cannot be written.
        """
        self.skipped.update(self._clips.broken)
        self._stamps.update(self._all_stamps())
        shards = self._existing()
        kept = self._kept(shards)
        placed = {name for names in kept for name, _ in names}
        self._waiting.extend(name for name in self._stamps if name not in placed)
        with tqdm(total=len(self._clips.names), unit="clip", desc=self._out.name) as bar:
            for shard, names in zip(shards, kept, strict=True):
                self._update(shard, names, bar)
            number = max((int(shard.name[6:-3]) for shard in shards), default=-1) + 1
            while self._waiting:
                self._update(_Shard(shard_name(number), None, []), [], bar)
                number += 1

    def _all_stamps(self) -> dict[str, str]:
        """Return the stamp of each clip whose files exist, by name."""
        stamps = {}
        for name, i in self._number.items():
            try:
                stamps[name] = self._clips.stamp(i)
            except OSError as error:
                self._skip(name, BrokenClip(f"{error.filename or name} cannot be read: {error.strerror or error}"))
        return stamps

    def _existing(self) -> list[_Shard]:
        known = read_index(self._out)
        names = {*known, *(path.name for path in self._out.glob("shard-*.h5"))}
        shards = []
        for name in sorted(filter(_SHARD.fullmatch, names)):
            about = _about(self._out / name)
            row = known.get(name) if about is None else about
            if isinstance(row, dict):
                self.index[name] = row  # also of a shard that cannot be read, until it is replaced
            episodes = self.index.get(name, {}).get("episodes", [])
            shards.append(_Shard(name, about, [episode for episode in episodes if isinstance(episode, str)]))
        return shards

    def _kept(self, shards: list[_Shard]) -> list[list[tuple[str, int]]]:
        """Return the names and indices of the clips that each shard keeps."""
        there, placed = self._number.keys() | self.skipped.keys(), set[str]()
        kept: list[list[tuple[str, int]]] = []
        for shard in shards:
            self.removed += sum(name not in there for name in shard.episodes)
            kept.append([])
            for i, name in enumerate(shard.episodes):
                if name in self._stamps and name not in placed:
                    placed.add(name)
                    kept[-1].append((name, i))
        return kept

    def _update(self, shard: _Shard, kept: list[tuple[str, int]], bar: tqdm[Any]) -> None:
        path, about = self._out / shard.name, shard.about
        fits = about is not None and about["action_dim"] == self._clips.action_dim
        stamps = dict(zip(shard.episodes, (about or {}).get("stamps", []), strict=False))
        same = {name for name, _ in kept if fits and stamps.get(name) == self._stamps[name]}
        whole = about is not None and len(same) == len(shard.episodes)
        if about is not None and whole and (not self._waiting or shard_is_full(about["lengths"], self._size)):
            bar.update(len(kept))
            return
        taken: list[str] = []
        before = self.new
        try:
            with write_aside(path) as aside, ShardWriter(aside, self._size, self._clips.action_dim) as writer:
                for name, i in kept:
                    if (name in same and _copied(writer, path, i)) or self._read(writer, name):
                        taken.append(name)
                    bar.update()
                while self._waiting and not writer.is_full:
                    if self._read(writer, name := self._waiting.popleft()):
                        taken.append(name)
                    bar.update()
                if not taken or (whole and self.new == before and len(taken) == len(kept)):
                    raise _Unchanged
                self._describe(writer, taken)
        except _Unchanged:
            if not taken:
                self.index.pop(shard.name, None)
                path.unlink(missing_ok=True)
        else:
            self.index[shard.name] = shard_about(path)
        self.write_index()

    def _describe(self, writer: ShardWriter, taken: list[str]) -> None:
        stamps = [self._stamps[name] for name in taken]
        writer.describe({**self._about, "episodes": taken, "stamps": stamps, "versions": self._versions})

    def write_index(self, **more: Any) -> None:
        """Write the index, with additional entries."""
        shards = dict(sorted(self.index.items()))
        write_json_atomic(self._out / INDEX, {**self._about, "shards": shards, **more})

    def _read(self, writer: ShardWriter, name: str) -> bool:
        """Read a clip into a shard, and return whether it could be read."""
        i = self._number[name]
        try:
            writer.add(_frames(self._clips, i, name), self._clips.actions(i), {"name": name})
        except ValueError as error:
            self._skip(name, error)
            return False
        self.new += 1
        return True

    def _skip(self, name: str, error: ValueError) -> None:
        if not self._skip_broken:
            raise BrokenClip(str(error)) from error
        self.skipped[name] = str(error)


def _about(path: Path) -> Row | None:
    try:
        return shard_about(path) if path.exists() else None
    except BrokenShard as error:
        tqdm.write(f"{error}; it is written again", file=sys.stderr)
        return None


def _frames(clips: ClipReader, i: int, name: str) -> Iterator[np.ndarray]:
    """Yield the frames of a clip. Errors of reading become ``BrokenClip``, unlike those of writing."""
    try:
        yield from clips.frames(i)
    except (OSError, MemoryError) as error:
        raise BrokenClip(f"{name} cannot be read: {error or 'not enough memory'}") from error


def _copied(writer: ShardWriter, path: Path, i: int) -> bool:
    try:
        writer.copy(path, i)
    except BrokenShard:
        return False  # it is read from the source
    return True
