"""Tasks: what a task is, where its episodes start, which goals count, and those that have a name.

The names stand in ``corrwise.registry``; a task is loaded only when it is asked for, and with it MuJoCo and torch.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from corrwise.registry import TASK_PATHS, Registry

__all__ = ["TASK_NAMES", "find_task", "is_environment", "registered_tasks"]

TASK_NAMES = tuple(TASK_PATHS)
_ENVIRONMENTS = ("gym", "dm_control")


@cache
def registered_tasks() -> dict[str, Any]:
    """Return the package's own tasks by name; the same dictionary each time."""
    return dict(Registry[Any](TASK_PATHS))


def is_environment(name: str) -> bool:
    """Return whether a name has the form ``gym:ID`` or ``dm_control:DOMAIN``, whatever is behind it."""
    return name.partition(":")[0] in _ENVIRONMENTS and ":" in name


def find_task(name: str) -> Any:
    """Return the ``Task`` behind a name.

    Args:
        name: one of ``TASK_NAMES``, or an environment's: ``gym:ID``, ``dm_control:DOMAIN``, ``dm_control:DOMAIN-TASK``.

    Raises:
        ValueError: there is no such task, or the environment is no MuJoCo model that can be one.
    """
    if is_environment(name):
        from corrwise.envs.tasks.environments import environment_task

        return environment_task(name)
    tasks = registered_tasks()
    if name not in tasks:
        raise ValueError(f"unknown task {name!r}; there are {', '.join(tasks)}, gym:ID and dm_control:DOMAIN")
    return tasks[name]
