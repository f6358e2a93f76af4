"""Warnings of a command as a person reads them: one sentence on a line of its own, without the line of code."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import corrwise

__all__ = ["plain_warnings"]

_OURS = str(Path(corrwise.__file__).parent)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Show this package's own warnings as ``corrwise: warning: ...`` as long as a command runs; others as ever."""
    before = warnings.formatwarning

    def plain(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        if not issubclass(category, UserWarning) or not filename.startswith(_OURS):
            return before(message, category, filename, lineno, line)
        bar = "\r\x1b[K" if sys.stderr.isatty() else "\n"  # a progress bar may stand on the line
        return f"{bar}corrwise: warning: {message}\n"

    warnings.formatwarning = plain
    try:
        yield
    finally:
        warnings.formatwarning = before
