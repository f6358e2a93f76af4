"""Tasks by name: those of the package, and anyone's own as ``file.py:NAME`` or ``package.module:NAME``.

A file or module that is named is run, as Python code, with all that its author may do.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from corrwise._files import local_path
from corrwise.envs import TASKS, Task
from corrwise.experiments.cli.faults import described

__all__ = ["named_task", "task_source"]


def named_task(name: str) -> Task:
    """Return the task.

    Raises:
        ValueError: there is no such task, file, module or variable, it fails when it is run, or it is no ``Task``.
    """
    if name in TASKS:
        return TASKS[name]
    place, colon, variable = name.rpartition(":")
    if not colon:
        raise ValueError(f"unknown task {name!r}; there are {', '.join(TASKS)}, or your own as file.py:NAME")
    module = _module(place)
    task = getattr(module, variable, None)
    if not isinstance(task, Task):
        tasks = ", ".join(key for key, value in vars(module).items() if isinstance(value, Task)) or "none"
        raise ValueError(
            f"expected a corrwise.envs.Task {variable!r} in {place}, got {task!r:.80}; its tasks are {tasks}"
        )
    return task


def task_source(name: str) -> str | None:
    """Return what tells one version of someone's own task from another; None for the package's."""
    if name in TASKS:
        return None
    file = getattr(_module(name.rpartition(":")[0]), "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12] if file else None


def _module(place: str) -> ModuleType:
    if not place.endswith(".py"):
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            raise ValueError(f"cannot import {place!r}: {error}") from error
        except (Exception, SystemExit) as error:
            raise ValueError(f"cannot import {place!r}: {described(error)}") from error
    path = local_path(place).resolve()
    known = f"corrwise_task_{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"
    if known in sys.modules:
        return sys.modules[known]
    spec = importlib.util.spec_from_file_location(known, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ValueError(f"expected a Python file with a task, got {place!r} which is no file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[known] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[known]
        raise ValueError(f"cannot run {described(error, default=place)}") from error
    return module
