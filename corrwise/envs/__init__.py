"""States to images: tasks, renderers, Gymnasium environments. Importing it registers the ``corrwise/*`` ids.

Names are imported on first use (PEP 562), so that ids and names of tasks load neither MuJoCo nor torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import gymnasium

from corrwise.envs.tasks import TASK_NAMES, registered_tasks

if TYPE_CHECKING:
    from corrwise.envs.fleet import Fleet
    from corrwise.envs.renderers import GLRenderer, RaycastRenderer
    from corrwise.envs.rewards import ImageGoalReward, RenderToInfo, VecImageGoalReward, VectorImageGoalReward
    from corrwise.envs.simulator import MujocoSimulator
    from corrwise.envs.tasks.task import Camera, GoalSampling, Task
    from corrwise.envs.vector_task import VectorVisualTask
    from corrwise.envs.visual_task import VisualTask

    TASKS: dict[str, Task]

_HOMES = {
    "fleet": ("Fleet",),
    "renderers": ("GLRenderer", "RaycastRenderer"),
    "rewards": ("ImageGoalReward", "RenderToInfo", "VecImageGoalReward", "VectorImageGoalReward"),
    "simulator": ("MujocoSimulator",),
    "tasks.task": ("Camera", "GoalSampling", "Task"),
    "vector_task": ("VectorVisualTask",),
    "visual_task": ("VisualTask",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

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

for _name in TASK_NAMES:
    gymnasium.register(
        id=f"corrwise/{_name.title().replace('-', '')}-v0",
        entry_point="corrwise.envs.visual_task:VisualTask",
        vector_entry_point="corrwise.envs.vector_task:VectorVisualTask",
        kwargs={"task": _name},
    )


def __getattr__(name: str) -> Any:
    if name == "TASKS":
        return registered_tasks()
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
