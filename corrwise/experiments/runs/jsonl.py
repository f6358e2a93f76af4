"""A file of rows that only ever grows, one JSON object a line.

A run killed while writing leaves at most one torn last line: reading skips it, ``open_rows`` cuts it off so that the
next row starts on a line of its own. A whole line that is no row of its kind is never cut off: it is named.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from corrwise._files import parse_json, refuse_pipe
from corrwise._writing import RunFolderError, jsonable, open_plain
from corrwise.experiments.runs.fields import Key

__all__ = ["Key", "Row", "append_row", "open_rows", "read_rows"]

Row = dict[str, Any]


def read_rows(path: Path, key: Key) -> list[Row]:
    """Return the rows of a file, without a torn last line; a missing file has none. Writes nothing.

    Raises:
        RunFolderError: a line is an object that is no row of that kind, or one before the last is no object; or the
            file cannot be read.
    """
    return _scan(Path(path), key)[0]


def open_rows(path: Path, key: Key) -> list[Row]:
    """Return the rows of a file after repairing its end, so that the next ``append_row`` starts on a fresh line.

    A torn last line is cut off; a whole last row that only lost its newline is kept and gets it back.
    """
    path = Path(path)
    rows, end, size = _scan(path, key)
    if size != (end + 1 if rows else 0):
        try:
            with os.fdopen(open_plain(path, os.O_RDWR), "r+b") as file:
                file.truncate(end)
                file.seek(end)
                file.write(b"\n" if rows else b"")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise RunFolderError(f"cannot repair {path}: {error.strerror or error}") from error
    return rows


def append_row(path: Path, row: Row) -> None:
    """Append one row in a single write and push it to the disk; numbers that are not finite become null."""
    line = (json.dumps(jsonable(row), allow_nan=False) + "\n").encode()
    try:
        handle = open_plain(Path(path), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            written = os.write(handle, line)
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise RunFolderError(f"cannot append to {path}: {error.strerror or error}") from error
    if written != len(line):
        raise RunFolderError(f"cannot append to {path}: wrote {written} of {len(line)} bytes, the disk may be full")


def _scan(path: Path, key: Key) -> tuple[list[Row], int, int]:
    """Return the rows, the byte where the last whole row ends (before its newline), and the size of the file."""
    try:
        refuse_pipe(path)
        data = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise RunFolderError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise RunFolderError(str(error)) from error
    rows: list[Row] = []
    position = end = torn = 0
    for number, line in enumerate(data.split(b"\n"), start=1):
        row = _parse(line)
        if torn and line.strip():
            raise RunFolderError(f"{path} line {torn} is not a result row; repair or remove that line")
        if row is not None:
            if problem := key.problem(row):
                raise RunFolderError(f"{path} line {number} is not a result row: {problem}; repair or remove that line")
            rows.append(row)
            end = position + len(line)
        elif line.strip():
            torn = number
        position += len(line) + 1
    return rows, end, len(data)


def _parse(line: bytes) -> Row | None:
    """Return the object in a line, or None where there is none: torn, or no JSON."""
    try:
        row = parse_json(line)
    except ValueError:  # covers torn UTF-8 too
        return None
    return row if isinstance(row, dict) else None
