"""The run folder's record: rows that only ever grow, and the configuration they belong to.

``rows.jsonl`` is the truth of a run; tables, pictures and reports are derived from it. A run killed while writing
leaves at most one torn last line: reading skips it, ``open_rows`` cuts it off so that the next row starts on a line of
its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from corrwise.experiments.atomic import RunFolderError, jsonable, refuse_file, write_json_atomic
from corrwise.experiments.config_match import ConfigMismatch, compare_configs

__all__ = [
    "ConfigMismatch",
    "RunFolderError",
    "append_row",
    "claim_folder",
    "open_rows",
    "read_rows",
    "row_key",
    "write_json_atomic",
]

Row = dict[str, Any]
KEY = ("task", "cost", "planner", "predictor", "seed")


def row_key(row: Row) -> tuple[str, str, str, str, int]:
    """Return what identifies a row: (task, cost, planner, predictor, seed)."""
    task, cost, planner, predictor, seed = (row[name] for name in KEY)
    return task, cost, planner, predictor, seed


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file, without a torn last line; a missing file has none. Writes nothing.

    Raises:
        RunFolderError: a line before the last is not a JSON object, or the file cannot be read.
    """
    return _scan(Path(path))[0]


def open_rows(path: Path) -> list[Row]:
    """Return the rows of a file after repairing its end, so that the next ``append_row`` starts on a fresh line.

    A torn last line is cut off; a whole last row that only lost its newline is kept and gets it back.
    """
    path = Path(path)
    rows, end, size = _scan(path)
    if size != (end + 1 if rows else 0):
        try:
            with path.open("r+b") as file:
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
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            written = os.write(handle, line)
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise RunFolderError(f"cannot append to {path}: {error.strerror or error}") from error
    if written != len(line):
        raise RunFolderError(f"cannot append to {path}: wrote {written} of {len(line)} bytes, the disk may be full")


def claim_folder(out: Path, config: Row, *, ignore: Collection[str] = ()) -> Path:
    """Make ``out`` the folder of ``config``: create it, or check that the rows in it belong to this configuration.

    Args:
        out: the run folder.
        config: anything JSON can hold; nested fields are compared by dotted name (``planner.samples``).
        ignore: fields that may differ (``episodes``, ``costs``), a dotted name or the name of a whole subtree. The file
            is rewritten with their newest values, which also proves that the folder can be written.

    Raises:
        ConfigMismatch: the folder holds rows of another configuration.
        RunFolderError: the folder cannot be written, or its config.json cannot be read.
    """
    out, path = Path(out), Path(out) / "config.json"
    refuse_file(out)
    try:
        old = json.loads(path.read_bytes()) if path.exists() else None
    except OSError as error:
        raise RunFolderError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise RunFolderError(f"{path} is not JSON ({error}); move it away or choose another output folder") from error
    new = jsonable(config)
    if read_rows(out / "rows.jsonl"):
        compare_configs(out, {} if old is None else old, new, ignore=ignore)
    elif old is not None and not _ours(old, new):
        raise RunFolderError(f"{path} is not a run's configuration; move it away or choose another output folder")
    write_json_atomic(path, new)
    return out


def _ours(old: Any, new: Row) -> bool:
    """Whether a configuration without rows shares most of its fields with ours, and so may be replaced."""
    return isinstance(old, dict) and 2 * len(old.keys() & new.keys()) >= len(old)


def _scan(path: Path) -> tuple[list[Row], int, int]:
    """Return the rows, the byte where the last whole row ends (before its newline), and the size of the file."""
    try:
        data = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise RunFolderError(f"cannot read {path}: {error.strerror or error}") from error
    rows: list[Row] = []
    position = end = torn = 0
    for number, line in enumerate(data.split(b"\n"), start=1):
        row = _parse(line)
        if torn and line.strip():
            raise RunFolderError(f"{path} line {torn} is not a result row; repair or remove that line")
        if row is not None:
            rows.append(row)
            end = position + len(line)
        elif line.strip():
            torn = number
        position += len(line) + 1
    return rows, end, len(data)


def _parse(line: bytes) -> Row | None:
    """Return the row in a line, or None where there is none: torn, no JSON, or without what identifies a row."""
    try:
        row = json.loads(line)
    except ValueError:  # covers torn UTF-8 too
        return None
    if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in KEY[:-1]):
        return None
    return row if type(row.get("seed")) is int else None
