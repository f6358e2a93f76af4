"""Small stand-ins that make planning cheap and its right answer known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from corrwise.types import Context, Goal


@dataclass
class FakePredictor:
    """A predictor in which the first action brightens a grey image by up to ``gain`` per step.

    Remembers what it was asked: ``asked`` holds (actions' shape, steps) and ``contexts`` the contexts.
    """

    gain: float = 0.1
    asked: list[tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=list)
    contexts: list[Context] = field(default_factory=list)

    def __call__(
        self,
        context: Context,
        actions: Tensor,
        *,
        steps: Sequence[int] | None = None,
        generators: Sequence[torch.Generator] | None = None,
    ) -> Tensor:
        steps = tuple(range(actions.shape[2]) if steps is None else steps)
        self.asked.append((tuple(actions.shape), steps))
        self.contexts.append(context)
        brighter = self.gain * actions[..., 0].cumsum(dim=-1)[..., list(steps)]  # B N T
        return context.frames[:, None, -1:] + brighter[..., None, None, None]


class FakeCost:
    """The mean absolute difference to the last goal frame."""

    def __call__(self, frames: Tensor, goal: Goal) -> Tensor:
        return (frames - goal.frames[:, None, -1:]).abs().mean(dim=(-3, -2, -1))


def quadratic(target: Tensor) -> Callable[[Tensor], Tensor]:
    """A score that is 0 for the actions ``target`` (broadcastable to H, A) and grows with the squared distance."""
    return lambda actions: (actions - target).square().mean(dim=(-2, -1))
