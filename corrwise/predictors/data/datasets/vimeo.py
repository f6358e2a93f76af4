"""Vimeo-90K's septuplets (Xue et al., IJCV 2019): clips of 7 frames for interpolation."""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path

from corrwise._files import local_path, shown
from corrwise.predictors.data.datasets.image_sequences import ImageFiles, ImageSequences, pick

__all__ = ["VIMEO_SPLITS", "vimeo_septuplets"]

VIMEO_SPLITS = {"train": "sep_trainlist.txt", "test": "sep_testlist.txt"}

_SIZE = (256, 448)
_CLIP = re.compile(r"\d{5}/\d{4}", re.ASCII)
_FRAMES = 7
_MIDDLE = (3, 4, 5)  # the two middle frames around the fourth, of Geng et al., Table 6
_LONGEST = 2**24  # bytes of a list: the largest has less than a twentieth


def vimeo_septuplets(folder: str | PathLike[str], split: str = "train", *, middle: bool = False) -> ImageSequences:
    """Return a split's clips, 7 frames of 256 x 448 each.

    Of windows of 7 frames, a gap of 6 gives the known frames 1 and 7 of Geng et al. (CVPR 2022, Table A2), and four
    known frames with a gap of 2 give 1, 3, 5 and 7 as FLAVR has them.

    Args:
        folder: holds ``sequences/00001/0001/im1.png`` to ``im7.png``, and the lists ``sep_trainlist.txt`` and
            ``sep_testlist.txt``, as the archive unpacks.
        split: train or test.
        middle: frames 3 to 5 alone, which with a gap of 2 are the task of Table 6.

    Raises:
        FileNotFoundError: no list, or a clip of it is missing.
        ValueError: an unknown split, or a list with a line that names no clip.
    """
    name, root = pick("split of Vimeo-90K", split, VIMEO_SPLITS), local_path(folder)
    clips = _listed(root / name)
    frames = _MIDDLE if middle else range(1, _FRAMES + 1)
    videos = [[root / "sequences" / clip / f"im{i}.png" for i in frames] for clip in clips]
    missing = [files[0] for files in videos if not files[0].is_file()]
    if missing:
        raise FileNotFoundError(
            f"{root / name} lists {len(videos)} clips, and {len(missing)} of them are missing, such as {missing[0]}"
        )
    return ImageSequences([ImageFiles(files) for files in videos], _SIZE)


def _listed(path: Path) -> list[str]:
    """Return the clips that a list names, each a line such as 00001/0001; empty lines are left out."""
    if not path.is_file():
        raise FileNotFoundError(f"expected a list of Vimeo-90K's clips at {path}, which does not exist")
    if (size := path.stat().st_size) > _LONGEST:
        raise ValueError(f"expected at most {_LONGEST} bytes in {path}, got {size}")
    lines = path.read_bytes().decode("utf-8", errors="replace").splitlines()
    clips = [line.strip() for line in lines if line.strip()]
    wrong = next((i for i, line in enumerate(lines) if line.strip() and not _CLIP.fullmatch(line.strip())), None)
    if wrong is not None:
        raise ValueError(f"expected clips such as 00001/0001 in {path}, got {shown(lines[wrong])} in line {wrong + 1}")
    if not clips:
        raise ValueError(f"expected clips such as 00001/0001 in {path}, got an empty list")
    return clips
