"""Tasks: what a task is, where its episodes start, which goals count, and those that have a name.

This module loads a task only when it is asked for: neither MuJoCo nor torch.
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
    """Return whether a name has the form ``gym:ID`` or ``dm_control:DOMAIN``, whatever is behind it."""
    return name.partition(":")[0] in _ENVIRONMENTS and ":" in name


def find_task(name: str) -> Task:
    """Return the ``Task`` behind a name.

    Args:
        name: one of ``TASKS``, or an environment's: ``gym:ID``, ``dm_control:DOMAIN``, ``dm_control:DOMAIN-TASK``.

    Raises:
        ValueError: there is no such task, or the environment is no MuJoCo model that can be one.
    """
    if is_environment(name):
        from corrwise.envs.tasks.environments import environment_task

        return environment_task(name)
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}; there are {', '.join(TASKS)}, gym:ID and dm_control:DOMAIN")
    return TASKS[name]
