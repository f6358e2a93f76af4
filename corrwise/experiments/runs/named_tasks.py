"""Tasks by name: the package's, those of other packages' environments, and anyone's own as ``file.py:NAME``."""

from __future__ import annotations

from corrwise.envs import TASKS, Task
from corrwise.envs.tasks import find_task, is_environment
from corrwise.experiments.runs.user_code import user_object, user_source

__all__ = ["named_task", "task_source"]


def named_task(name: str) -> Task:
    """Return the task.

    Raises:
        ValueError: there is no such task, environment, file, module or variable, it fails when it is run, or it is no
            ``Task``.
    """
    own = ":" in name and not is_environment(name)
    task: Task = user_object(name, Task, "a corrwise.envs.Task", noun="task") if own else find_task(name)
    return task


def task_source(name: str) -> str | None:
    """Return what tells one version of someone's own task from another; None for those that a package ships."""
    return None if name in TASKS or is_environment(name) else user_source(name)
