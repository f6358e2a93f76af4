"""Files that anyone may have edited: what they declare is checked against a bound before memory is taken for it.

Free of torch until a checkpoint is read, as the reports are.
"""

from __future__ import annotations

import io
import json
import math
import os
import pickletools
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
_SAID = 300  # of a library's message, in a sentence of ours


@contextmanager
def reading(path: str | PathLike[str], problem: str, kind: type[ValueError] = ValueError) -> Iterator[None]:
    """Make one sentence with the file's name of whatever a broken file leads to inside the block.

    A pipe or device in the file's place is refused, see ``refuse_pipe``.

    Args:
        path: the file.
        problem: the sentence after the path.
        kind: what is raised. Errors of this kind pass; of the general ``ValueError``, and with it ``OSError``, those
            that name the file already.

    Raises:
        ValueError: of that kind.
    """
    try:
        refuse_pipe(path)
        yield
    except MemoryError:
        raise
    except Exception as error:  # libraries raise whatever the broken byte leads to
        named = kind is ValueError and isinstance(error, ValueError | OSError) and str(path) in str(error)
        if named or (kind is not ValueError and isinstance(error, kind)):
            raise
        raise kind(f"{path} {problem}: {_said(error)}") from error


def local_path(path: str | PathLike[str]) -> Path:
    """Return a path with ``~`` expanded; that of a user who does not exist stays as it is."""
    return Path(os.path.expanduser(path))


def refuse_pipe(path: str | PathLike[str]) -> None:
    """Refuse to read what may wait for a writer for ever, or never end; what is not there is no matter here.

    Raises:
        ValueError: a pipe, a socket or a device is at the path, by itself or through links.
    """
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):  # its reader raises a better error
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ValueError(f"{path} is a pipe or a device, expected a file")


def shown(value: Any) -> str:
    """Return a value as a sentence shows it: in one line, and not all of a long one."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def named(name: str) -> str:
    """Return a field's name as a sentence shows it: as it is, unless it would break the line or be all of it."""
    return name if name.isprintable() and len(name) <= _SHOWN else shown(name)


def parse_json(data: bytes | str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is none, nested more than ``MOST_LEVELS`` deep, or holds text that cannot be written again.
    """
    try:
        value = json.loads(data)
    except RecursionError:
        raise ValueError(f"it is nested more than {MOST_LEVELS} levels deep") from None
    curly, square, half = (b"{", b"[", b"\\ud") if isinstance(data, bytes) else ("{", "[", "\\ud")
    if data.count(curly) + data.count(square) > MOST_LEVELS and _deeper(value):  # type: ignore[arg-type]
        raise ValueError(f"it is nested more than {MOST_LEVELS} levels deep")
    if half in data.lower():  # type: ignore[operator]
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair could not be written
    return value


def read_json(path: Path) -> Any:
    """Return the value of a JSON file.

    Raises:
        OSError: it cannot be read.
        ValueError: see ``parse_json``, or it has more than ``MOST_JSON_BYTES``; the message names the file.
    """
    size = path.stat().st_size
    if size > MOST_JSON_BYTES:
        raise ValueError(f"{path} has {size} bytes, and JSON of at most {MOST_JSON_BYTES} is read")
    with reading(path, "is not JSON"):
        return parse_json(path.read_bytes())


def load_arrays(data: bytes, name: str) -> dict[str, np.ndarray]:
    """Return the arrays of an npz file.

    Args:
        data: all of the file.
        name: what a message calls it.

    Raises:
        ValueError: it cannot be read, or declares an array of more than ``MOST_ARRAY_BYTES``, or of objects.
    """
    with reading(name, "cannot be read as arrays"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                with archive.open(info) as member:
                    _check_array(member, f"{name}/{info.filename}")
        with np.load(io.BytesIO(data), allow_pickle=False) as saved:
            return {key: saved[key] for key in saved.files}


def load_checkpoint(path: Path, *, device: Any = "cpu", problem: str = "cannot be read as a checkpoint") -> Any:
    """Return what ``torch.save`` wrote, of plain types and tensors alone.

    Args:
        path: the file.
        device: where tensors go.
        problem: the message after the path.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, or declares more bytes than it has.
    """
    import torch

    with reading(path, problem):
        size, file = path.stat().st_size, None
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                declared = sum(info.file_size for info in archive.infolist())
        else:  # all of it in memory: of an open file, what is to be read is taken memory for before it is there
            file = io.BytesIO(path.read_bytes())
            declared = _declared_by_pickles(file)
        if declared > size:  # torch packs nothing
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
    """Return the largest number of elements that a checkpoint of torch's old format declares for one storage."""
    most = number = 0
    for _ in range(4):  # magic number, version, facts of the system, and then what was saved
        for code, argument, _ in pickletools.genops(file):
            if isinstance(argument, int) and "PUT" not in code.name and "GET" not in code.name:
                number = argument
            elif code.name in ("BINPERSID", "PERSID"):  # a storage; its number of elements was the last integer
                most = max(most, number)
    file.seek(0)
    return most


def _said(error: Exception) -> str:
    """Return a library's message in one line."""
    text = " ".join(str(error).split())[:_SAID] or type(error).__name__
    return f"{text} is missing" if isinstance(error, KeyError) else text
