"""The Python blocks of the documentation, run as a reader runs them, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import types
from pathlib import Path

__all__ = ["ROOT", "blocks", "chains", "run_alone", "run_fresh", "save_named"]

ROOT = Path(__file__).parents[1]
_IMPORTS = re.compile(r"^(import|from) \w", re.MULTILINE)
_NAME = re.compile(r"\A# (\w+\.py)\n")


def blocks(page: Path) -> list[str]:
    """Return the Python blocks of a page."""
    return re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)


def chains(page: Path) -> list[str]:
    """Return the code of each process: a block with imports, and the blocks without imports that follow it."""
    joined: list[str] = []
    for block in blocks(page):
        if _IMPORTS.search(block) or not joined:
            joined.append(block)
        else:
            joined[-1] += "\n" + block
    return joined


def save_named(page: Path, folder: Path) -> None:
    """Save the blocks whose first line names a file under that name, as the page asks of its reader."""
    for block in blocks(page):
        if name := _NAME.match(block):
            (folder / name[1]).write_text(block)


def run_fresh(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that works in a folder."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def run_alone(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own that works in a folder.

    The process is forked from one that has imported torch, which takes seconds, and nothing of the project.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torchvision"])
    with tempfile.TemporaryDirectory() as outputs:
        files = [Path(outputs) / name for name in ("stdout", "stderr")]
        process = context.Process(target=_run, args=(code, str(folder), environment, *map(str, files)))
        process.start()
        process.join()
        assert process.exitcode is not None
        return subprocess.CompletedProcess(code, process.exitcode, *(file.read_text() for file in files))


def _run(code: str, folder: str, environment: dict[str, str], stdout: str, stderr: str) -> None:
    for number, name in ((1, stdout), (2, stderr)):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
    os.environ.update(environment)
    os.chdir(folder)
    sys.path.insert(0, folder)
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    exec(compile(code, "<string>", "exec"), main.__dict__)
