"""What a policy is and what it says: the shape that planners and controls share in an experiment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from corrwise.types import Context, Goal

__all__ = ["Decision", "Policy"]


@dataclass(frozen=True)
class Decision:
    """What a policy did in one control step.

    Attributes:
        action: what each environment does now.
        plan: the whole planned sequence; None for a policy that plans nothing.
        rejected: candidates of each environment whose cost was not finite.
        scored: how many candidates of each environment were scored.
    """

    action: Float[Tensor, "B A"]
    plan: Float[Tensor, "B H A"] | None
    rejected: Int[Tensor, "B"]
    scored: int = 0


@runtime_checkable
class Policy(Protocol):
    """Acts on what a controller may know; remembers its plan from step to step."""

    def __call__(self, context: Context, goal: Goal) -> Decision:
        """Decide for all environments at once."""
        ...
