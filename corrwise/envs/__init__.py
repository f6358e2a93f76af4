"""States to pictures: tasks, renderers, Gymnasium environments. Importing it registers the ``corrwise/*`` ids."""

from typing import TYPE_CHECKING, Any

import gymnasium

from corrwise.envs.fleet import Fleet
from corrwise.envs.renderers import GLRenderer, RaycastRenderer
from corrwise.envs.simulator import MujocoSimulator
from corrwise.envs.tasks.task import Camera, GoalSampling, Task
from corrwise.envs.vector_task import VectorVisualTask
from corrwise.envs.visual_task import VisualTask
from corrwise.registry import TASK_PATHS, Registry

if TYPE_CHECKING:
    from corrwise.envs.rewards import ImageGoalReward, RenderToInfo, VecImageGoalReward, VectorImageGoalReward

TASKS: Registry[Task] = Registry(TASK_PATHS)

for _name in TASKS:
    gymnasium.register(
        id=f"corrwise/{_name.title().replace('-', '')}-v0",
        entry_point="corrwise.envs.visual_task:VisualTask",
        vector_entry_point="corrwise.envs.vector_task:VectorVisualTask",
        kwargs={"task": _name},
    )

__all__ = [
    "TASKS",
    "Camera",
    "Fleet",
    "GLRenderer",
    "GoalSampling",
    "ImageGoalReward",
    "MujocoSimulator",
    "RaycastRenderer",
    "RenderToInfo",
    "Task",
    "VecImageGoalReward",
    "VectorImageGoalReward",
    "VectorVisualTask",
    "VisualTask",
]


def __getattr__(name: str) -> Any:
    """Import the rewards when they are asked for: they load triton, and one of them Stable-Baselines3."""
    if name in ("ImageGoalReward", "RenderToInfo", "VecImageGoalReward", "VectorImageGoalReward"):
        from corrwise.envs import rewards

        return getattr(rewards, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
