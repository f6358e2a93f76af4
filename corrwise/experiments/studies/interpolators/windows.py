"""Windows of held-out clips, the same for every interpolator, and the simulator's exact flow between their frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from corrwise.envs.arrays import from_uint8
from corrwise.experiments.studies.flows.clips import SimulatedFlow
from corrwise.experiments.studies.flows.measure import GivenFlow
from corrwise.predictors.data.sources import open_clips

__all__ = ["HeldClips", "Window"]


@dataclass(frozen=True)
class Window:
    """Known frames at equal distances, and the true one in their middle.

    Attributes:
        clip: the number of the clip.
        places: of the known frames in the clip.
        known: these frames, in [0, 1].
        true: the frame in the middle.
    """

    clip: int
    places: list[int]
    known: Float[Tensor, "1 K 3 h w"]
    true: Float[Tensor, "1 3 h w"]

    def middle(self, count: int) -> tuple[list[int], Float[Tensor, "1 count 3 h w"]]:
        """Return the places and frames of the ``count`` known frames around the middle."""
        rest = (len(self.places) - count) // 2
        inner = slice(rest, rest + count)
        return self.places[inner], self.known[:, inner]


class HeldClips:
    """Clips of a folder, and windows of them.

    Args:
        path: see ``open_clips``.
        gap: frames from one known frame to the next, an even number.
        context: known frames of a window.
        seed: of the windows.

    Raises:
        FileNotFoundError, ValueError: clips that cannot be read, or none that is long enough.
    """

    def __init__(self, path: Path, gap: int, context: int, seed: int) -> None:
        self.path, self.gap, self.context, self.seed = path, gap, context, seed
        self.clips = open_clips(path)
        self._truth = SimulatedFlow(self.clips, path)
        self._length = (context - 1) * gap + 1
        self._long = [i for i, length in enumerate(self.clips.lengths) if length >= self._length]
        if not self._long:
            longest = max(self.clips.lengths, default=0)
            raise ValueError(f"expected clips of at least {self._length} frames in {path}, the longest has {longest}")

    @property
    def frames(self) -> int:
        """The number of frames of all clips."""
        return sum(self.clips.lengths)

    def window(self, number: int) -> Window:
        """Return a window by its number; it does not depend on how many others there are. Clips take turns.

        Raises:
            BrokenShard: its clip can no longer be read.
        """
        clip = self._long[number % len(self._long)]
        last = self.clips.lengths[clip] - self._length
        start = int(np.random.default_rng((self.seed, self.gap, number)).integers(last + 1))
        frames, _ = self.clips.read(clip, start, start + self._length)
        images = from_uint8(frames)
        places = list(range(start, start + self._length, self.gap))
        return Window(clip, places, images[:: self.gap][None], images[(self._length - 1) // 2][None])

    def exact_flow(self, window: Window) -> GivenFlow:
        """Return the exact flow between the two frames in the middle of a window.

        Raises:
            ValueError: clips without ground truth, see ``no_truth``.
        """
        places, _ = window.middle(2)
        forward, backward = self._truth.between(window.clip, *places)
        return GivenFlow(forward[None], backward[None])

    @property
    def no_truth(self) -> str:
        """Why there is no ground-truth flow; empty where there is."""
        return self._truth.missing
