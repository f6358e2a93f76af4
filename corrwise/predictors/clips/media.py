"""Clips from video files and folders of images, with or without actions."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from corrwise.predictors.clips.clip import Clip
from corrwise.predictors.clips.image_sequences import ImageFiles, resize_image
from corrwise.predictors.clips.media_files import MediaFiles, files_stamp, find_media
from corrwise.predictors.clips.scaled_actions import scaled_actions

__all__ = ["MediaClips"]


class MediaClips:
    """The clips in a folder, or of a video file (see ``find_media``); one is read when it is asked for.

    Args:
        path: the folder or file.
        size: (H, W) that every frame is resized to, or one number for both.
        every: keep every n-th frame, of clips without actions.
        scale: low and high of the actions, which are mapped to [-1, 1].

    Attributes:
        names: of the clips: their paths within the folder.
        action_dim: A, 0 without actions.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: no clips are in it, or actions that cannot be used.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        size: int | tuple[int, int],
        *,
        every: int = 1,
        scale: tuple[float, float] = (-1.0, 1.0),
    ) -> None:
        self._size, self._every = (size, size) if isinstance(size, int) else size, every
        self._clips = find_media(Path(path))
        self._actions = [
            None if clip.actions is None else scaled_actions(_load(clip.actions), str(clip.actions), scale)
            for clip in self._clips
        ]
        self.names = [clip.name for clip in self._clips]
        dims = [0 if actions is None else actions.shape[1] for actions in self._actions]
        self.action_dim = dims[0]
        other = next((i for i, dim in enumerate(dims) if dim != dims[0]), None)
        if other is not None:
            raise ValueError(
                f"expected as many numbers in every action of {path}, got {dims[0]} for {self.names[0]} and "
                f"{dims[other]} for {self.names[other]}"
            )
        if every < 1 or (self.action_dim and every > 1):
            raise ValueError(f"expected every n-th frame with n at least 1, and 1 for clips with actions, got {every}")
        for clip, actions in zip(self._clips, self._actions, strict=True):
            if actions is not None and not clip.is_video:
                _check_count(clip, actions, len(clip.files))

    def __len__(self) -> int:
        return len(self.names)

    def stamp(self, i: int) -> str:
        """Return what changes when the files of a clip do."""
        clip = self._clips[i]
        return files_stamp([*clip.files, *([] if clip.actions is None else [clip.actions])])

    def __getitem__(self, i: int) -> Clip:
        """Return a clip.

        Raises:
            ValueError: it cannot be read, or has another number of frames than its actions are for.
        """
        clip, actions = self._clips[i], self._actions[i]
        read = _decoded(clip.files[0], self._every) if clip.is_video else _images(clip, self._every)
        frames = np.stack([resize_image(picture, self._size) for picture in read])
        if actions is None:
            actions = np.zeros((len(frames) - 1, 0), np.float32)
        _check_count(clip, actions, len(frames))
        return Clip(frames, actions, about={"name": clip.name})


def _images(clip: MediaFiles, every: int) -> Iterator[np.ndarray]:
    pictures = ImageFiles(clip.files)
    return (pictures.read(i) for i in range(0, len(pictures), every))


def _decoded(path: Path, every: int) -> Iterator[np.ndarray]:
    """Yield every n-th picture of a video file, RGB, the way up that it is to be shown."""
    import av

    i = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ValueError(f"{path} holds no pictures")
            frame: Any
            for i, frame in enumerate(container.decode(video=0), 1):
                if (i - 1) % every == 0:
                    turns = round(getattr(frame, "rotation", 0) / 90)  # PyAV 14.0 cannot tell
                    yield np.rot90(frame.to_ndarray(format="rgb24"), turns)
    except av.FFmpegError as error:
        raise ValueError(f"{path} cannot be read as a video past frame {i}: {error.strerror}") from error
    if not i:
        raise ValueError(f"{path} holds no pictures")


def _load(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path} cannot be read as an array of actions: {error}") from error


def _check_count(clip: MediaFiles, actions: np.ndarray, frames: int) -> None:
    if len(actions) != frames - 1:
        raise ValueError(
            f"expected {frames - 1} actions between the {frames} frames of {clip.name}, got {len(actions)}"
        )
