"""Predict every n-th frame and interpolate the frames in between: fewer steps of a network for the same horizon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.predictors.data.clip import ClipSource
from corrwise.predictors.interpolation.registry import make_interpolator
from corrwise.predictors.interpolation.times import fixed_places
from corrwise.predictors.models.base import VideoPredictor, padded_context, wanted_steps
from corrwise.predictors.models.pretrained import about_model, model_stride
from corrwise.predictors.models.registry import model_config
from corrwise.types import Context, FixedTimes, Interpolator, Predictor, is_deterministic

__all__ = ["ControlSteps", "StridedClips", "StridedPredictor", "check_horizon", "span"]


class StridedPredictor:
    """A ``Predictor`` of control steps, made of one whose steps are ``stride`` control steps long.

    The inner predictor gets the actions of a stride side by side, (B, N, ceil(H / stride), stride * A), and the frames
    of the context that are a stride apart, the newest among them. It is trained on such steps, see ``StridedClips``.
    Where the horizon ends within a stride, the last action is held to its end. Only frames that are asked for are
    interpolated: an aggregate of the last frame costs no interpolation where the horizon is a multiple of the stride.

    Args:
        predictor: of strides.
        interpolator: of the frames in between; the two frames around the wanted one are handed to it.
        stride: control steps of one step of the predictor.

    Attributes:
        predictor, interpolator, stride: as given.

    Raises:
        ValueError: a stride below 1, or an interpolator of fixed times that are not those of the stride.
    """

    def __init__(self, predictor: Predictor, interpolator: Interpolator, stride: int) -> None:
        if stride < 1:
            raise ValueError(f"expected a stride of at least 1 control step, got {stride}")
        if stride > 1 and isinstance(interpolator, FixedTimes):
            try:
                fixed_places(interpolator, (0, stride), range(1, stride))
            except ValueError as error:
                raise ValueError(f"expected an interpolator for a stride of {stride} control steps: {error}") from None
        self.predictor, self.interpolator, self.stride = predictor, interpolator, stride

    def __call__(
        self,
        context: Context,
        actions: Float[Tensor, "B N H A"],
        *,
        steps: Sequence[int] | None = None,
        generators: Sequence[Generator] | None = None,
    ) -> Float[Tensor, "B N T C h w"]:
        """Return the frames after the given control steps.

        Raises:
            ValueError: a horizon shorter than the stride, or what ``wanted_steps`` or the inner predictor refuses.
        """
        wanted = wanted_steps(context, actions, steps)
        check_horizon(actions.shape[2], self.stride)
        if not wanted:
            return context.frames.new_zeros(*actions.shape[:2], 0, *context.frames.shape[2:])
        needed = sorted({stride for step in wanted for stride in self._around(step)} - {0})
        strided = self.predictor(
            self._strided(context), self._joined(actions), steps=[i - 1 for i in needed], generators=generators
        )
        frames = dict(zip(needed, strided.unbind(2), strict=True))
        frames[0] = context.frames[:, -1:].expand(-1, actions.shape[1], -1, -1, -1).to(strided)
        made = self._between(frames, wanted)
        return torch.stack(
            [made[step] if step in made else frames[(step + 1) // self.stride] for step in wanted], dim=2
        )

    @property
    def deterministic(self) -> bool:
        """Whether the inner predictor draws nothing."""
        return is_deterministic(self.predictor)

    def parameters(self) -> list[Tensor]:
        """Return the weights of the inner predictor, if any: images are predicted on their device."""
        inner = getattr(self.predictor, "parameters", None)
        return [] if inner is None else list(inner())

    def _around(self, step: int) -> tuple[int, ...]:
        """Return the strides whose ends surround a control step, 0 for now; one if the step ends a stride."""
        whole, rest = divmod(step + 1, self.stride)
        return (whole, whole + 1) if rest else (whole,)

    def _between(
        self, frames: dict[int, Float[Tensor, "B N C h w"]], wanted: Sequence[int]
    ) -> dict[int, Float[Tensor, "B N C h w"]]:
        """Return the wanted frames within strides, by control step; those of one stride are made in one call."""
        pairs: dict[tuple[int, ...], list[int]] = {}
        for step in sorted(set(wanted)):
            if len(around := self._around(step)) == 2:
                pairs.setdefault(around, []).append(step)
        made: dict[int, Tensor] = {}
        for around, steps in pairs.items():
            pair = torch.stack([frames[i] for i in around], dim=2)
            times = [i * self.stride for i in around]
            between = self.interpolator(pair.flatten(0, 1), times, [step + 1 for step in steps])
            made |= zip(steps, between.unflatten(0, pair.shape[:2]).unbind(2), strict=True)
        return made

    def _joined(self, actions: Float[Tensor, "B N H A"]) -> Float[Tensor, "B N strides joined"]:
        missing = -actions.shape[2] % self.stride
        held = torch.cat([actions, actions[:, :, -1:].expand(-1, -1, missing, -1)], dim=2)
        return held.unflatten(2, (-1, self.stride)).flatten(3)

    def _strided(self, context: Context) -> Context:
        """Return the context as the inner predictor sees it; in front the first frame is repeated with actions of 0."""
        count = -(-(context.frames.shape[1] - 1) // self.stride) + 1
        frames, done = padded_context(context, span(count, self.stride))
        joined = done.reshape(len(done), count - 1, self.stride * done.shape[2])
        return Context(frames[:, :: self.stride], joined, context.state)


@dataclass(frozen=True)
class ControlSteps:
    """A trained predictor in control steps, whatever the stride is that it was trained on.

    Attributes:
        stride: control steps of one step of the predictor; 1 for most.
        context: frames of control steps that it needs to see.
        action_dim: actions of one control step; 0 for a predictor without actions.
    """

    stride: int
    context: int
    action_dim: int

    @classmethod
    def of(cls, folder: str | PathLike[str]) -> ControlSteps:
        """Return what the metadata in a model's folder states.

        Raises:
            FileNotFoundError: the folder has no model.
            ValueError: metadata that describes no predictor, or actions that the stride does not divide.
        """
        about, stride = about_model(folder), model_stride(folder)
        config = model_config(about["model"], **about["config"])
        if config.action_dim % stride:
            raise ValueError(
                f"expected actions of a stride of {stride} control steps in {folder}, got {config.action_dim} numbers"
            )
        return cls(stride, span(config.context, stride), config.action_dim // stride)

    def predictor(self, model: VideoPredictor, interpolator: Interpolator | str) -> VideoPredictor | StridedPredictor:
        """Return the model as a predictor of control steps: itself if its stride is 1.

        Args:
            model: from the same folder.
            interpolator: of the frames within a stride, or its name.

        Raises:
            ValueError: an unknown name.
        """
        if self.stride == 1:
            return model
        made = make_interpolator(interpolator) if isinstance(interpolator, str) else interpolator
        return StridedPredictor(model, made, self.stride)


def span(strided: int, stride: int) -> int:
    """Return how many frames of single steps hold ``strided`` frames that are a stride apart."""
    return (strided - 1) * stride + 1


def check_horizon(horizon: int, stride: int) -> None:
    """Raise a ValueError for a horizon without one whole stride: the actions of a stride are known together."""
    if horizon < stride:
        raise ValueError(f"expected a horizon of at least one stride of {stride} control steps, got {horizon}")


class StridedClips:
    """Clips whose steps are ``stride`` steps of a source's clips (``ClipSource``): training data of strided predictors.

    Every ``stride``-th frame is kept and the actions in between are joined, (steps, stride * A). Clip ``i`` of the
    source gives ``stride`` clips, ``i * stride + phase``, that begin at its frames 0, 1, ... ``stride - 1``.

    Args:
        source: of single steps.
        stride: steps to join.

    Raises:
        ValueError: a stride below 1.
    """

    def __init__(self, source: ClipSource, stride: int) -> None:
        if stride < 1:
            raise ValueError(f"expected a stride of at least 1 step, got {stride}")
        self._source, self._stride = source, stride
        self.size, self.action_dim = source.size, source.action_dim * stride
        self.lengths = [
            max(0, length - phase + stride - 1) // stride for length in source.lengths for phase in range(stride)
        ]

    def read(self, clip: int, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return frames ``start`` to ``stop`` (not included) of a clip, and the joined actions between them."""
        clip, phase = divmod(clip, self._stride)
        first, last = phase + start * self._stride, phase + (stop - 1) * self._stride
        frames, actions = self._source.read(clip, first, last + 1)
        return frames[:: self._stride], actions.reshape(stop - 1 - start, self.action_dim)
