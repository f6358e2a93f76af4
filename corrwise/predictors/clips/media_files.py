"""Which clips lie in a folder of videos and images, and the files of their actions."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["IMAGES", "VIDEOS", "MediaFiles", "files_stamp", "find_media"]

IMAGES = (".png", ".jpg", ".jpeg")
VIDEOS = (".mp4", ".avi", ".mov")
_ACTIONS = "actions.npy"


@dataclass(frozen=True)
class MediaFiles:
    """What a clip is made of.

    Attributes:
        name: its path within the folder.
        files: one video, or images in the order of the numbers in their names.
        actions: where its actions are, None without any.
    """

    name: str
    files: tuple[Path, ...]
    actions: Path | None

    @property
    def is_video(self) -> bool:
        """Whether it is one video."""
        return self.files[0].suffix.lower() in VIDEOS


def files_stamp(files: Sequence[Path]) -> str:
    """Return what changes when files do: a short hash of their names, sizes and times."""
    told = [(file.name, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:12]


def find_media(path: Path) -> list[MediaFiles]:
    """Return the clips in a folder, or of a video file.

    Every video is a clip, and so is every folder with at least two images, at any depth. Actions of images are
    ``actions.npy`` among them or ``<folder>.npy`` beside their folder; those of a video are ``<video>.npy`` beside it,
    or ``actions.npy`` where it is the only clip in its folder. What begins with a dot is left alone.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: no clips are in it, or an ``actions.npy`` that could be of several.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is neither a folder nor a file at {path}")
    root = path.absolute()  # the folder . has a name
    if root.is_file():
        found = [[root]] if root.suffix.lower() in VIDEOS else []
    else:
        found = [clip for folder in _folders(root) for clip in _clips(folder)]
    if not found:
        raise ValueError(
            f"{path} holds no clips: expected videos ({', '.join(VIDEOS)}) or folders with at least two images "
            f"({', '.join(IMAGES)})"
        )
    clips = [MediaFiles(_name(files, root), tuple(files), _actions(files)) for files in found]
    return sorted(clips, key=lambda clip: _in_order(clip.name))


def _folders(path: Path) -> Iterator[Path]:
    for folder, inner, _ in os.walk(path):
        inner[:] = [name for name in inner if not name.startswith(".")]
        yield Path(folder)


def _clips(folder: Path) -> list[list[Path]]:
    """Return the clips that lie right in a folder."""
    names = [name for name in os.listdir(folder) if not name.startswith(".")]
    files = [folder / name for name in sorted(names, key=_in_order)]
    images = [file for file in files if file.suffix.lower() in IMAGES]
    videos = [[file] for file in files if file.suffix.lower() in VIDEOS]
    return ([images] if len(images) > 1 else []) + videos


def _name(files: list[Path], root: Path) -> str:
    place = files[0] if len(files) == 1 else files[0].parent
    return root.name if place == root else place.relative_to(root).as_posix()


def _actions(files: list[Path]) -> Path | None:
    folder, shared = files[0].parent, files[0].parent / _ACTIONS
    video = len(files) == 1
    own = files[0].with_suffix(".npy") if video else folder.parent / f"{folder.name}.npy"
    if own.is_file() and (video or not shared.is_file()):
        return own
    if not shared.is_file():
        return None
    if (count := len(_clips(folder))) > 1:
        raise ValueError(f"expected actions named as their clip, got {shared} beside {count} clips")
    return shared


def _in_order(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return a key that sorts img2 before img10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)], name
