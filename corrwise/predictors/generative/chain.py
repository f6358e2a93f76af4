"""Frames predicted one by one, each given those before it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.predictors.data.windows import Batch

__all__ = ["chain", "random_like"]

Frame = Float[Tensor, "n C h w"]
Predict = Callable[[int, Float[Tensor, "n K C h w"], Float[Tensor, "n K A"]], Frame]


def chain(batch: Batch, context: int, predict: Predict, *, frames: int | None = None) -> None:
    """Predict the frames after the context of each window, and let each be the newest of the next one's context.

    Args:
        batch: windows of context and horizon.
        context: frames that each one is predicted from, K.
        predict: given the number of a frame after the context, the K frames before it, and the actions between them
            and up to it, returns the frame.
        frames: how many; None for all after the context.
    """
    horizon = batch.frames.shape[1] - context
    before, actions = batch.frames[:, :context], batch.actions[:, : context - 1]
    for k in range(horizon if frames is None else frames):
        actions = torch.cat([actions, batch.actions[:, context - 1 + k, None]], dim=1)
        frame = predict(k, before, actions)
        before, actions = torch.cat([before[:, 1:], frame[:, None]], dim=1), actions[:, 1:]


def random_like(x: Tensor, generator: Generator) -> Tensor:
    """Return standard normal noise of a tensor's shape from a generator on the CPU."""
    return torch.randn(x.shape, generator=generator, dtype=torch.float32, device="cpu").to(x.device)
