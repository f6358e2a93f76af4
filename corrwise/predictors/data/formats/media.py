"""Clips from video files and folders of images, with or without actions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from os import PathLike

import numpy as np
from jaxtyping import Float32, UInt8

from corrwise._files import local_path
from corrwise.predictors.data.actions import load_actions, scaled_actions
from corrwise.predictors.data.clip import BrokenClip, Clip
from corrwise.predictors.data.formats.image_decoding import BitDepth, read_image, resize_image
from corrwise.predictors.data.formats.media_files import MediaFiles, files_stamp, scan_media
from corrwise.predictors.data.formats.video_decoding import decode_video

__all__ = ["MediaClips"]


class MediaClips:
    """The clips in a folder, or of a video file (see ``scan_media``). A clip is read when it is requested.

    Args:
        path: the folder or file.
        size: (H, W) to which every frame is resized, or one number for both.
        every: keep every n-th frame; 1 for clips with actions.
        scale: low and high of the actions, which are mapped to [-1, 1].
        white: the white level of images of more than 8 bits (see ``BitDepth``).
        skip_broken: whether to leave out clips that cannot be used instead of raising an error.

    Attributes:
        names: paths of the clips within the folder.
        action_dim: A, 0 without actions.
        broken: why clips cannot be used, by name. Errors of decoding are not known yet.
        left: number of files and folders that belong to no clip, by reason.

    Raises:
        FileNotFoundError: the path does not exist.
        ValueError: it holds no clips.
        BrokenClip: no clip can be used or, without ``skip_broken``, one cannot be used.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        size: int | tuple[int, int],
        *,
        every: int = 1,
        scale: tuple[float, float] = (-1.0, 1.0),
        white: int | None = None,
        skip_broken: bool = False,
    ) -> None:
        BitDepth(white)
        self._size, self._every, self._white = (size, size) if isinstance(size, int) else size, every, white
        media = scan_media(local_path(path))
        self.left, self.broken = media.left, dict(media.broken)
        self._clips: list[MediaFiles] = []
        self._actions: list[np.ndarray | None] = []
        for clip in media.clips:
            try:
                actions = _actions_of(clip, scale)
            except ValueError as error:
                self.broken[clip.name] = str(error)
            else:
                self._clips.append(clip)
                self._actions.append(actions)
        self.action_dim = self._one_action_dim(path)
        if self.broken and (not skip_broken or not self._clips):
            raise BrokenClip(next(iter(self.broken.values())))
        if every < 1 or (self.action_dim and every > 1):
            raise ValueError(f"expected every n-th frame with n at least 1, and 1 for clips with actions, got {every}")
        self.names = [clip.name for clip in self._clips]

    def __len__(self) -> int:
        return len(self.names)

    def stamp(self, i: int) -> str:
        """Return a text that changes when the files of a clip change.

        Raises:
            OSError: one of the files does not exist.
        """
        clip = self._clips[i]
        return files_stamp([*clip.files, *([] if clip.actions is None else [clip.actions])])

    def actions(self, i: int) -> Float32[np.ndarray, "steps A"] | None:
        """Return the actions of a clip; None if it has none."""
        return self._actions[i]

    def frames(self, i: int) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        """Yield the frames of a clip as they are decoded.

        Raises:
            FileNotFoundError: a file does not exist.
            ValueError: the clip cannot be read.
        """
        clip, depth = self._clips[i], BitDepth(self._white)
        if clip.is_video:
            images = decode_video(clip.files[0], depth, every=self._every)
        else:
            images = (read_image(file, depth) for file in clip.files[:: self._every])
        for image in images:
            yield resize_image(image, self._size)
        depth.finish(clip.name)

    def __getitem__(self, i: int) -> Clip:
        """Return a whole clip.

        Raises:
            ValueError: it cannot be read, or the number of frames does not match that of actions.
        """
        frames, actions = np.stack(list(self.frames(i))), self._actions[i]
        if actions is None:
            actions = np.zeros((len(frames) - 1, 0), np.float32)
        _check_count(self._clips[i], actions, len(frames))
        return Clip(frames, actions, about={"name": self.names[i]})

    def _one_action_dim(self, path: str | PathLike[str]) -> int:
        """Return the most frequent number of components of an action, and mark clips with another number as broken."""
        dims = [0 if actions is None else actions.shape[1] for actions in self._actions]
        usual = Counter(dims).most_common(1)[0][0] if dims else 0
        for clip, dim in zip(self._clips, dims, strict=True):
            if dim != usual:
                first = self._clips[dims.index(usual)].name
                self.broken[clip.name] = (
                    f"expected as many numbers in every action of {path}, got {usual} for {first} and {dim} for "
                    f"{clip.name}"
                )
        kept = [i for i, dim in enumerate(dims) if dim == usual]
        self._clips, self._actions = [self._clips[i] for i in kept], [self._actions[i] for i in kept]
        return usual


def _actions_of(clip: MediaFiles, scale: tuple[float, float]) -> np.ndarray | None:
    if clip.actions is None:
        return None
    actions = scaled_actions(load_actions(clip.actions), str(clip.actions), scale)
    if not clip.is_video:
        _check_count(clip, actions, len(clip.files))
    return actions


def _check_count(clip: MediaFiles, actions: np.ndarray, frames: int) -> None:
    if len(actions) != frames - 1:
        raise ValueError(
            f"expected {frames - 1} actions between the {frames} frames of {clip.name}, got {len(actions)}"
        )
