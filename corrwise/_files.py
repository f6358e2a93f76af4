"""Reading files that anyone may have edited: declared sizes are checked against a bound before memory is allocated.

torch is loaded only to read a checkpoint, so that reports work without it.
"""

from __future__ import annotations

import io
import json
import math
import os
import pickletools
import re
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "MOST_ARRAY_BYTES",
    "MOST_JSON_BYTES",
    "MOST_LEVELS",
    "load_arrays",
    "load_checkpoint",
    "local_path",
    "named",
    "parse_json",
    "read_json",
    "reading",
    "refuse_pipe",
    "shown",
]

MOST_JSON_BYTES = 2**28  # 256 MiB: of a configuration or an index
MOST_LEVELS = 64  # of lists and objects inside each other
MOST_ARRAY_BYTES = 2**34  # 16 GiB: of one array in a file
_SHOWN = 80  # characters of a value, or
_MESSAGE = 300  # of a library's message that becomes part of an error


@contextmanager
def reading(path: str | PathLike[str], problem: str, kind: type[ValueError] = ValueError) -> Iterator[None]:
    """Turn every error in the block into one sentence with the file's name.

    A pipe or device at the path is refused, see ``refuse_pipe``.

    Args:
        path: the file.
        problem: the message after the path.
        kind: class of the error that is raised. Errors of this class pass unchanged; if it is ``ValueError`` itself,
            only errors of it and of ``OSError`` that name the file pass.

    Raises:
        ValueError: of that class.
    """
    try:
        refuse_pipe(path)
        yield
    except MemoryError:
        raise
    except Exception as error:  # libraries raise errors of any class for broken bytes
        named = kind is ValueError and isinstance(error, ValueError | OSError) and str(path) in str(error)
        if named or (kind is not ValueError and isinstance(error, kind)):
            raise
        raise kind(f"{path} {problem}: {_message(error)}") from error


def local_path(path: str | PathLike[str]) -> Path:
    """Return a path with ``~`` expanded; the path of an unknown user stays unchanged."""
    return Path(os.path.expanduser(path))


def refuse_pipe(path: str | PathLike[str]) -> None:
    """Refuse to read from a pipe or a device, which may block or never end. A missing file is not an error here.

    Raises:
        ValueError: a pipe, a socket or a device is at the path, by itself or through links.
    """
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):  # the caller's reader raises a better error
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ValueError(f"{path} is a pipe or a device, expected a file")


def shown(value: Any) -> str:
    """Return a value as text for a message: on one line, and shortened if it is long, between values if it has any."""
    text = re.sub(r"\s*\n\s*", " ", repr(value))  # arrays are printed in several lines
    if len(text) <= _SHOWN:
        return text
    whole = text[:_SHOWN].rpartition(", ")[0]
    return f"{whole}, ..." if len(whole) > _SHOWN // 2 else f"{text[:_SHOWN]}..."


def named(name: str) -> str:
    """Return a field's name for a message: unchanged, unless it is long or cannot be printed."""
    return name if name.isprintable() and len(name) <= _SHOWN else shown(name)


def parse_json(data: bytes | str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is not JSON, is nested more than ``MOST_LEVELS`` deep, or holds text that cannot be encoded.
    """
    try:
        value = json.loads(data)
    except RecursionError:
        raise ValueError(f"it is nested more than {MOST_LEVELS} levels deep") from None
    curly, square, half = (b"{", b"[", b"\\ud") if isinstance(data, bytes) else ("{", "[", "\\ud")
    if data.count(curly) + data.count(square) > MOST_LEVELS and _deeper(value):  # type: ignore[arg-type]
        raise ValueError(f"it is nested more than {MOST_LEVELS} levels deep")
    if half in data.lower():  # type: ignore[operator]
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair cannot be encoded
    return value


def read_json(path: Path) -> Any:
    """Return the value of a JSON file.

    Raises:
        OSError: the file cannot be read.
        ValueError: see ``parse_json``, or more than ``MOST_JSON_BYTES``; the message names the file.
    """
    size = path.stat().st_size
    if size > MOST_JSON_BYTES:
        raise ValueError(f"{path} has {size} bytes, and JSON of at most {MOST_JSON_BYTES} is read")
    with reading(path, "is not JSON"):
        return parse_json(path.read_bytes())


def load_arrays(data: bytes, name: str) -> dict[str, np.ndarray]:
    """Return the arrays of an npz file.

    Args:
        data: the file's bytes.
        name: of the file in messages.

    Raises:
        ValueError: it cannot be read, or declares an array of more than ``MOST_ARRAY_BYTES`` or of objects.
    """
    with reading(name, "cannot be read as arrays"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                with archive.open(info) as member:
                    _check_array(member, f"{name}/{info.filename}")
        with np.load(io.BytesIO(data), allow_pickle=False) as saved:
            return {key: saved[key] for key in saved.files}


def load_checkpoint(path: Path, *, device: Any = "cpu", problem: str = "cannot be read as a checkpoint") -> Any:
    """Return what ``torch.save`` wrote, if it has only plain types and tensors.

    Args:
        path: the file.
        device: of the tensors.
        problem: the message after the path.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it cannot be read, or declares more bytes than it has.
    """
    import torch

    with reading(path, problem):
        size, file = path.stat().st_size, None
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                declared = sum(info.file_size for info in archive.infolist())
        else:  # in memory: from an open file, torch would allocate what it declares before reading it
            data = path.read_bytes()
            if data.startswith(b"PK"):
                raise ValueError("its end is missing")
            file = io.BytesIO(data)
            declared = _declared_by_pickles(file)
        if declared > size:  # torch does not compress
            raise ValueError(f"it declares {declared} bytes, and has {size}")
        return torch.load(path if file is None else file, map_location=device, weights_only=True)


def _deeper(value: Any) -> bool:
    """Return whether lists and objects are nested more than ``MOST_LEVELS`` deep."""
    level = [value]
    for _ in range(MOST_LEVELS):
        inside = (each.values() if isinstance(each, dict) else each for each in level)
        level = [inner for many in inside for inner in many if isinstance(inner, dict | list)]
        if not level:
            return False
    return True


def _check_array(member: Any, name: str) -> None:
    version = np.lib.format.read_magic(member)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"{name} has an array format {version} that is not read")
    shape, _, dtype = read(member)
    if dtype.hasobject:
        raise ValueError(f"{name} holds objects, expected numbers or text")
    if (size := math.prod(shape) * dtype.itemsize) > MOST_ARRAY_BYTES:
        raise ValueError(f"{name} declares {size} bytes, {dtype} {shape}, and at most {MOST_ARRAY_BYTES} are read")


def _declared_by_pickles(file: io.BytesIO) -> int:
    """Return the largest number of elements of a storage that a checkpoint in torch's old format declares."""
    most = number = 0
    for _ in range(4):  # magic number, version, system information, and then the saved object
        for code, argument, _ in pickletools.genops(file):
            if isinstance(argument, int) and "PUT" not in code.name and "GET" not in code.name:
                number = argument
            elif code.name in ("BINPERSID", "PERSID"):  # a storage; the integer before it is its number of elements
                most = max(most, number)
    file.seek(0)
    return most


def _message(error: Exception) -> str:
    """Return a library's message on one line."""
    text = " ".join(str(error).split())[:_MESSAGE] or type(error).__name__
    return f"{text} is missing" if isinstance(error, KeyError) else text
