"""Cityscapes video snippets (Cordts et al., CVPR 2016): 30 frames at 17 frames per second."""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path

from corrwise._files import local_path
from corrwise.predictors.data.datasets.image_sequences import ImageFiles, ImageSequences, consecutive, pick

__all__ = ["CITYSCAPES_SPLITS", "cityscapes_sequences"]

CITYSCAPES_SPLITS = ("train", "val", "test")

_SNIPPET = 30
_NAME = re.compile(r"(.+_\d{6})_(\d{6})_leftImg8bit\.(?:png|jpe?g)")  # city and sequence, frame


def cityscapes_sequences(
    folder: str | PathLike[str], split: str = "train", *, size: tuple[int, int] = (256, 512)
) -> ImageSequences:
    """Return the snippets of a split: runs of consecutive frame numbers, of 30 frames at most.

    Args:
        folder: contains ``leftImg8bit_sequence/<split>/<city>/<city>_<sequence>_<frame>_leftImg8bit.png``, as in the
            archive, or the same frames as JPEG (``.jpg``). If a frame exists as both, the PNG is read.
        split: train, val or test.
        size: (H, W) to which images are resized; Geng et al. (CVPR 2022) use (256, 512) and (512, 1024).

    Raises:
        FileNotFoundError: the folder has no frames of the split.
        ValueError: an unknown split.
    """
    pick("split of Cityscapes", split, dict.fromkeys(CITYSCAPES_SPLITS))
    root = local_path(folder) / "leftImg8bit_sequence" / split
    videos: dict[str, dict[int, Path]] = {}
    for file in sorted(root.glob("*/*_leftImg8bit.*")):  # a .png replaces a .jpg
        if match := _NAME.fullmatch(file.name):
            videos.setdefault(match[1], {})[int(match[2])] = file
    runs = [run for video in videos.values() for run in consecutive(video)]
    if not runs:
        raise FileNotFoundError(
            f"expected frames of Cityscapes' split {split}, such as "
            f"{root / 'city' / 'city_000000_000000_leftImg8bit.png'}, got none"
        )
    snippets = [run[i : i + _SNIPPET] for run in runs for i in range(0, len(run), _SNIPPET)]
    return ImageSequences([ImageFiles(snippet) for snippet in snippets], size, resize=size)
