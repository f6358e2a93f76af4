"""Tasks by name: those of the package, and anyone's own as ``file.py:NAME`` or ``package.module:NAME``."""

from __future__ import annotations

from corrwise.envs import TASKS, Task
from corrwise.experiments.runs.user_code import user_object, user_source

__all__ = ["named_task", "task_source"]


def named_task(name: str) -> Task:
    """Return the task.

    Raises:
        ValueError: there is no such task, file, module or variable, it fails when it is run, or it is no ``Task``.
    """
    if name in TASKS:
        return TASKS[name]
    if ":" not in name:
        raise ValueError(f"unknown task {name!r}; there are {', '.join(TASKS)}, or your own as file.py:NAME")
    task: Task = user_object(name, Task, "a corrwise.envs.Task", noun="task")
    return task


def task_source(name: str) -> str | None:
    """Return what tells one version of someone's own task from another; None for the package's."""
    return None if name in TASKS else user_source(name)
