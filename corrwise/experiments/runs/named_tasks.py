"""Tasks by name: those of the package, and anyone's own as ``file.py:NAME`` or ``package.module:NAME``."""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass
from typing import Any

import mujoco
import numpy as np

from corrwise.envs import TASKS, Task
from corrwise.experiments.runs.user_code import user_object, user_source

__all__ = ["named_task", "task_label", "task_settings"]


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


def task_label(name: str) -> str:
    """Return what rows call a task: of one's own, the name without its file."""
    return name.rpartition(":")[2]


def task_settings(name: str) -> dict[str, Any]:
    """Return what tells a task from another of its name: its numbers, the compiled model and, of one's own, the code.

    The model's digest is that of MuJoCo's binary form: other versions of MuJoCo have others for the same model.

    Raises:
        ValueError: see ``named_task``.
    """
    task, source = named_task(name), {}
    if name not in TASKS:
        source = {"task_source": user_source(name)}
        task = named_task(name)  # a file that has changed was run anew
    model = task.compile()
    data = np.empty(mujoco.mj_sizeModel(model), dtype=np.uint8)
    mujoco.mj_saveModel(model, None, data)
    plain = {each.name: getattr(task, each.name) for each in fields(task)}
    numbers = {key: _numbers(value) for key, value in plain.items() if not callable(value)}
    return {**source, "task_model": hashlib.sha256(data.tobytes()).hexdigest()[:12], "task_numbers": numbers}


def _numbers(value: Any) -> Any:
    """Return what is no code of a task's part."""
    if not is_dataclass(value):
        return value
    parts = {each.name: getattr(value, each.name) for each in fields(value)}
    return {key: _numbers(part) for key, part in parts.items() if not callable(part)}
