"""Where an error came from: the file and line of the user's own code, also across processes."""

from __future__ import annotations

import pickle
import re
import site
import sysconfig
import traceback
from dataclasses import dataclass
from pathlib import Path

import corrwise

__all__ = ["Failure", "described", "frame_of", "message_of", "named_error", "place_of"]


def described(error: BaseException, *, default: str | None = None) -> str:
    """Return an error's type and message, after the place in the user's code, or else the default."""
    place = place_of(error) or default
    return named_error(error) if place is None else f"{place}: {named_error(error)}"


def place_of(error: BaseException) -> str | None:
    """Return where code that is neither this package nor an installed library failed: ``my_tasks.py:12 in start``.

    That is the innermost such frame, also of an error that a worker process has sent; None where there is none.
    """
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_file():
        return f"{_shown(error.filename)}:{error.lineno}"
    return getattr(error, "_corrwise_place", None) or frame_of(error)


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
        except Exception:  # a user's class may raise anything
            pickled = b""
        return cls(pickled, named_error(error), place_of(error), "".join(traceback.format_exception(error)))

    def error(self) -> Exception:
        """Return the exception again, as far as it can be had here, with its traceback as the cause."""
        try:
            error: Exception = pickle.loads(self.pickled)
        except Exception:  # its class may live in a file that only the worker has run
            error = RuntimeError(self.named)
        error.__dict__["_corrwise_place"] = self.place
        error.__cause__ = RuntimeError(f"in a worker process:\n{self.trace}")
        return error


def frame_of(error: BaseException, *, anywhere: bool = False) -> str | None:
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


def named_error(error: BaseException) -> str:
    message = error.msg if isinstance(error, SyntaxError) else message_of(error)
    name = type(error).__name__
    return name if message in ("", name) else f"{name}: {message}"


def message_of(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # a user's class may fail here, too
        text = ""
    line = re.sub(r"\s*[\r\n]\s*", " ", text.strip()) or type(error).__name__
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)  # none for the terminal
