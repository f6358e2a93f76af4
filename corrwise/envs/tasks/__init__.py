"""Tasks: their definition, starts, goals and metric, and the registry of named tasks.

Importing this module loads neither MuJoCo nor torch; a task is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from corrwise.registry import TASK_PATHS, Registry

if TYPE_CHECKING:
    from corrwise.envs.tasks.task import Task

__all__ = ["TASKS", "find_task", "is_environment"]

TASKS: Registry[Task] = Registry(TASK_PATHS)
_ENVIRONMENTS = ("gym", "dm_control")


def is_environment(name: str) -> bool:
    """Return whether a name has the form ``gym:ID`` or ``dm_control:DOMAIN``; the environment need not exist."""
    return name.partition(":")[0] in _ENVIRONMENTS and ":" in name


def find_task(name: str) -> Task:
    """Return the task of a name.

    Args:
        name: one of ``TASKS``, or an environment: ``gym:ID``, ``dm_control:DOMAIN``, ``dm_control:DOMAIN-TASK``.

    Raises:
        ValueError: if the task is unknown, or the environment has no MuJoCo model that can be a task.
    """
    if is_environment(name):
        from corrwise.envs.tasks.environments import environment_task

        return environment_task(name)
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}; there are {', '.join(TASKS)}, gym:ID and dm_control:DOMAIN")
    return TASKS[name]
