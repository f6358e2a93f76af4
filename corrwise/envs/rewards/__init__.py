"""Rewards from a goal image, for agents in any Gymnasium environment that provides images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corrwise._triton_guard import load_triton
from corrwise.envs.rewards.render_to_info import RenderToInfo
from corrwise.envs.rewards.scorer import FORMS
from corrwise.envs.rewards.single import ImageGoalReward
from corrwise.envs.rewards.vector import VectorImageGoalReward

if TYPE_CHECKING:
    from corrwise.envs.rewards.sb3 import VecImageGoalReward

load_triton()  # before OpenGL, which the environments may render with

__all__ = ["FORMS", "ImageGoalReward", "RenderToInfo", "VecImageGoalReward", "VectorImageGoalReward"]


def __getattr__(name: str) -> Any:
    """Import ``VecImageGoalReward`` on first use: Stable-Baselines3 takes seconds to import."""
    if name == "VecImageGoalReward":
        from corrwise.envs.rewards.sb3 import VecImageGoalReward

        return VecImageGoalReward
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
