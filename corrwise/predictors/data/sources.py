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

__all__ = ["DATASETS", "Part", "open_clips"]

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
