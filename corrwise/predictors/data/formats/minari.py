"""Clips from Minari datasets, read directly from their HDF5 file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float32, UInt8

from corrwise._files import local_path, reading
from corrwise.predictors.data.actions import check_action_bytes, scaled_actions
from corrwise.predictors.data.clip import BrokenClip, Clip
from corrwise.predictors.data.formats.hdf5_checks import check_dataset, check_global_heaps, inside
from corrwise.predictors.data.formats.image_decoding import (
    MAX_PIXELS,
    BitDepth,
    check_pixels,
    decode_image,
    resize_image,
)
from corrwise.predictors.data.formats.media_files import files_stamp

__all__ = ["MinariClips", "minari_file"]

_EPISODE = re.compile(r"episode_\d+")
_JPEG = b"\xff\xd8"


def minari_file(path: Path) -> Path | None:
    """Return the HDF5 file of a dataset: ``data/main_data.hdf5`` in its folder, or the path itself; None if neither."""
    if path.is_file():
        return path if path.suffix in (".hdf5", ".h5") else None
    return next((file for file in (path / "data" / "main_data.hdf5", path / "main_data.hdf5") if file.is_file()), None)


class MinariClips:
    """The episodes of a Minari dataset. An episode is read when it is requested.

    Images are the observations, or the entry ``key`` of observations that are a dictionary: uint8 (T, H, W, 3), or T
    JPEG files, the default of newer versions of Minari. Actions are (T - 1, A).

    Args:
        path: the dataset's folder, or its file.
        size: (H, W) to which every frame is resized, or one number for both.
        key: of the images; ``a/b`` is the entry b of a dictionary a.
        scale: low and high of the actions, which are mapped to [-1, 1].
        skip_broken: whether to leave out episodes that cannot be used instead of raising an error.

    Attributes:
        names: of the episodes.
        action_dim: A.
        broken: why episodes cannot be used, by name. Errors of decoding are not known yet.
        left: number of files that belong to no clip: none.

    Raises:
        FileNotFoundError: there is no such dataset.
        ValueError: it holds no episodes.
        BrokenClip: no episode can be used or, without ``skip_broken``, one cannot be used.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        size: int | tuple[int, int],
        *,
        key: str = "pixels",
        scale: tuple[float, float] = (-1.0, 1.0),
        skip_broken: bool = False,
    ) -> None:
        file = minari_file(local_path(path))
        if file is None:
            raise FileNotFoundError(f"expected a Minari dataset at {path}, with data/main_data.hdf5, got none")
        self._size, self._key, self._path = (size, size) if isinstance(size, int) else size, key, file
        self.broken: dict[str, str] = {}
        self.left: dict[str, int] = {}
        usable: dict[str, np.ndarray] = {}
        with _opened(file) as data:
            names = sorted(filter(_EPISODE.fullmatch, data), key=lambda name: int(name.rpartition("_")[2]))
            if not names:
                raise ValueError(
                    f"{file} holds no episodes: expected groups episode_0 and so on, as Minari writes them"
                )
            for name in names:
                try:
                    usable[name] = _actions(data[name], key, f"{name} of {file}", scale)
                except (ValueError, OSError, KeyError, RuntimeError) as error:
                    if not skip_broken:
                        raise BrokenClip(str(error)) from error
                    self.broken[name] = str(error)
        if not usable:
            raise BrokenClip(next(iter(self.broken.values())))
        dims = {actions.shape[1] for actions in usable.values()}
        if len(dims) > 1:
            raise ValueError(f"expected as many numbers in every action of {file}, got {sorted(dims)}")
        (self.action_dim,) = dims
        self.names, self._actions = list(usable), list(usable.values())

    def __len__(self) -> int:
        return len(self.names)

    def stamp(self, i: int) -> str:
        """Return a text that changes when the file changes, which holds all episodes."""
        return files_stamp([self._path])

    def actions(self, i: int) -> Float32[np.ndarray, "steps A"]:
        """Return the actions of an episode."""
        return self._actions[i]

    def frames(self, i: int) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        """Yield the frames of an episode as they are decoded.

        Raises:
            ValueError: it cannot be read.
        """
        name = f"{self.names[i]} of {self._path}"
        with _opened(self._path) as data:
            images = _images(data[self.names[i]], self._key, name)
            for t in range(len(images)):
                yield resize_image(_decoded(images[t], f"image {t} of {name}"), self._size)

    def __getitem__(self, i: int) -> Clip:
        """Return a whole episode.

        Raises:
            ValueError: it cannot be read.
        """
        return Clip(np.stack(list(self.frames(i))), self._actions[i], about={"name": self.names[i]})


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    with reading(path, "is no HDF5 file that can be read"):
        try:
            file = h5py.File(path, "r")
        except OSError as error:
            raise ValueError(str(error)) from error
        with file:
            yield file


def _images(episode: h5py.Group, key: str, name: str) -> h5py.Dataset:
    """Return the dataset of T images: raw, or JPEG files of equal or different lengths."""
    images = _member(episode, "observations", name)
    if isinstance(images, h5py.Group):
        images = _member(images, key, f"the observations of {name}")
    if not isinstance(images, h5py.Dataset) or not _are_images(images):
        is_array = isinstance(images, h5py.Dataset)
        got = f"{images.dtype} {images.shape}" if is_array else f"a group of {', '.join(images)}"
        raise ValueError(f"expected images, uint8 (T, H, W, 3) or JPEG, as observations in {name}, got {got}")
    return images


def _are_images(data: h5py.Dataset) -> bool:
    if data.ndim == 4:
        if data.dtype != np.uint8 or data.shape[3] != 3:
            return False
        check_pixels((data.shape[2], data.shape[1]), f"each of the images {data.name} of {data.file.filename}")
        check_dataset(data, data.shape, np.uint8)
        return True
    if data.ndim == 2 and data.shape[1] > 8 * MAX_PIXELS:
        raise ValueError(
            f"expected at most {8 * MAX_PIXELS} bytes in an image of {data.file.filename}, got {data.shape}"
        )
    if data.dtype.hasobject:
        check_global_heaps(data.file.filename)
    packed = (
        data.dtype == np.uint8 if data.ndim == 2 else data.ndim == 1 and h5py.check_vlen_dtype(data.dtype) == np.uint8
    )
    return packed and len(data) > 0 and bytes(data[0][:2]) == _JPEG


def _decoded(image: np.ndarray, name: str) -> np.ndarray:
    decoded = image if image.ndim == 3 else decode_image(image.tobytes(), name, BitDepth())
    if decoded is None:
        raise ValueError(f"{name} is no JPEG that can be read")
    return decoded


def _actions(episode: h5py.Group, key: str, name: str, scale: tuple[float, float]) -> np.ndarray:
    frames, actions = len(_images(episode, key, name)), _member(episode, "actions", name)
    if not isinstance(actions, h5py.Dataset):
        raise ValueError(f"expected one array of actions in {name}, got a group of {', '.join(actions)}")
    check_action_bytes(actions.shape or (), actions.dtype, name)
    if actions.ndim and len(actions) != frames - 1:
        raise ValueError(f"expected {frames - 1} actions between the {frames} images of {name}, got {len(actions)}")
    check_dataset(actions, (frames - 1, *(None for _ in actions.shape[1:])))
    return scaled_actions(actions[()], name, scale)


def _member(group: h5py.Group, key: str, name: str) -> Any:
    if not isinstance(group, h5py.Group) or key not in group:
        there = ", ".join(group) if isinstance(group, h5py.Group) else "no group"
        raise ValueError(f"expected {key!r} in {name}, got {there or 'nothing'}")
    parent, _, last = key.rpartition("/")
    return inside(group[parent] if parent else group, last)
