"""The Python blocks of the documentation, run as a reader runs them, each in a fresh process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

__all__ = ["ROOT", "blocks", "chains", "run_alone", "save_named"]

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


def run_alone(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that works in a folder."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
