"""Make it look like this picture: rewards for agents of any Gymnasium environment that shows pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corrwise._triton_guard import load_triton
from corrwise.envs.rewards.render_to_info import RenderToInfo
from corrwise.envs.rewards.scorer import FORMS
from corrwise.envs.rewards.single import ImageGoalReward
from corrwise.envs.rewards.vector import VectorImageGoalReward

if TYPE_CHECKING:
    from corrwise.envs.rewards.sb3 import VecImageGoalReward

load_triton()  # who rewards images draws them, and makes optimizers

__all__ = ["FORMS", "ImageGoalReward", "RenderToInfo", "VecImageGoalReward", "VectorImageGoalReward"]


def __getattr__(name: str) -> Any:
    """Import what needs Stable-Baselines3, which takes seconds, when it is asked for."""
    if name == "VecImageGoalReward":
        from corrwise.envs.rewards.sb3 import VecImageGoalReward

        return VecImageGoalReward
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
