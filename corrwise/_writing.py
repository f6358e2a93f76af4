"""Files that are either the old one or the whole new one however a run ends, and folders that one run holds."""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = [
    "RunFolderError",
    "only_run",
    "open_plain",
    "refuse_file",
    "remove_asides",
    "write_aside",
    "write_bytes_atomic",
    "write_json_atomic",
]

_ASIDE = re.compile(r"\..*\.\d+-[0-9a-f]{16}(\.\w+)?", re.ASCII)  # names of temporary files
_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}  # any other error means that the disk has no locks


class RunFolderError(ValueError):
    """A run folder cannot be used as requested; the message is one sentence for the user."""


@contextmanager
def write_aside(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that replaces it when the block ends without an error.

    The temporary name keeps the suffix, because video writers choose the container by it, and begins with a dot, so
    that a leftover of a killed run does not match ``*.png``. The file is new and has a random name, so that no existing
    file or link in the folder is written to. ``OSError`` becomes ``RunFolderError``.
    """
    path = Path(path)
    aside = path.with_name(f".{path.stem}.{os.getpid()}-{secrets.token_hex(8)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
        yield aside
        _sync(aside)
        os.replace(aside, path)
        _sync(path.parent)  # so that the rename survives a power cut
    except OSError as error:
        raise RunFolderError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        _remove(aside)


def write_bytes_atomic(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically."""
    with write_aside(path) as aside:
        aside.write_bytes(data)


def remove_asides(folder: Path) -> None:
    """Remove what runs that were killed have left of ``write_aside`` in a folder that this run alone writes to."""
    for left in folder.glob(".*"):
        if _ASIDE.fullmatch(left.name) and left.is_file():
            _remove(left)


def open_plain(path: Path, flags: int) -> int:
    """Open a regular file of a run folder for writing, and return its descriptor.

    A link would lead to another place, and a pipe would block until it has a reader.

    Raises:
        RunFolderError: a link, a folder, a pipe or a device has this name.
        OSError: the file cannot be opened.
    """
    refused = f"cannot write to {path}: it is no plain file; remove it or choose another output folder"
    try:
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise RunFolderError(refused) from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise RunFolderError(refused)
    return handle


def write_json_atomic(path: Path, obj: Any) -> None:
    """Write ``obj`` as indented JSON; numbers that are not finite become null."""
    write_bytes_atomic(path, (json.dumps(jsonable(obj), indent=2, allow_nan=False) + "\n").encode())


def jsonable(obj: Any) -> Any:
    """Return ``obj`` in JSON's types.

    JSON has no NaN and no infinities; they become null. Arrays become lists, NumPy scalars numbers, and paths and
    objects of any other type their ``str``.
    """
    if isinstance(obj, dict):
        return {str(key): jsonable(value) for key, value in obj.items()}
    if isinstance(obj, (list, tuple)):
        return [jsonable(value) for value in obj]
    if hasattr(obj, "tolist"):  # NumPy and torch, without importing either
        return jsonable(obj.tolist())
    if isinstance(obj, float):
        return obj if math.isfinite(obj) else None
    return obj if obj is None or isinstance(obj, (bool, int, str)) else str(obj)


def _remove(path: Path) -> None:
    """Remove a leftover if it exists; errors are ignored, so that an earlier one is raised."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def refuse_file(folder: Path) -> None:
    """Raise a RunFolderError if the output folder is a file."""
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"cannot use {folder} as output folder: it is a file, not a folder")


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Make the folder and hold its lock for the block; where the disk has no locks, warn and go on without one.

    The system releases it however the run ends.

    Raises:
        RunFolderError: another process holds it, or the folder cannot be made.
    """
    refuse_file(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = open_plain(folder / ".lock", os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise RunFolderError(f"cannot write to the output folder {folder}: {error.strerror or error}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                held = f"another run is writing to {folder}; wait for it or choose another one"
                raise RunFolderError(held) from error
            sentence = f"{folder} cannot be locked ({error.strerror or error}); start no second run in it"
            print(f"corrwise: warning: {sentence}", file=sys.stderr)
        yield
    finally:
        os.close(handle)
