"""What all learned predictors share: the context is encoded once, and frames follow one by one."""

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
from corrwise.types import Context

__all__ = ["Learned", "Memory", "VideoPredictor"]


def wanted_steps(context: Context, actions: Tensor, steps: Sequence[int] | None) -> list[int]:
    """Return the 0-based steps as a list, all H of them if None.

    Raises:
        ValueError: if a step lies outside the horizon, or the actions are not (B, N, H, A) with the context's B.
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


Memory = tuple[Tensor, ...]  # what a model remembers of a clip; the first axis is that of the clips


@dataclass(frozen=True)
class Learned:
    """What a model makes of a training batch.

    Attributes:
        frames: predictions, in [0, 1].
        targets: what they should have been.
        penalty: what the model adds to the loss, such as a KL divergence; one number.
    """

    frames: Float[Tensor, "B T C h w"]
    targets: Float[Tensor, "B T C h w"]
    penalty: Float[Tensor, ""]


class VideoPredictor(Pretrained):
    """A learned ``Predictor``: ``model(context, actions)`` imagines frames for candidates.

    A context of fewer frames than the model was made for is filled up in front with its first frame and actions of 0,
    as at the start of an episode; of a longer one the newest frames count. A model without actions
    (``action_dim`` 0) imagines the same future for every candidate.

    Its configuration has ``context``, K, ``action_dim``, A, and ``channels``, C: 3 for each view. Depth in metres
    does not fit into its range of [0, 1].
    """

    @abstractmethod
    def start(
        self, frames: Float[Tensor, "M K C h w"], actions: Float[Tensor, "M K-1 A"], noise: Sequence[Generator] | None
    ) -> Memory:
        """Return what is remembered of the context; ``noise`` has a generator for each clip, None is the mean."""

    @abstractmethod
    def step(
        self, memory: Memory, action: Float[Tensor, "M A"], noise: Sequence[Generator] | None
    ) -> tuple[Float[Tensor, "M C h w"], Memory]:
        """Return the next frame, in [0, 1], and what is remembered then.

        Candidates of one clip lie side by side, and share the draws of its generator.
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

        Draws come from copies of the generators: every chunk of candidates meets the same future.

        Raises:
            ValueError: actions or images of another dimension than the model's, or what ``wanted_steps`` refuses.
        """
        wanted = wanted_steps(context, actions, steps)
        check_channels(context.frames, self.config)
        batch, candidates = actions.shape[:2]
        if self.config.action_dim and actions.shape[3] != self.config.action_dim:
            raise ValueError(f"expected actions of {self.config.action_dim} numbers, got {actions.shape[3]}")
        if not wanted:
            return context.frames.new_zeros(batch, candidates, 0, *context.frames.shape[2:])
        noise = None if generators is None else [_copied(each) for each in generators]
        memory = self.start(*self._context(context), noise)
        memory = tuple(part.repeat_interleave(candidates, dim=0) for part in memory)
        flat, shown = actions.flatten(0, 1)[..., : self.config.action_dim], {}
        for t in range(max(wanted) + 1):
            frame, memory = self.step(memory, flat[:, t], noise)
            if t in wanted:
                shown[t] = frame
        return torch.stack([shown[t] for t in wanted], dim=1).unflatten(0, (batch, candidates))

    def learn(self, batch: Batch, noise: Generator | None = None) -> Learned:
        """Predict what follows the first K frames of each window, each frame from those predicted before it.

        Gradients pass through the whole chain (Geng et al., CVPR 2022, Sec. 4).

        Raises:
            ValueError: a window that ends with the context, or actions of another dimension than the model's.
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
        missing = max(0, self.config.context - context.frames.shape[1])
        frames = torch.cat([context.frames[:, :1].expand(-1, missing, -1, -1, -1), context.frames], dim=1)
        done = torch.cat(
            [context.actions.new_zeros(len(frames), missing, context.actions.shape[2]), context.actions], 1
        )
        kept = self.config.context
        return frames[:, -kept:], done[:, done.shape[1] - kept + 1 :, : self.config.action_dim]


def check_batch(batch: Batch, config: Any) -> None:
    """Refuse windows that a model cannot learn from.

    Raises:
        ValueError: a window that ends with the context, or actions of another dimension than the model's.
    """
    if batch.frames.shape[1] <= config.context:
        raise ValueError(f"expected windows of more than {config.context} frames, got {batch.frames.shape[1]}")
    check_channels(batch.frames, config)
    if batch.actions.shape[2] != config.action_dim:
        raise ValueError(f"expected clips with {config.action_dim} actions a step, got {batch.actions.shape[2]}")


def check_channels(frames: Float[Tensor, "B T C h w"], config: Any) -> None:
    """Raise a ValueError for images of other channels than the model's."""
    if frames.shape[2] != config.channels:
        raise ValueError(f"expected images of {config.channels} channels, got {frames.shape[2]}")


def _copied(generator: Generator) -> Generator:
    copy = Generator(generator.device)
    copy.set_state(generator.get_state())
    return copy
