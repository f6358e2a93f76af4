"""KITTI raw (Geiger et al., IJRR 2013) with the splits of PredNet (Lotter et al., ICLR 2017)."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from corrwise._files import local_path
from corrwise.predictors.data.datasets.image_sequences import ImageFiles, ImageSequences, consecutive, pick

__all__ = ["KITTI_DRIVES", "KITTI_SPLITS", "kitti_raw"]


def _named(drives: dict[str, str]) -> tuple[str, ...]:
    return tuple(f"{date}_drive_{number}" for date, numbers in drives.items() for number in numbers.split())


KITTI_DRIVES = {
    "city": _named({
        "2011_09_26": "0001 0002 0005 0009 0011 0013 0014 0017 0018 0048 0051 0056 0057 0059 0060 0084 0091 0093 0095 "
        "0096 0104 0106 0113 0117",
        "2011_09_28": "0001 0002",
        "2011_09_29": "0026 0071",
    }),
    "residential": _named({
        "2011_09_26": "0019 0020 0022 0023 0035 0036 0039 0046 0061 0064 0079 0086 0087",
        "2011_09_30": "0018 0020 0027 0028 0033 0034",
        "2011_10_03": "0027 0034",
    }),
    "road": _named({
        "2011_09_26": "0015 0027 0028 0029 0032 0052 0070 0101",
        "2011_09_29": "0004",
        "2011_09_30": "0016",
        "2011_10_03": "0042 0047",
    }),
}  # fmt: skip
"""Drives by category, without Campus, Person and Calibration, as in PredNet."""

_VAL = _named({"2011_09_26": "0005"})
_TEST = _named({"2011_09_26": "0070 0079 0104"})  # one of each category
_TRAIN = tuple(sorted(drive for drives in KITTI_DRIVES.values() for drive in drives if drive not in _VAL + _TEST))

KITTI_SPLITS = {"train": _TRAIN, "val": _VAL, "test": _TEST}
"""57, 1 and 3 drives."""

_SUFFIXES = (".jpeg", ".jpg", ".png")  # a later one overrides an earlier one
_LAYOUTS: dict[str, dict[str, Any]] = {
    "geng": {"resize": (256, 848), "size": (256, 512)},
    "prednet": {"resize": 128, "size": (128, 160)},
}


def kitti_raw(folder: str | PathLike[str], split: str = "train", *, layout: str = "geng") -> ImageSequences:
    """Return the drives of a split, 10 frames per second of the right colour camera.

    Each drive is one clip; a missing frame splits it.

    Args:
        folder: contains ``<date>/<date>_drive_<number>_sync/image_03/data/<frame>.png``, as in the archives, or the
            same frames as JPEG (``.jpg``). If a frame exists as both, the PNG is read.
        split: train, val or test.
        layout: geng (Geng et al., CVPR 2022: resized to 256 x 848, then a centre crop of 256 x 512) or prednet (Lotter
            et al.: shorter side 128, then a centre crop of 128 x 160).

    Raises:
        FileNotFoundError: the folder has none of the split's drives.
        ValueError: an unknown split or layout.
    """
    drives, form = pick("split of KITTI", split, KITTI_SPLITS), pick("layout of KITTI", layout, _LAYOUTS)
    root = local_path(folder)
    folders = [root / drive[:10] / f"{drive}_sync" / "image_03" / "data" for drive in drives]
    clips = [ImageFiles(run) for drive in folders for run in _runs(drive)]
    if not clips:
        raise FileNotFoundError(
            f"expected at least one of the {len(drives)} drives of KITTI's split {split}, such as {folders[0]} with "
            "0000000000.png and so on, got none"
        )
    return ImageSequences(clips, **form)


def _runs(drive: Path) -> list[list[Path]]:
    files = [file for suffix in _SUFFIXES for file in sorted(drive.glob(f"*{suffix}")) if file.stem.isdecimal()]
    return consecutive({int(file.stem): file for file in files})
