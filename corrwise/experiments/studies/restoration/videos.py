"""Held-out videos of ``corrwise table restoration``, what is left of them after the damage, and the maps along them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import cos, pi, sin

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.envs.arrays import from_uint8
from corrwise.experiments.cli.table_restoration import GROUND_TRUTH, RestorationTableConfig
from corrwise.experiments.studies.flows.clips import SimulatedFlow
from corrwise.predictors.data.sources import open_clips
from corrwise.predictors.restoration import (
    Affine,
    FrameMap,
    Masking,
    Operator,
    affine_maps,
    first_guess,
    flow_maps,
    make_damage,
)
from corrwise.predictors.restoration.maps import flow_fields

__all__ = ["SIDE", "DamagedVideo", "HeldVideos", "another_pair"]

SIDE = 8  # sides of frames are multiples of it: the network halves them three times
_VIDEO, _DAMAGE, _ORDER, _ERROR = range(4)  # separate streams: no draw changes another


@dataclass(frozen=True)
class DamagedVideo:
    """A video, and what is observed of it.

    Attributes:
        number: of the video.
        clip: its number, of which the frames are.
        start: the number of the first frame in the clip; of a shift, of the frame that is cropped.
        frames: the true ones, in [0, 1].
        steps: of a shift, the map of each frame to the one before, without the first; else empty.
        observed: of each frame what happened to it, and what is observed.
    """

    number: int
    clip: int
    start: int
    frames: Float[Tensor, "n 3 h w"]
    steps: tuple[Affine, ...]
    observed: Sequence[tuple[Operator, Float[Tensor, "3 oh ow"]]]


class HeldVideos:
    """Videos of a folder of clips, each of which depends on its number alone.

    Args:
        config: the clips, the motion, the damage and the seed.

    Raises:
        FileNotFoundError, ValueError: clips that cannot be read or are too small or too short, or an unknown damage.
    """

    def __init__(self, config: RestorationTableConfig) -> None:
        self.config, self.damage = config, make_damage(config.damage)
        self._shift = config.motion == "shift"
        self._clips = open_clips(config.data)
        need = 1 if self._shift else config.frames
        self._long = [i for i, length in enumerate(self._clips.lengths) if length >= need]
        if not self._long:
            longest = max(self._clips.lengths, default=0)
            raise ValueError(f"expected clips of at least {need} frames in {config.data}, the longest has {longest}")
        if self._shift and config.crop + config.speed > min(self._clips.size):
            got = f"{config.crop}, {config.speed} and {' x '.join(map(str, self._clips.size))}"
            raise ValueError(f"expected a --crop and a --speed that frames have room for, got {got}")
        self._simulated = SimulatedFlow(self._clips, config.data)
        size = (config.crop, config.crop) if self._shift else self._clips.size
        if any(side % SIDE for side in size):
            got = " x ".join(map(str, size))
            raise ValueError(f"expected frames with sides that are multiples of {SIDE}, got {got}")
        operator = self.damage.draw(1, *size, Generator("cpu"))
        operator.apply(torch.zeros(1, 3, *size, dtype=torch.float32, device="cpu"))  # refuses sides that do not fit it
        if config.masks == "scene" and not isinstance(operator, Masking):
            raise ValueError(f"expected a damage of missing pixels for --masks scene, got {self.damage}")

    @property
    def count(self) -> int:
        """The number of frames of all clips."""
        return sum(self._clips.lengths)

    @property
    def no_truth(self) -> str:
        """Why there is no ground-truth flow; empty where there is."""
        return "" if self._shift else self._simulated.missing

    def video(self, number: int) -> DamagedVideo:
        """Return a video by its number.

        Raises:
            BrokenShard: its clip can no longer be read.
        """
        config = self.config
        clip, start, rng = self._window(number)
        frames, _ = self._clips.read(clip, start, start + (1 if self._shift else config.frames))
        images = from_uint8(frames)
        if not self._shift:
            return DamagedVideo(number, clip, start, images, (), self._observed(number, images, ()))
        places = self._places(rng)
        side = config.crop
        crops = torch.stack([images[0, :, y : y + side, x : x + side] for x, y in places])
        steps = tuple(Affine.shift(*(a - b).tolist()) for a, b in pairwise(places))
        return DamagedVideo(number, clip, start, crops, steps, self._observed(number, crops, places))

    def repeated(self) -> int:
        """Return how many videos show a frame that another one shows before them."""
        length, seen = 1 if self._shift else self.config.frames, dict[int, list[int]]()
        count = 0
        for number in range(self.config.videos):
            clip, start, _ = self._window(number)
            count += any(abs(start - other) < length for other in seen.setdefault(clip, []))
            seen[clip].append(start)
        return count

    def _window(self, number: int) -> tuple[int, int, np.random.Generator]:
        """Return the clip of a video, its first frame, and the source of its further draws."""
        rng = self._rng(_VIDEO, number)
        clip = self._long[number % len(self._long)]
        last = self._clips.lengths[clip] - (1 if self._shift else self.config.frames)
        return clip, int(rng.integers(last + 1)), rng

    def measured_maps(self, video: DamagedVideo) -> list[FrameMap]:
        """Return the maps along which all restored frames are measured: the true ones where they are known."""
        if video.steps:
            return list(affine_maps(video.steps, *video.frames.shape[-2:]))
        if self.no_truth:
            return list(flow_maps(flow_fields(video.frames, self.config.measure_flow)))
        return list(flow_maps(*self._true(video)))

    def maps(self, video: DamagedVideo, flow: str, restored: Float[Tensor, "n 3 h w"] | None = None) -> list[FrameMap]:
        """Return the maps along which noise is carried and frames are guided: by a flow, in its order, with its error.

        Args:
            video: that is followed.
            flow: its name.
            restored: frames between which optical flows are estimated in place of the guesses or the true frames.

        Raises:
            ValueError: ground truth where there is none, or a flow that is not finite.
        """
        pairs = len(video.frames) - 1
        order = list(range(pairs))
        if self.config.flow_order == "shuffled":
            order = another_pair(pairs, self._rng(_ORDER, video.number))
        angles = 2 * pi * self._rng(_ERROR, video.number).random(pairs)
        errors = [(self.config.flow_error * cos(angle), self.config.flow_error * sin(angle)) for angle in angles]
        if flow == GROUND_TRUTH and video.steps:
            wrong = [_with_error(video.steps[i], error) for i, error in zip(order, errors, strict=True)]
            return list(affine_maps(wrong, *video.frames.shape[-2:]))
        seen = None
        if flow == GROUND_TRUTH:
            fields, visible = self._true(video)
            seen = [visible[i] for i in order]
        else:
            fields = list(flow_fields(self._guesses(video) if restored is None else restored, flow))
        moved = [torch.tensor(error, dtype=torch.float32, device="cpu")[:, None, None] for error in errors]
        moving = ((fields[i][0] + e, fields[i][1] - e) for i, e in zip(order, moved, strict=True))
        return list(flow_maps(moving, seen))

    def _guesses(self, video: DamagedVideo) -> Iterable[Float[Tensor, "3 h w"]]:
        if self.config.flow_of == "truth":
            return video.frames
        return (first_guess(*pair) for pair in video.observed)

    def _true(self, video: DamagedVideo) -> tuple[list[tuple[Tensor, Tensor]], list[tuple[Tensor, Tensor]]]:
        """Return the flows of each pair of frames by the simulator, and what of each the other shows."""
        numbers = range(video.start + 1, video.start + len(video.frames))
        pairs = [self._simulated.correspondence(video.clip, later, later - 1) for later in numbers]
        return [fields for fields, _ in pairs], [visible for _, visible in pairs]

    def _places(self, rng: np.random.Generator) -> np.ndarray:
        """Return the corner (x, y) of the crop in each frame; it always moves, and never leaves the image."""
        most = np.array(self._clips.size[::-1]) - self.config.crop
        places = [rng.integers(most + 1)]
        while len(places) < self.config.frames:
            step = rng.integers(-self.config.speed, self.config.speed + 1, size=2)
            place = places[-1] + step
            if step.any() and (place >= 0).all() and (place <= most).all():
                places.append(place)
        return np.array(places)

    def _observed(
        self, number: int, frames: Float[Tensor, "n 3 h w"], places: Sequence[Sequence[int]] | np.ndarray
    ) -> list[tuple[Operator, Tensor]]:
        generator = Generator("cpu").manual_seed(int(self._rng(_DAMAGE, number).integers(2**62)))
        height, width = frames.shape[-2:]
        kind = self.config.masks
        if kind == "scene":
            whole = self.damage.draw(1, *self._clips.size, generator)
            assert isinstance(whole, Masking)
            operators: list[Operator] = [Masking(whole.mask[:, :, y : y + height, x : x + width]) for x, y in places]
        else:
            operators = [
                self.damage.draw(1, height, width, generator) for _ in frames[: 1 if kind == "video" else None]
            ]
            operators *= len(frames) if kind == "video" else 1
        return [(each, each.apply(frame[None])[0]) for each, frame in zip(operators, frames, strict=True)]

    def _rng(self, stream: int, number: int) -> np.random.Generator:
        return np.random.default_rng((self.config.seed, stream, number))


def another_pair(count: int, rng: np.random.Generator) -> list[int]:
    """Return for each of at least two pairs the number of another one, each once."""
    order = rng.permutation(count)
    return [int(i) for i in np.roll(order, 1)[np.argsort(order)]]


def _with_error(step: Affine, error: tuple[float, float]) -> Affine:
    return replace(step, offset=(step.offset[0] + error[0], step.offset[1] + error[1]))
