"""Where clips come from: a folder of shards, or a public dataset in its own layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from corrwise._files import local_path
from corrwise.predictors.data.clip import ClipSource
from corrwise.predictors.data.datasets.caltech import caltech_pedestrian
from corrwise.predictors.data.datasets.cityscapes import cityscapes_sequences
from corrwise.predictors.data.datasets.kitti import kitti_raw
from corrwise.predictors.data.datasets.vimeo import vimeo_septuplets
from corrwise.predictors.data.folder import ClipFolder

__all__ = ["DATASETS", "Joined", "Part", "open_clips"]

DATASETS: Mapping[str, Callable[[Path, str], ClipSource]] = {
    "kitti": kitti_raw,
    "kitti-prednet": partial(kitti_raw, layout="prednet"),
    "caltech": caltech_pedestrian,
    "cityscapes": cityscapes_sequences,
    "cityscapes-1024": partial(cityscapes_sequences, size=(512, 1024)),
    "vimeo": vimeo_septuplets,
    "vimeo-middle": partial(vimeo_septuplets, middle=True),
}
"""Datasets in their own layout, by what stands before the colon; each is a function of the folder and the split."""


class Part:
    """Some of the clips of a source (``ClipSource``)."""

    def __init__(self, source: ClipSource, chosen: Sequence[int]) -> None:
        self._source, self._chosen = source, list(chosen)
        self.size, self.action_dim = source.size, source.action_dim
        self.lengths = [source.lengths[i] for i in self._chosen]

    def read(self, clip: int, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return frames ``start`` to ``stop`` (not included) of a clip, and the actions between them."""
        return self._source.read(self._chosen[clip], start, stop)

    @staticmethod
    def split(source: ClipSource, held: float | int) -> tuple[Part, Part]:
        """Return the clips to learn from, at least one, and a share of them, the last, that is held out."""
        count = len(source.lengths)
        first = max(1, count - round(held * count))
        return Part(source, range(first)), Part(source, range(first, count))


class Joined:
    """The clips of several sources, one source after the other.

    Args:
        sources: clips of one size.
        actions: whether the actions are needed. Without them A is 0 and actions are (n - 1, 0), so that sources of
            several numbers of actions can be joined.

    Attributes:
        size, action_dim, lengths: see ``ClipSource``.
        about: what the metadata of all sources have in common.

    Raises:
        ValueError: no sources, or clips of several sizes or, where they are needed, numbers of actions.
    """

    def __init__(self, sources: Sequence[ClipSource], *, actions: bool = True) -> None:
        kinds = [(*source.size, *((source.action_dim,) if actions else ())) for source in sources]
        if len(set(kinds)) != 1:
            names = "(H, W, A)" if actions else "(H, W)"
            raise ValueError(
                f"expected clips of one kind to join, got {names} {', '.join(map(str, kinds)) or 'of none'}"
            )
        self._sources, self._actions = list(sources), actions
        self.size, self.action_dim = sources[0].size, sources[0].action_dim if actions else 0
        self.lengths = [length for source in sources for length in source.lengths]
        self._ends = np.cumsum([len(source.lengths) for source in sources])
        first, *others = [getattr(source, "about", {}) for source in sources]
        self.about = {
            name: value for name, value in first.items() if all(name in o and o[name] == value for o in others)
        }

    def read(self, clip: int, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return frames ``start`` to ``stop`` (not included) of a clip, and the actions between them."""
        which = int(np.searchsorted(self._ends, clip, side="right"))
        source = self._sources[which]
        frames, actions = source.read(clip - int(self._ends[which]) + len(source.lengths), start, stop)
        return frames, actions if self._actions else actions[:, :0]


def open_clips(path: Path) -> ClipSource:
    """Return the clips of a folder, or of a dataset: ``kitti:FOLDER`` is its split train, ``kitti:FOLDER@test`` test.

    Raises:
        FileNotFoundError, ValueError: see ``ClipFolder`` and the datasets.
    """
    kind, _, place = str(path).partition(":")
    if not place or kind not in DATASETS:
        return ClipFolder(path)
    folder, at, split = place.rpartition("@")
    if not at or "/" in split or local_path(place).is_dir():  # an @ in the name of a folder
        folder, split = place, "train"
    return DATASETS[kind](Path(folder), split)
