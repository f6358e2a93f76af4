"""What a person reads of an exception: one sentence, with file and line where it is their own code that failed."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import corrwise
from corrwise._faults import described, frame_of, message_of, named_error, place_of
from corrwise.experiments.cli.checks import ConfigError

__all__ = ["debugging", "plain_warnings", "sentence_of"]

_EXPECTED = (ConfigError, ArithmeticError, ValueError, OSError, RuntimeError)  # of input that cannot be used
_HINT = "CORRWISE_DEBUG=1 shows the traceback"


def sentence_of(error: BaseException, *, own_task: bool = False) -> str | None:
    """Return one sentence about an error; None for a fault of this package, which needs its traceback.

    Args:
        error: what was raised.
        own_task: whether code of the user's is in play, such as a task's ``start`` that takes no arguments: a call that
            fails has no frame there.
    """
    if _for_want_of_memory(error):
        what = message_of(error) if place_of(error) is None else described(error)
        return f"not enough memory: {what}; fewer or smaller images at a time need less"
    if not isinstance(error, Exception):  # such as the end that help asks for; a task may not ask for one
        return described(error) if place_of(error) else None
    if place_of(error) is not None:
        return f"{described(error)}; {_HINT}" if not isinstance(error, _EXPECTED) else described(error)
    if isinstance(error, _EXPECTED) and not isinstance(error, (ZeroDivisionError, OverflowError)):
        return message_of(error)
    if own_task or isinstance(error, ArithmeticError):
        return f"{frame_of(error, anywhere=True)}: {named_error(error)}; {_HINT}"
    return None


def debugging() -> bool:
    """Return whether the environment asks for tracebacks."""
    return os.environ.get("CORRWISE_DEBUG", "0") not in ("", "0")


def _for_want_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: Python's, NumPy's and C++'s error is one type, torch's is told by name or message."""
    torchs = isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate memory" in str(error)
    return isinstance(error, MemoryError) or torchs or type(error).__name__ == "OutOfMemoryError"


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
