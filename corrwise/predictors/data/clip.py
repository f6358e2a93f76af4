"""A clip: the frames of an episode and the actions between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, UInt8

__all__ = ["BrokenClip", "Clip", "ClipSource", "check_clip"]


class BrokenClip(ValueError):
    """A clip that cannot be read or used; the message names it."""


@dataclass(frozen=True)
class Clip:
    """One episode.

    Attributes:
        frames: (T, H, W, 3), channels last.
        actions: (T - 1, A) in [-1, 1]; action t leads from frame t to frame t + 1. A is 0 for plain video.
        states: (T, S), of the simulator; None if they are not known.
        about: metadata, such as the seed and the policy.
    """

    frames: UInt8[np.ndarray, "T H W 3"]
    actions: Float32[np.ndarray, "steps A"]
    states: Float64[np.ndarray, "T S"] | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class ClipSource(Protocol):
    """A collection of clips, each of which can be read in part.

    Attributes:
        size: (H, W) of every frame.
        action_dim: A, 0 for plain video.
        lengths: number of frames of each clip.
    """

    size: tuple[int, int]
    action_dim: int
    lengths: list[int]

    def read(
        self, clip: int, start: int, stop: int
    ) -> tuple[UInt8[np.ndarray, "n H W 3"], Float32[np.ndarray, "steps A"]]:
        """Return frames ``start`` to ``stop`` (not included) of a clip, and the n - 1 actions between them."""
        ...


def check_clip(clip: Clip) -> tuple[tuple[int, int], int]:
    """Return the size (H, W) and A of a clip.

    Raises:
        ValueError: the shapes of its arrays do not match.
    """
    frames, actions, states = clip.frames, clip.actions, clip.states
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
        raise ValueError(f"expected frames uint8 (T, H, W, 3) of one view, got {frames.dtype} {frames.shape}")
    if actions.ndim != 2 or len(actions) != len(frames) - 1:
        raise ValueError(f"expected actions ({len(frames) - 1}, A) between {len(frames)} frames, got {actions.shape}")
    if states is not None and len(states) != len(frames):
        raise ValueError(f"expected states ({len(frames)}, S) of {len(frames)} frames, got {states.shape}")
    return (int(frames.shape[1]), int(frames.shape[2])), int(actions.shape[1])
