"""The base of all learned predictors: the context is encoded once, and frames are predicted one by one."""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.predictors.data.windows import Batch
from corrwise.predictors.models.pretrained import Pretrained
from corrwise.types import Context, copied

__all__ = ["Learned", "Memory", "VideoPredictor"]


def wanted_steps(context: Context, actions: Tensor, steps: Sequence[int] | None) -> list[int]:
    """Return the 0-based steps as a list, all H of them if None.

    Raises:
        ValueError: a step lies outside the horizon, or the actions are not (B, N, H, A) with the context's B.
    """
    batch = context.frames.shape[0]
    if actions.ndim != 4 or actions.shape[0] != batch:
        raise ValueError(f"expected actions ({batch}, N, H, A), as the context, got {tuple(actions.shape)}")
    horizon = actions.shape[2]
    if steps is None:
        return list(range(horizon))
    wanted = [operator.index(step) for step in steps]
    if any(not 0 <= step < horizon for step in wanted):
        raise ValueError(f"steps must lie in 0 to {horizon - 1} (the horizon is {horizon}), got {wanted}")
    return wanted


def padded_context(context: Context, count: int) -> tuple[Float[Tensor, "B frames C h w"], Float[Tensor, "B steps A"]]:
    """Return at least ``count`` frames and the actions between them.

    In front the first frame is repeated, with actions of 0, as at the start of an episode.
    """
    missing = max(0, count - context.frames.shape[1])
    frames = torch.cat([context.frames[:, :1].expand(-1, missing, -1, -1, -1), context.frames], dim=1)
    idle = context.actions.new_zeros(len(frames), missing, context.actions.shape[2])
    return frames, torch.cat([idle, context.actions], dim=1)


Memory = tuple[Tensor, ...]  # a model's state for each clip; the first axis is that of the clips


@dataclass(frozen=True)
class Learned:
    """The predictions for a training batch.

    Attributes:
        frames: predictions, in [0, 1].
        targets: the true frames.
        penalty: the model's own term of the loss, such as a KL divergence; one number.
    """

    frames: Float[Tensor, "B T C h w"]
    targets: Float[Tensor, "B T C h w"]
    penalty: Float[Tensor, ""]


class VideoPredictor(Pretrained):
    """A learned ``Predictor``: ``model(context, actions)`` predicts frames for candidates.

    A context with fewer than K frames is padded in front with its first frame and actions of 0, as at the start of an
    episode; of a longer context the newest K frames are used. A model without actions (``action_dim`` 0) predicts the
    same future for every candidate.

    Its configuration has ``context``, K, ``action_dim``, A, and ``channels``, C: 3 for each view. Frames are in [0, 1],
    so depth in metres is not supported.
    """

    @abstractmethod
    def start(
        self, frames: Float[Tensor, "M K C h w"], actions: Float[Tensor, "M K-1 A"], noise: Sequence[Generator] | None
    ) -> Memory:
        """Return the state after the context.

        Args:
            frames: of the context.
            actions: between the frames.
            noise: a generator for each clip; None uses the means of all distributions.
        """

    @abstractmethod
    def step(
        self, memory: Memory, action: Float[Tensor, "M A"], noise: Sequence[Generator] | None
    ) -> tuple[Float[Tensor, "M C h w"], Memory]:
        """Return the next frame, in [0, 1], and the state after it.

        The candidates of a clip are adjacent, and share the draws of its generator.
        """

    def forward(
        self,
        context: Context,
        actions: Float[Tensor, "B N H A"],
        *,
        steps: Sequence[int] | None = None,
        generators: Sequence[Generator] | None = None,
    ) -> Float[Tensor, "B N T C h w"]:
        """Return the frames after the given steps.

        Draws come from copies of the generators, so that all chunks of candidates share the same draws.

        Raises:
            ValueError: actions or images of another dimension or type than the model's, no frames, or see
                ``wanted_steps``.
        """
        wanted = wanted_steps(context, actions, steps)
        check_channels(context.frames, self.config)
        acting = (context.actions, actions) if self.config.action_dim else ()
        check_dtype(next(self.parameters()).dtype, context.frames, *acting)
        batch, candidates = actions.shape[:2]
        if self.config.action_dim and actions.shape[3] != self.config.action_dim:
            raise ValueError(f"expected actions of {self.config.action_dim} numbers, got {actions.shape[3]}")
        if not (batch and candidates and wanted):
            return context.frames.new_zeros(batch, candidates, len(wanted), *context.frames.shape[2:])
        noise = None if generators is None else [copied(each) for each in generators]
        memory = self.start(*self._context(context), noise)
        memory = tuple(part.repeat_interleave(candidates, dim=0) for part in memory)
        flat, frames = actions.flatten(0, 1)[..., : self.config.action_dim], {}
        for t in range(max(wanted) + 1):
            frame, memory = self.step(memory, flat[:, t], noise)
            if t in wanted:
                frames[t] = frame
        return torch.stack([frames[t] for t in wanted], dim=1).unflatten(0, (batch, candidates))

    def learn(self, batch: Batch, noise: Generator | None = None) -> Learned:
        """Predict the frames after the first K of each window, each from the frames predicted before it.

        Gradients pass through the whole chain (Geng et al., CVPR 2022, Sec. 4).

        Raises:
            ValueError: see ``check_batch``.
        """
        context, horizon = self.config.context, batch.frames.shape[1] - self.config.context
        check_batch(batch, self.config)
        memory, predicted = self.start(batch.frames[:, :context], batch.actions[:, : context - 1], None), []
        for t in range(horizon):
            frame, memory = self.step(memory, batch.actions[:, context - 1 + t], None)
            predicted.append(frame)
        return Learned(torch.stack(predicted, dim=1), batch.frames[:, context:], batch.frames.new_zeros(()))

    def _context(self, context: Context) -> tuple[Tensor, Tensor]:
        """Return the newest K frames and the actions between them."""
        kept = self.config.context
        frames, done = padded_context(context, kept)
        return frames[:, -kept:], done[:, done.shape[1] - kept + 1 :, : self.config.action_dim]


def check_batch(batch: Batch, config: Any) -> None:
    """Refuse windows from which a model cannot learn.

    Raises:
        ValueError: windows without frames after the context, or actions or images of another dimension than the
            model's.
    """
    if batch.frames.shape[1] <= config.context:
        raise ValueError(f"expected windows of more than {config.context} frames, got {batch.frames.shape[1]}")
    check_channels(batch.frames, config)
    if batch.actions.shape[2] != config.action_dim:
        raise ValueError(f"expected clips with {config.action_dim} actions a step, got {batch.actions.shape[2]}")


def check_channels(frames: Float[Tensor, "B T C h w"], config: Any) -> None:
    """Raise a ValueError for no frames, or images with another number of channels than the model's."""
    if frames.ndim != 5 or 0 in frames.shape[1:]:
        raise ValueError(f"expected frames (B, T, C, h, w) with T, h and w of at least 1, got {tuple(frames.shape)}")
    if frames.shape[2] != config.channels:
        raise ValueError(f"expected images of {config.channels} channels, got {frames.shape[2]}")


def check_dtype(dtype: torch.dtype, frames: Tensor, *actions: Tensor) -> None:
    """Raise a ValueError for frames or actions of another type than a model's weights."""
    for what, each in (("frames", frames), *(("actions", each) for each in actions)):
        if each.dtype != dtype:
            raise ValueError(f"expected {what} of {dtype}, as the model's weights, got {each.dtype}")
