"""Batches of short windows drawn from clips: which ones depends on the seed and the step alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.predictors.data.clip import ClipSource
from corrwise.predictors.data.crops import moving_crops

__all__ = ["Batch", "ClipWindows"]


@dataclass(frozen=True)
class Batch:
    """What a model learns from.

    Attributes:
        frames: in [0, 1].
        actions: in [-1, 1]; action t leads from frame t to frame t + 1.
    """

    frames: Float[Tensor, "B T 3 h w"]
    actions: Float[Tensor, "B steps A"]

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on a device."""
        return Batch(self.frames.to(device), self.actions.to(device))

    def split(self, size: int) -> list[Batch]:
        """Return the batch in parts of so many windows, the last one of what is left."""
        return [Batch(*part) for part in zip(self.frames.split(size), self.actions.split(size), strict=True)]


class ClipWindows:
    """Random windows of clips, every clip in proportion to the windows it has.

    Args:
        source: the clips.
        frames: frames of a window: context and what follows.
        seed: of what is drawn.
        flip: whether to mirror half of the windows left to right (Geng et al., CVPR 2022, train so); for video without
            actions only, whose meaning would change.
        crop: side of the square that a batch shows of each window, around what moves; 0 shows whole pictures.

    Raises:
        ValueError: no clip is long enough, or there are actions and windows are to be flipped.
    """

    def __init__(self, source: ClipSource, frames: int, *, seed: int = 0, flip: bool = False, crop: int = 0) -> None:
        counts = np.array([max(0, length - frames + 1) for length in source.lengths])
        if not counts.sum():
            raise ValueError(
                f"expected clips of at least {frames} frames, context and horizon together; the longest of "
                f"{len(counts)} has {max(source.lengths, default=0)}"
            )
        if flip and source.action_dim:
            raise ValueError(f"expected clips without actions to flip, got {source.action_dim} actions a step")
        self.source, self.frames = source, frames
        self._seed, self._flip, self._crop = seed, flip, crop
        self._ends = counts.cumsum()

    def __len__(self) -> int:
        """Return how many different windows there are."""
        return int(self._ends[-1])

    def batch(self, step: int, size: int, *, part: slice = slice(None)) -> Batch:
        """Return the windows of a training step: the same ones each time, whatever was drawn before.

        Args:
            step: which one.
            size: windows that it has in all.
            part: which of them to return; only those are read, unless there are crops to draw of each in turn.

        Raises:
            ValueError: crops larger than the pictures.
        """
        draw = np.random.default_rng((self._seed, step))
        chosen = draw.integers(len(self), size=size)
        read = slice(None) if self._crop else part
        frames, actions = self._read(chosen[read])
        if self._flip:
            mirrored = (draw.random(size) < 0.5)[read]
            frames[mirrored] = frames[mirrored, :, :, ::-1]
        if self._crop:
            return _batch(moving_crops(frames, self._crop, draw)[part], actions[part])
        return _batch(frames, actions)

    def windows(self, chosen: np.ndarray) -> Batch:
        """Return whole windows by number (n,)."""
        return _batch(*self._read(chosen))

    def clips(self, chosen: np.ndarray) -> np.ndarray:
        """Return which clip each window, by number, is of; (n,)."""
        return np.searchsorted(self._ends, chosen, side="right")

    def _read(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pairs = [self._window(int(i)) for i in chosen]
        return np.stack([frames for frames, _ in pairs]), np.stack([actions for _, actions in pairs])

    def _window(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        clip = int(self.clips(np.array([i]))[0])
        start = i - int(self._ends[clip - 1]) if clip else i
        return self.source.read(clip, start, start + self.frames)


def _batch(frames: np.ndarray, actions: np.ndarray) -> Batch:
    images = torch.from_numpy(frames).movedim(-1, -3).float() / 255
    return Batch(images, torch.from_numpy(actions).float())
