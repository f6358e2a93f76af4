"""Batches of short windows, drawn from clips by the seed and the step alone."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from corrwise.predictors.data.clip import ClipSource

__all__ = ["Batch", "BatchesAhead", "ClipWindows", "moving_crops"]

_STILL = 1e-3  # share of the crops drawn uniformly, so that the background is learned, too


def moving_crops(
    frames: UInt8[np.ndarray, "n T h w 3"], side: int, draw: np.random.Generator
) -> UInt8[np.ndarray, "n T side side 3"]:
    """Return a square crop of each window, at the same place in all of its frames.

    A pixel is drawn with a probability proportional to its change within the window. The crop is then drawn uniformly
    from those inside the image that contain the pixel.

    Args:
        frames: windows.
        side: of the crops, in pixels.
        draw: the source of random numbers.

    Raises:
        ValueError: the crops are larger than the images.
    """
    n, _, height, width, _ = frames.shape
    if side > min(height, width):
        raise ValueError(f"expected crops no larger than images of {height} x {width}, got {side}")
    crops = np.empty((n, frames.shape[1], side, side, 3), dtype=np.uint8)
    for k, window in enumerate(frames):
        change = np.abs(np.diff(window.astype(np.int16), axis=0)).sum(axis=(0, 3)).ravel().astype(float)
        weights = change + _STILL * (change.sum() or 1.0) / change.size
        y, x = divmod(int(draw.choice(weights.size, p=weights / weights.sum())), width)
        top, left = (_start(at, side, whole, draw) for at, whole in ((y, height), (x, width)))
        crops[k] = window[:, top : top + side, left : left + side]
    return crops


def _start(at: int, side: int, whole: int, draw: np.random.Generator) -> int:
    """Draw the start of an interval of length ``side`` within ``whole`` that contains ``at``."""
    return int(draw.integers(max(0, at - side + 1), min(at, whole - side) + 1))


@dataclass(frozen=True)
class Batch:
    """A training batch.

    Attributes:
        frames: in [0, 1].
        actions: in [-1, 1]; action t leads from frame t to frame t + 1.
    """

    frames: Float[Tensor, "B T C h w"]
    actions: Float[Tensor, "B steps A"]

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on a device."""
        return Batch(self.frames.to(device), self.actions.to(device))

    def split(self, size: int) -> list[Batch]:
        """Return the batch in parts of ``size`` windows; the last part may have fewer."""
        return [Batch(*part) for part in zip(self.frames.split(size), self.actions.split(size), strict=True)]


class ClipWindows:
    """Random windows of clips. Every window of every clip is equally likely.

    Args:
        source: the clips.
        frames: number of frames in a window, context and horizon together.
        seed: of the draws.
        flip: whether to mirror half of the windows left to right, as Geng et al. (CVPR 2022) do. This is refused for
            clips with actions, because mirroring would change what they mean.
        crop: side of a square crop around what moves, in pixels; 0 keeps whole images.

    Raises:
        ValueError: no clip is long enough, or ``flip`` with clips that have actions.
    """

    def __init__(self, source: ClipSource, frames: int, *, seed: int = 0, flip: bool = False, crop: int = 0) -> None:
        counts = np.array([max(0, length - frames + 1) for length in source.lengths])
        if not counts.sum():
            raise ValueError(
                f"expected clips of at least {frames} frames, context and horizon together or all gaps; the longest of "
                f"{len(counts)} has {max(source.lengths, default=0)}"
            )
        if flip and source.action_dim:
            raise ValueError(f"expected clips without actions to flip, got {source.action_dim} actions a step")
        self.source, self.frames = source, frames
        self._seed, self._flip, self._crop = seed, flip, crop
        self._ends = counts.cumsum()

    def __len__(self) -> int:
        """Return the number of different windows."""
        return int(self._ends[-1])

    def batch(self, step: int, size: int, *, part: slice = slice(None)) -> Batch:
        """Return the batch of a training step. It does not depend on what was drawn before.

        Args:
            step: index of the step.
            size: number of windows in the whole batch.
            part: which of them to return. Without crops, only these are read.

        Raises:
            ValueError: crops larger than the images.
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
        """Return whole windows by index (n,)."""
        return _batch(*self._read(chosen))

    def clips(self, chosen: np.ndarray) -> np.ndarray:
        """Return the index of each window's clip, (n,)."""
        return np.searchsorted(self._ends, chosen, side="right")

    def _read(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pairs = [self._window(int(i)) for i in chosen]
        return np.stack([frames for frames, _ in pairs]), np.stack([actions for _, actions in pairs])

    def _window(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        clip = int(self.clips(np.array([i]))[0])
        start = i - int(self._ends[clip - 1]) if clip else i
        return self.source.read(clip, start, start + self.frames)


class BatchesAhead:
    """The batches of consecutive steps, read ahead by threads. The number of threads does not change the batches.

    Args:
        windows: the source of the batches.
        size: number of windows in a batch.
        part: which windows of each batch to read, such as every second.
        readers: number of threads, and of batches that are read ahead; 0 reads a batch when it is requested.

    Raises:
        ValueError: ``readers`` is below 0.
    """

    def __init__(self, windows: ClipWindows, size: int, *, part: slice = slice(None), readers: int = 2) -> None:
        if readers < 0:
            raise ValueError(f"expected readers of 0 or above, got {readers}")
        self._windows, self._size, self._part, self._readers = windows, size, part, readers
        self._pool = ThreadPoolExecutor(readers, thread_name_prefix="clips") if readers else None
        self._waiting: dict[int, Future[Batch]] = {}

    def __enter__(self) -> BatchesAhead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Discard the batches that are read ahead, without waiting for them."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def batch(self, step: int) -> Batch:
        """Return the part of a step's batch, and start to read those of the next steps.

        Raises:
            OSError, ValueError: the clips can no longer be read.
        """
        if self._pool is None:
            return self._read(step)
        for later in range(step, step + self._readers + 1):
            if later not in self._waiting:
                self._waiting[later] = self._pool.submit(self._read, later)
        return self._waiting.pop(step).result()

    def _read(self, step: int) -> Batch:
        return self._windows.batch(step, self._size, part=self._part)


def _batch(frames: np.ndarray, actions: np.ndarray) -> Batch:
    images = torch.from_numpy(frames).movedim(-1, -3).float() / 255
    return Batch(images, torch.from_numpy(actions).float())
