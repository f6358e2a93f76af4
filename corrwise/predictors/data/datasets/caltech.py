"""Caltech Pedestrian (Dollar et al., PAMI 2012) at 10 frames per second, the rate of KITTI."""

from __future__ import annotations

from os import PathLike
from typing import Any

from corrwise._files import local_path
from corrwise.predictors.data.datasets.image_sequences import ImageSequences, pick
from corrwise.predictors.data.formats.norpix import NorpixSequence

__all__ = ["CALTECH_SPLITS", "caltech_pedestrian"]

CALTECH_SPLITS = {
    "train": tuple(f"set{i:02d}" for i in range(6)),
    "test": tuple(f"set{i:02d}" for i in range(6, 11)),
}

_EVERY = 3  # of 30 frames per second
_LAYOUTS: dict[str, dict[str, Any]] = {
    "geng": {"resize": (288, 384), "size": (288, 384)},
    "prednet": {"resize": 128, "size": (128, 160)},
}


def caltech_pedestrian(folder: str | PathLike[str], split: str = "train", *, layout: str = "geng") -> ImageSequences:
    """Return the videos of a split, every third of their frames.

    Args:
        folder: contains ``set<number>/V<number>.seq``, as in the archives.
        split: train (sets 00 to 05) or test (06 to 10).
        layout: geng (Geng et al., CVPR 2022: 288 x 384) or prednet (Lotter et al., ICLR 2017: shorter side 128,
            then a centre crop of 128 x 160).

    Raises:
        FileNotFoundError: the folder has none of the split's videos.
        ValueError: an unknown split or layout, or a broken file.
    """
    sets, form = pick("split of Caltech", split, CALTECH_SPLITS), pick("layout of Caltech", layout, _LAYOUTS)
    root = local_path(folder)
    files = [file for name in sets for file in sorted((root / name).glob("V*.seq"))]
    if not files:
        raise FileNotFoundError(
            f"expected videos of Caltech's split {split} ({sets[0]} to {sets[-1]}), such as "
            f"{root / sets[0] / 'V000.seq'}, got none"
        )
    return ImageSequences([NorpixSequence(file, every=_EVERY) for file in files], **form)
