"""Learn to make the frames in between: the objective of an interpolating network, and how its windows are varied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from corrwise.predictors.data.windows import Batch
from corrwise.predictors.interpolation.flavr import FLAVR, window_places
from corrwise.predictors.training.frame_prediction import FramePrediction
from corrwise.predictors.training.objective import Loss, Phase
from corrwise.types import COLOURS, Distance

__all__ = ["Augmentation", "FrameInterpolation", "augmented"]

_GREY = (0.299, 0.587, 0.114)  # BT.601
_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


@dataclass(frozen=True)
class Augmentation:
    """How windows are varied; the defaults are those of FLAVR's public code.

    Each window is varied as a whole, known frames and targets by the same draws. In the public code every frame draws
    its own crop where the transforms draw from another generator than the one that is seeded anew for each frame.

    Attributes:
        colour: brightness, contrast and saturation are scaled by up to 1 +- this, and the hue is turned by up to this
            share of a full turn; 0 changes no colours.
        time_flip: share of the windows that run backwards.
        mirror: share of the windows that are mirrored left to right, and, drawn apart, top to bottom.
    """

    colour: float | int = 0.05
    time_flip: float | int = 0.5
    mirror: float | int = 0.5


class FrameInterpolation:
    """The distance of the frames in between from the true ones (Kalluri et al., WACV 2023; Geng et al., CVPR 2022).

    A window gives the K known frames at equal distances, the gap, and the targets between the two middle ones; its
    length decides the gap (``window_places``). The public code chooses its learning rate and its checkpoint by the test
    set; here the rate is a constant, and the weights that are kept are the last ones or their moving average.

    Its parts and outputs are those of ``FramePrediction``: ``step 1`` is the first frame in between.

    Args:
        model: what learns.
        distance: between a frame and its target, in [0, 1]; reduces C, h and w.
        scale: what the distance is multiplied by, see ``FramePrediction``.
        augmentation: how windows are varied; None leaves them as they are.
        gaps: frames from one known frame to the next; windows are as long as the largest gap needs. Each step draws a
            gap, and where its frames begin within the windows. Empty takes windows as they are.

    Raises:
        ValueError: a gap that the model cannot have, see ``window_places``.
    """

    phases = (Phase("train", ("model",)),)

    def __init__(
        self,
        model: FLAVR,
        distance: Distance,
        *,
        scale: float = 1.0,
        augmentation: Augmentation | None = None,
        gaps: Sequence[int] = (),
    ) -> None:
        self.model, self.distance, self.scale = model, distance, scale
        self.augmentation, self.gaps = augmentation, tuple(gaps)
        for length in self._lengths:
            window_places(length, model.config)
        self.prediction = FramePrediction(model, distance, scale=scale)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The network as ``model``."""
        return {"model": self.model}

    def loss(self, batch: Batch, generator: Generator | None = None, phase: str = "train") -> Loss:
        """Return the loss of windows; without a generator they are not varied.

        Raises:
            ValueError: windows of a length that no gap has, see ``window_places``.
        """
        if generator is not None:
            batch = self._with_a_gap(batch, generator)
            if self.augmentation is not None:
                batch = augmented(batch, self.augmentation, generator)
        return self.prediction.loss(batch, generator, phase)

    def evaluate(self, batch: Batch, networks: Mapping[str, nn.Module], generator: Generator) -> Loss:
        """Return the loss of windows that are not varied (``corrwise.types.EvaluatingObjective``)."""
        return self.prediction.evaluate(batch, networks, generator)

    @property
    def _lengths(self) -> list[int]:
        return [(self.model.config.context - 1) * gap + 1 for gap in self.gaps]

    def _with_a_gap(self, batch: Batch, generator: Generator) -> Batch:
        """Return as many frames of the windows as a gap needs, drawn where there are several."""
        if len(self.gaps) < 2:
            return batch
        draw = torch.rand(2, generator=generator, dtype=torch.float32, device="cpu").tolist()
        length = self._lengths[int(draw[0] * len(self.gaps))]
        start = int(draw[1] * (batch.frames.shape[1] - length + 1))
        return Batch(batch.frames[:, start : start + length], batch.actions[:, start : start + length - 1])


def augmented(batch: Batch, how: Augmentation, generator: Generator) -> Batch:
    """Return windows varied at random, each by draws of its own; actions are left as they are.

    Args:
        batch: the windows.
        how: what is varied.
        generator: where from, on the CPU.
    """
    n = len(batch.frames)
    draws = torch.rand(n, 7, generator=generator, dtype=torch.float32, device="cpu").to(batch.frames.device)
    frames = batch.frames
    for column, (share, axis) in enumerate(((how.time_flip, 1), (how.mirror, 4), (how.mirror, 3))):
        flipped = draws[:, column] < share
        frames = torch.where(flipped[:, None, None, None, None], frames.flip(axis), frames)
    if how.colour:
        frames = _recoloured(frames, how.colour * (2 * draws[:, 3:] - 1))
    return Batch(frames, batch.actions)


def _recoloured(frames: Float[Tensor, "n T C h w"], changes: Float[Tensor, "n 4"]) -> Float[Tensor, "n T C h w"]:
    """Scale brightness, contrast and saturation by 1 + each change, and turn the hue by the last one, in turns."""
    n, steps, channels, height, width = frames.shape
    pixels = frames.reshape(n, steps, channels // COLOURS, COLOURS, height, width)
    brightness, contrast, saturation, hue = changes.unbind(dim=1)
    grey, yiq = (torch.tensor(each, dtype=frames.dtype, device=frames.device) for each in (_GREY, _YIQ))
    cos, sin, one, zero = (2 * torch.pi * hue).cos(), (2 * torch.pi * hue).sin(), torch.ones_like(hue), hue * 0
    turn = torch.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], dim=1).reshape(n, 3, 3)
    rotate = torch.linalg.inv(yiq) @ turn @ yiq
    identity = torch.eye(COLOURS, dtype=frames.dtype, device=frames.device)
    saturate = torch.lerp(grey.expand(COLOURS, COLOURS)[None], identity[None], 1 + saturation[:, None, None])
    scale = ((1 + brightness) * (1 + contrast))[:, None, None]
    matrix = scale * (rotate @ saturate)
    mean = torch.einsum("ntvchw,c->n", pixels, grey) / (pixels[0].numel() / COLOURS)
    offset = -contrast * (1 + brightness) * mean
    changed = torch.einsum("ndc,ntvchw->ntvdhw", matrix, pixels) + offset[:, None, None, None, None, None]
    return changed.clamp(0, 1).reshape(frames.shape)
