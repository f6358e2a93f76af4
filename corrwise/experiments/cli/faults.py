"""What a person reads of an exception: one sentence, with file and line where it is their own code that failed."""

from __future__ import annotations

import os
import pickle
import re
import site
import sys
import sysconfig
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import corrwise
from corrwise.experiments.cli.checks import ConfigError

__all__ = ["Failure", "debugging", "described", "place_of", "plain_warnings", "sentence_of"]

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
        what = _message(error) if place_of(error) is None else described(error)
        return f"not enough memory: {what}; fewer or smaller images at a time need less"
    if not isinstance(error, Exception):  # such as the end that help asks for; a task may not ask for one
        return described(error) if place_of(error) else None
    if place_of(error) is not None:
        return f"{described(error)}; {_HINT}" if not isinstance(error, _EXPECTED) else described(error)
    if isinstance(error, _EXPECTED) and not isinstance(error, (ZeroDivisionError, OverflowError)):
        return _message(error)
    if own_task or isinstance(error, ArithmeticError):
        return f"{_frame(error, anywhere=True)}: {_named(error)}; {_HINT}"
    return None


def described(error: BaseException, *, default: str | None = None) -> str:
    """Return an error's type and message, after the place in the user's code, or else the default."""
    place = place_of(error) or default
    return _named(error) if place is None else f"{place}: {_named(error)}"


def place_of(error: BaseException) -> str | None:
    """Return where code that is neither this package nor an installed library failed: ``my_tasks.py:12 in start``.

    That is the innermost such frame, also of an error that a worker process has sent; None where there is none.
    """
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_file():
        return f"{_shown(error.filename)}:{error.lineno}"
    return getattr(error, "_corrwise_place", None) or _frame(error)


def debugging() -> bool:
    """Return whether the environment asks for tracebacks."""
    return os.environ.get("CORRWISE_DEBUG", "0") not in ("", "0")


@dataclass(frozen=True)
class Failure:
    """An exception on its way from one process to another, which a pickle alone would strip of its traceback.

    Attributes:
        pickled: the exception; empty where it cannot be pickled.
        named: its type and message.
        place: see ``place_of``.
        trace: the whole traceback.
    """

    pickled: bytes
    named: str
    place: str | None
    trace: str

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Pack an exception."""
        try:
            pickled = pickle.dumps(error)
            pickle.loads(pickled)
        except Exception:  # a class of one's own may refuse in any way
            pickled = b""
        return cls(pickled, _named(error), place_of(error), "".join(traceback.format_exception(error)))

    def error(self) -> Exception:
        """Return the exception again, as far as it can be had here, with its traceback as the cause."""
        try:
            error: Exception = pickle.loads(self.pickled)
        except Exception:  # its class may live in a file that only the worker has run
            error = RuntimeError(self.named)
        error.__dict__["_corrwise_place"] = self.place
        error.__cause__ = RuntimeError(f"in a worker process:\n{self.trace}")
        return error


def _frame(error: BaseException, *, anywhere: bool = False) -> str | None:
    """Return the innermost frame of the user's own code, or of any."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if anywhere or _own(frame.filename):
            inside = "" if frame.name == "<module>" else f" in {frame.name}"
            return f"{_shown(frame.filename)}:{frame.lineno}{inside}"
    return None


def _own(file: str) -> bool:
    paths = sysconfig.get_paths()
    libraries = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    libraries |= {*site.getsitepackages(), site.getusersitepackages(), str(Path(corrwise.__file__).parent)}
    path = Path(file).absolute()
    return not file.startswith("<") and not any(path.is_relative_to(folder) for folder in libraries)


def _shown(file: str) -> str:
    path = Path(file).absolute()
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _named(error: BaseException) -> str:
    message = error.msg if isinstance(error, SyntaxError) else _message(error)
    name = type(error).__name__
    return name if message in ("", name) else f"{name}: {message}"


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # a class of one's own may fail here, too
        text = ""
    line = re.sub(r"\s*[\r\n]\s*", " ", text.strip()) or type(error).__name__
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)  # none for the terminal


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
