"""The rows of a run folder: what they may hold, and a file of them that only ever grows.

``rows.jsonl`` is the truth of a run, one JSON object a line; tables, images and reports are derived from it. A run
killed while writing leaves at most one torn last line: reading skips it, ``open_rows`` cuts it off so that the next row
starts on a line of its own. A whole line that is no row of its kind is never cut off: it is named.

A finished run may keep its rows as ``rows.jsonl.gz``, which is read where ``rows.jsonl`` is missing.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from corrwise._files import named, parse_json, refuse_pipe, shown
from corrwise._writing import RunFolderError, jsonable, open_plain, write_bytes_atomic

MOST_NUMBER = 1e100  # in size: sums and squares of rows stay finite
_MOST_COUNT = 2**63
_TORN = object()
_TIMES = ("seconds", "ms_")  # how the names of fields begin that are another number each time
_WORDS = {str: "text", int: "a whole number"}

Row = dict[str, Any]
RowKey = tuple[Any, ...]


@dataclass(frozen=True)
class Field:
    """What a field may hold, beside null.

    Attributes:
        words: what a message calls it.
        fits: whether a value that is not null is one.
        needed: whether the field must be there.
        null: whether it may be null then; a number that was not finite is.
    """

    words: str
    fits: Callable[[Any], bool]
    needed: bool = False
    null: bool = True


class Key(dict[str, type]):
    """What identifies a row: its fields' names and types; with what a row holds beside them.

    Args:
        names: of the fields, with their types: str or int.
        fields: what else may be in a row. A name that ends in ``_`` is that of all fields that begin with it; fields
            that are not listed may hold anything.
        also: what else is wrong with a row whose fields are right by themselves, or None.
    """

    def __init__(
        self,
        names: Mapping[str, type],
        fields: Mapping[str, Field],
        *,
        also: Callable[[Row], str | None] | None = None,
    ) -> None:
        super().__init__(names)
        self.fields, self._also = fields, also
        self._alike = {name: field for name, field in fields.items() if name.endswith("_")}

    def of(self, row: Row) -> RowKey:
        """Return what identifies a row of this kind."""
        return tuple(row[name] for name in self)

    def problem(self, row: Row) -> str | None:
        """Return what is wrong with a row, or None."""
        for name, kind in self.items():
            value = row.get(name)
            if type(value) is not kind or (kind is int and abs(row[name]) > _MOST_COUNT):
                return _sentence(row, name, _WORDS.get(kind, kind.__name__))
        for name, field in self.fields.items():
            if field.needed and (name not in row or (row[name] is None and not field.null)):
                return _sentence(row, name, field.words)
        for name, value in row.items():
            known = self.fields.get(name) or next(
                (f for start, f in self._alike.items() if name.startswith(start)), None
            )
            if known is not None and value is not None and not known.fits(value):
                return _sentence(row, name, known.words)
        return None if self._also is None else self._also(row)


def needed(field: Field, *, null: bool = False) -> Field:
    """Return the same field as one that every row must have."""
    return replace(field, needed=True, null=null)


def _sentence(row: Mapping[str, Any], name: str, words: str) -> str:
    return f"expected {words} as {named(name)}, got {shown(row[name]) if name in row else 'none'}"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST_NUMBER


NUMBER = Field("a finite number", _number)
SHARE = Field("a number from 0 to 1", lambda value: _number(value) and 0 <= value <= 1)
COUNT = Field("a whole number from 0", lambda value: type(value) is int and 0 <= value <= _MOST_COUNT)
SWITCH = Field("true or false", lambda value: isinstance(value, bool))
TEXT = Field("text", lambda value: isinstance(value, str))
NUMBERS = Field(
    "a list of finite numbers",
    lambda value: isinstance(value, list) and all(each is None or _number(each) for each in value),
)
TEXTS = Field("a list of texts", lambda value: isinstance(value, list) and all(isinstance(v, str) for v in value))
TEXT_BY_NAME = Field(
    "an object of texts", lambda value: isinstance(value, dict) and all(isinstance(v, str) for v in value.values())
)

TERMS = ("residual", "displacement_px", "occluded")  # of a correspondence-wise cost; null in the rows of the others
MEASURED = {  # what the rows of every kind of planned episode may say
    **{f"{name}_distance{suffix}": NUMBER for name in ("start", "min", "final", "last10") for suffix in ("", "_full")},
    **dict.fromkeys((*TERMS, "seconds", "seconds_", "goal_psnr"), NUMBER),
    **dict.fromkeys(("steps", "rejected", "scored", "plans_rejected"), COUNT),
    **{"diverged": SWITCH, "distances": NUMBERS, "versions": TEXT_BY_NAME, "left_out": TEXTS},
    **dict.fromkeys(("network", "predictor_weights"), TEXT),
}
KEY = Key(  # of an episode's row
    {"task": str, "cost": str, "planner": str, "predictor": str, "seed": int},
    {**MEASURED, "strip": TEXT, "video": TEXT, "panels": TEXTS, "unit": TEXT},
)


def row_key(row: Row) -> tuple[str, str, str, str, int]:
    """Return what identifies an episode's row: (task, cost, planner, predictor, seed)."""
    task, cost, planner, predictor, seed = KEY.of(row)
    return task, cost, planner, predictor, seed


def read_rows(path: Path, key: Key = KEY) -> list[Row]:
    """Return the rows of a file, without a torn last line. Writes nothing.

    A missing file has the rows of its ``.gz``, or none.

    Raises:
        RunFolderError: a line is JSON but no row of that kind, or one before the last is no JSON; or the file cannot
            be read.
    """
    return _scan(Path(path), key)[0]


def of_newest_weights(rows: Sequence[Row]) -> list[Row]:
    """Return of each model the rows of the weights that it had last."""
    newest = {row["model"]: row["weights"] for row in rows}
    return [row for row in rows if newest[row["model"]] == row["weights"]]


def open_rows(path: Path, key: Key = KEY, *, check: Callable[[list[Row]], None] = lambda rows: None) -> list[Row]:
    """Return the rows of a file after repairing its end, so that the next ``append_row`` starts on a fresh line.

    A torn last line is cut off; a whole last row that only lost its newline is kept and gets it back. Rows of a ``.gz``
    are written out. ``check`` is called with the rows before that, and may raise.
    """
    path = Path(path)
    rows, end, size = _scan(path, key)
    check(rows)
    if rows and not path.exists():
        write_bytes_atomic(path, _bytes(path))
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
    data = _bytes(path)
    rows: list[Row] = []
    position = end = torn = 0
    for number, line in enumerate(data.split(b"\n"), start=1):
        row = _parse(line)
        if torn and line.strip():
            raise RunFolderError(f"{path} line {torn} is not a result row; repair or remove that line")
        if row is not _TORN:
            problem = key.problem(row) if isinstance(row, dict) else f"expected an object, got {shown(row)}"
            if problem:
                raise RunFolderError(f"{path} line {number} is not a result row: {problem}; repair or remove that line")
            rows.append(row)
            end = position + len(line)
        elif line.strip():
            torn = number
        position += len(line) + 1
    return rows, end, len(data)


def _bytes(path: Path) -> bytes:
    """Return the contents of a file of rows, of its ``.gz`` where it is missing, or nothing."""
    packed = path.with_name(f"{path.name}.gz")
    here = path if path.exists() or not packed.exists() else packed
    try:
        refuse_pipe(here)
        data = here.read_bytes() if here.exists() else b""
        return gzip.decompress(data) if here is packed else data
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise RunFolderError(f"cannot unpack {here}: {error}") from error
    except OSError as error:
        raise RunFolderError(f"cannot read {here}: {error.strerror or error}") from error
    except ValueError as error:
        raise RunFolderError(str(error)) from error


def _parse(line: bytes) -> Any:
    """Return the value in a line, or ``_TORN`` where it is no JSON: the beginning of an object never is."""
    try:
        return parse_json(line)
    except ValueError:  # covers torn UTF-8 too
        return _TORN


def six_digits(value: Any) -> Any:
    """Return a number with six digits, a list of such numbers, and anything else as it is: rows must stay short."""
    if isinstance(value, list):
        return [six_digits(each) for each in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def values_agree(name: str, one: Any, two: Any) -> bool:
    """Return whether two values of a field agree: numbers to six digits; times and texts, such as files, always do."""
    if name and (name.startswith(_TIMES) or isinstance(one, str) or isinstance(two, str)):
        return True
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(values_agree("", *pair) for pair in zip(one, two, strict=True))
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in (one, two)):
        return bool(one == two)
    most = max(abs(one), abs(two))
    return most == 0 or abs(one - two) <= 1.01 * 10 ** (math.floor(math.log10(most)) - 5)
