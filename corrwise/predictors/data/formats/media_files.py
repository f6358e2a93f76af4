"""The clips in a folder of videos and images, their order, and the files of their actions."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from corrwise.predictors.data.formats.video_decoding import has_video

__all__ = ["IMAGES", "VIDEOS", "MediaFiles", "ScannedMedia", "files_stamp", "in_order", "scan_media"]

Parts = list[str]  # text, number, text, and so on
_NUMBER = re.compile(r"((?<![^\W_])-\d+(?:\.\d+)*|\d+(?:\.\d+)*)")  # no minus sign after a letter or a digit: img-5


def in_order(names: Iterable[str], suffixes: Iterable[str] = ()) -> list[str]:
    """Return names, or paths with ``/``, sorted by the numbers in them.

    Digits of all scripts count. A minus sign counts at the beginning and after a character that is neither a letter nor
    a digit: ``t_-2`` comes before ``t_-1``, ``img-1`` before ``img-2``. A number with one dot is a decimal fraction.
    It is a version, whose numbers are compared in turn, if it has more dots, or if the names have fractions of several
    lengths in its place and one of them ends in a zero, such as ``1.9`` and ``1.10``. Equal numbers, such as 1 and 01,
    are sorted by the names themselves.

    Args:
        names: the names.
        suffixes: of files, which do not take part in the comparison.
    """
    ends = tuple(suffixes)
    split = {name: [_NUMBER.split(part) for part in _stem(name, ends).split("/")] for name in names}
    versions = _versions(split.values())

    def key(name: str) -> tuple[list[list[str | list[Decimal]]], str]:
        return [_key(parts, depth, versions) for depth, parts in enumerate(split[name])], name

    return sorted(split, key=key)


def _stem(name: str, suffixes: tuple[str, ...]) -> str:
    end = next((end for end in suffixes if name.lower().endswith(end)), "")
    return name[: len(name) - len(end)]


def _versions(names: Iterable[list[Parts]]) -> set[tuple[int, int]]:
    """Return the places in the names, by depth and index, where a dot separates the numbers of a version."""
    fractions: dict[tuple[int, int], set[str]] = {}
    for name in names:
        for depth, parts in enumerate(name):
            for i in range(1, len(parts), 2):
                if parts[i].count(".") == 1:
                    fractions.setdefault((depth, i), set()).add(parts[i].partition(".")[2])
    return {
        place
        for place, all_of in fractions.items()
        if len({len(one) for one in all_of}) > 1 and any(len(one) > 1 and int(one[-1]) == 0 for one in all_of)
    }


def _key(parts: Parts, depth: int, versions: set[tuple[int, int]]) -> list[str | list[Decimal]]:
    """Return text and numbers in turn, so that text is compared with text and numbers with numbers."""
    return [
        text if i % 2 == 0 else _value(text, version=(depth, i) in versions or text.count(".") > 1)
        for i, text in enumerate(parts)
    ]


def _value(number: str, *, version: bool) -> list[Decimal]:
    return [Decimal(part) for part in number.split(".")] if version else [Decimal(number)]


IMAGES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm",
    ".pnm", ".jp2",
)  # fmt: skip
VIDEOS = (
    ".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".mpe", ".mpv", ".m1v", ".m2v", ".m2t", ".m2ts",
    ".mts", ".ts", ".vob", ".ogv", ".ogm", ".ogg", ".ogx", ".wmv", ".asf", ".flv", ".f4v", ".3gp", ".3g2", ".mj2",
    ".mk3d", ".mxf", ".gxf", ".nut", ".rm", ".rmvb", ".amv", ".dv", ".ivf", ".y4m", ".qt", ".divx", ".wtv", ".gif",
    ".apng", ".mjpeg", ".mjpg", ".h264", ".264", ".h265", ".265", ".hevc", ".obu",
)  # fmt: skip
_SHARED = (
    ".ts",
    ".mts",
    ".ogg",
    ".ogx",
    ".asf",
    ".rm",
    ".mpe",
    ".qt",
    ".264",
    ".265",
    ".obu",
)  # of other files, too
_SUFFIXES = (*IMAGES, *VIDEOS)
_ACTIONS = "actions.npy"

Left = tuple[str, Path]  # the reason, and the file or folder that was left out
_AGAIN = "links to what is taken already"
_ALONE = "images alone in their folder"
_HIDDEN = "hidden"
_OTHER = "neither video nor image"


@dataclass(frozen=True)
class MediaFiles:
    """The files of a clip.

    Attributes:
        name: its path within the folder.
        files: one video, or images in the order of the numbers in their names.
        actions: the file of its actions; None without actions.
    """

    name: str
    files: tuple[Path, ...]
    actions: Path | None

    @property
    def is_video(self) -> bool:
        """Whether the clip is a video."""
        return self.files[0].suffix.lower() in VIDEOS


@dataclass(frozen=True)
class ScannedMedia:
    """The contents of a folder.

    Attributes:
        clips: in the order of the numbers in their names.
        broken: why clips cannot be used, by name.
        left: number of files and folders that were left out, by reason.
    """

    clips: list[MediaFiles]
    broken: dict[str, str] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)


def files_stamp(files: Sequence[Path]) -> str:
    """Return a short hash of the names, sizes and modification times of files."""
    facts = [(file.name, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def scan_media(path: Path) -> ScannedMedia:
    """Return the contents of a folder, or the clip of a video file.

    Every video is a clip, and so is every folder with at least two images, at any depth. The actions of images are
    ``actions.npy`` in the same folder or ``<folder>.npy`` beside the folder. The actions of a video are ``<video>.npy``
    beside it, or ``actions.npy`` if it is the only clip in its folder. Names that begin with a dot are left out.

    Links are followed. A folder or video that can be reached in several ways is used once: at its own place in the
    folder, or else through the first link. Images that are links are always used.

    Raises:
        FileNotFoundError: the path does not exist.
        ValueError: it holds no clips, not even broken ones.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is neither a folder nor a file at {path}")
    root = path.absolute()  # gives the folder . a name
    broken: dict[str, str] = {}
    left: list[Left] = []
    if root.is_file():
        groups = [[root]] if root.suffix.lower() in VIDEOS else []
    else:
        groups = _once([clip for folder in _folders(root, broken, left) for clip in _clips(folder, left)], left)
    clips: dict[str, MediaFiles] = {}
    for files in groups:
        name = _name(files, root)
        try:
            clips[name] = MediaFiles(name, tuple(_single(files)), _actions(files))
        except ValueError as error:
            broken[name] = str(error)
    if not clips and not broken:
        raise ValueError(
            f"{path} holds no clips: expected videos (.mp4, .mkv, .webm, .avi, .mov and others that PyAV opens) or "
            f"folders with at least two images ({', '.join(IMAGES)})"
        )
    used = {clip.actions for clip in clips.values()}
    counts = Counter(why for why, file in left if file not in used)
    return ScannedMedia([clips[name] for name in in_order(clips, _SUFFIXES)], broken, dict(sorted(counts.items())))


def _folders(root: Path, broken: dict[str, str], left: list[Left]) -> Iterator[Path]:
    """Yield a folder and all folders in it, each once: first those that are not links, then the targets of links."""
    seen: set[str] = set()
    starts = [root]
    while starts:
        links: list[Path] = []
        for start in starts:
            yield from _real_folders(start, seen, links, broken, left)
        starts = [Path(name) for name in in_order(str(link) for link in links)]


def _real_folders(
    start: Path, seen: set[str], links: list[Path], broken: dict[str, str], left: list[Left]
) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        broken[str(error.filename)] = f"the folder {error.filename} cannot be read: {error.strerror}"

    for folder, inner, _ in os.walk(start, onerror=unreadable):
        if (real := os.path.realpath(folder)) in seen:
            left.append((_AGAIN, Path(folder)))
            inner.clear()
            continue
        seen.add(real)
        here = [Path(folder) / name for name in inner]
        left += [(_HIDDEN, path) for path in here if path.name.startswith(".")]
        shown = [path for path in here if not path.name.startswith(".")]
        links += [path for path in shown if path.is_symlink()]
        inner[:] = in_order(path.name for path in shown if not path.is_symlink())
        yield Path(folder)


def _clips(folder: Path, left: list[Left]) -> list[list[Path]]:
    """Return the clips directly in a folder, and record what is left out."""
    with os.scandir(folder) as entries:
        # pipes and devices are left out; a link to a missing file is a broken clip
        files = {entry.name: entry.is_file() or entry.is_symlink() for entry in entries if not entry.is_dir()}
    images: list[Path] = []
    videos: list[list[Path]] = []
    for name in in_order(files, _SUFFIXES):
        file = folder / name
        suffix = file.suffix.lower()
        if name.startswith("."):
            left.append((_HIDDEN, file))
        elif files[name] and suffix in IMAGES:
            images.append(file)
        elif files[name] and suffix in VIDEOS and (suffix not in _SHARED or has_video(file)):
            videos.append([file])
        else:
            left.append((_OTHER, file))
    if len(images) == 1:
        left.append((_ALONE, images[0]))
    return ([images] if len(images) > 1 else []) + videos


def _once(clips: list[list[Path]], left: list[Left]) -> list[list[Path]]:
    """Return the clips without further links to the same videos."""
    seen = {os.path.realpath(files[0]) for files in clips if len(files) == 1 and not files[0].is_symlink()}
    kept = []
    for files in clips:
        if len(files) == 1 and files[0].is_symlink():
            if (real := os.path.realpath(files[0])) in seen:
                left.append((_AGAIN, files[0]))
                continue
            seen.add(real)
        kept.append(files)
    return kept


def _single(files: list[Path]) -> list[Path]:
    """Return images if no two of them differ in the suffix alone, such as an image and its depth map."""
    by_stem = {file.stem: file for file in files}
    if len(by_stem) < len(files):
        other = next(file for file in files if by_stem[file.stem] != file)
        raise ValueError(f"expected one image of each name, got {other} beside {by_stem[other.stem].name}")
    return files


def _name(files: list[Path], root: Path) -> str:
    place = files[0] if len(files) == 1 else files[0].parent
    name = root.name if place == root else place.relative_to(root).as_posix()
    return os.fsencode(name).decode("utf-8", "backslashreplace")  # a file name may be any bytes, but the index is text


def _actions(files: list[Path]) -> Path | None:
    folder, shared = files[0].parent, files[0].parent / _ACTIONS
    video = len(files) == 1
    own = files[0].with_suffix(".npy") if video else folder.parent / f"{folder.name}.npy"
    if own.is_file() and (video or not shared.is_file()):
        return own
    if not shared.is_file():
        return None
    if (count := len(_clips(folder, []))) > 1:
        raise ValueError(f"expected actions named as their clip, got {shared} beside {count} clips")
    return shared
