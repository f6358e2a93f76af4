"""The frames of a source, padded, with what happened to each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import lcm

import numpy as np
from jaxtyping import Float
from torch import Tensor

from corrwise.envs.arrays import from_uint8, to_uint8
from corrwise.experiments.cli.restore import RestoreConfig
from corrwise.experiments.runs.damages import StatedDamage
from corrwise.experiments.runs.video_source import Frame, VideoSource
from corrwise.predictors.restoration import FrameMap, Operator, RestorationModel, first_guess, video_maps
from corrwise.types import Flow


class DamagedFrames:
    """The frames of a source, padded to sides that the network takes, with what happened to each.

    The source is read to its end.

    Attributes:
        size: of the restored frames, height and width.
        padded: their size with padding.
        count: of frames.
        rate: of frames per second.
        times: when each is shown, in seconds; None where the source does not state it.

    Raises:
        ValueError: a video that cannot be read, of one frame, of frames of several sizes, or a mask of another size.
    """

    def __init__(
        self, video: VideoSource, config: RestoreConfig, damage: StatedDamage, model: RestorationModel
    ) -> None:
        self.video, self.damage, self.device = video, damage, next(model.parameters()).device
        self._apply, self._seed = config.apply, config.seed
        self._side = lcm(model.network.side, damage.factor)
        self._scale = 1 if config.apply else damage.factor
        shapes = [image.shape[:2] for image in video]
        for number, shape in enumerate(shapes):
            if shape != shapes[0]:
                raise ValueError(f"expected frames of one size, got {shapes[0]} and, in frame {number}, {shape}")
        if len(shapes) < 2:
            raise ValueError(f"expected a video of at least 2 frames in {config.video}, got {len(shapes)}")
        self.size, self.count = (shapes[0][0] * self._scale, shapes[0][1] * self._scale), len(shapes)
        self.padded = tuple(length + -length % self._side for length in self.size)
        self.rate, self.times = video.rate, video.times or None
        damage.check_size("video", self.size)

    def __iter__(self) -> Iterator[tuple[Operator, Float[Tensor, "C oh ow"]]]:
        """Yield the operator of each frame, and what is observed of it."""
        for number, image in enumerate(self.video):
            tensor = self._whole(image, self._side // self._scale)
            padded = tensor.shape[1] * self._scale, tensor.shape[2] * self._scale
            operator = self.damage.operator(number, self.size, padded, self._seed, self.device)
            yield operator, operator.apply(tensor[None])[0] if self._apply else tensor

    def maps(self, flow: Flow, restored: Iterable[Frame] | None = None) -> Iterator[FrameMap]:
        """Return the map of each frame, by the flow between frames that are restored already, else first guesses."""
        guesses = (first_guess(*pair) for pair in self) if restored is None else map(self._whole, restored)
        return video_maps(guesses, flow)

    def _whole(self, image: Frame, side: int | None = None) -> Float[Tensor, "3 H W"]:
        """Return an image with padding to sides that are multiples of ``side``, by default those of restored frames."""
        pad = [(0, -length % (side or self._side)) for length in image.shape[:2]]
        return from_uint8(np.pad(image, (*pad, (0, 0)), mode="edge")).to(self.device)

    def cut(self, image: Float[Tensor, "C H W"]) -> Frame:
        """Return a frame without its padding."""
        return np.ascontiguousarray(to_uint8(image[None].cpu())[0][: self.size[0], : self.size[1]])

    def beside(self, restored: Iterator[Frame]) -> Iterator[Frame]:
        """Yield each damaged frame beside the restored one, and beside the whole one where it is known."""
        sources = iter(self.video)
        for (operator, observed), made in zip(self, restored, strict=True):
            panels = [self.cut(operator.filled(observed[None])[0]), made]
            if self._apply:
                panels.append(next(sources))
            yield np.concatenate(panels, axis=1)
