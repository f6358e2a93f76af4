"""Predict every n-th frame and interpolate the frames in between: fewer steps of a network for the same horizon."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.predictors.data.clip import ClipSource
from corrwise.predictors.models.base import padded_context, wanted_steps
from corrwise.types import Context, Interpolator, Predictor

__all__ = ["StridedClips", "StridedPredictor"]


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

    Raises:
        ValueError: a stride below 1.
    """

    def __init__(self, predictor: Predictor, interpolator: Interpolator, stride: int) -> None:
        if stride < 1:
            raise ValueError(f"expected a stride of at least 1 control step, got {stride}")
        self.predictor, self.interpolator, self.stride = predictor, interpolator, stride

    def context_frames(self, strided: int) -> int:
        """Return how many frames of control steps hold ``strided`` frames that are a stride apart."""
        return (strided - 1) * self.stride + 1

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
            ValueError: what ``wanted_steps`` or the inner predictor refuses.
        """
        wanted = wanted_steps(context, actions, steps)
        if not wanted:
            return context.frames.new_zeros(*actions.shape[:2], 0, *context.frames.shape[2:])
        needed = sorted({stride for step in wanted for stride in self._around(step)} - {0})
        strided = self.predictor(
            self._strided(context), self._joined(actions), steps=[i - 1 for i in needed], generators=generators
        )
        frames = dict(zip(needed, strided.unbind(2), strict=True))
        frames[0] = context.frames[:, -1:].expand(-1, actions.shape[1], -1, -1, -1).to(strided)
        return torch.stack([self._frame(frames, step) for step in wanted], dim=2)

    def parameters(self) -> list[Tensor]:
        """Return the weights of the inner predictor, if any: images are predicted on their device."""
        inner = getattr(self.predictor, "parameters", None)
        return [] if inner is None else list(inner())

    def _around(self, step: int) -> tuple[int, ...]:
        """Return the strides whose ends surround a control step, 0 for now; one if the step ends a stride."""
        whole, rest = divmod(step + 1, self.stride)
        return (whole, whole + 1) if rest else (whole,)

    def _frame(self, frames: dict[int, Float[Tensor, "B N C h w"]], step: int) -> Float[Tensor, "B N C h w"]:
        around = self._around(step)
        if len(around) == 1:
            return frames[around[0]]
        pair = torch.stack([frames[i] for i in around], dim=2).flatten(0, 1)
        times = [i * self.stride for i in around]
        return self.interpolator(pair, times, [step + 1])[:, 0].unflatten(0, frames[around[0]].shape[:2])

    def _joined(self, actions: Float[Tensor, "B N H A"]) -> Float[Tensor, "B N strides joined"]:
        missing = -actions.shape[2] % self.stride
        held = torch.cat([actions, actions[:, :, -1:].expand(-1, -1, missing, -1)], dim=2)
        return held.unflatten(2, (-1, self.stride)).flatten(3)

    def _strided(self, context: Context) -> Context:
        """Return the context as the inner predictor sees it; in front the first frame is repeated with actions of 0."""
        count = -(-(context.frames.shape[1] - 1) // self.stride) + 1
        frames, done = padded_context(context, self.context_frames(count))
        joined = done.reshape(len(done), count - 1, self.stride * done.shape[2])
        return Context(frames[:, :: self.stride], joined, context.state)


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
