"""What the fields of a row may hold: rows are text that people edit, and a wrong type is named with its line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from corrwise._files import named, shown

__all__ = ["COUNT", "NUMBER", "NUMBERS", "SWITCH", "TEXT", "TEXTS", "TEXT_BY_NAME", "Field", "Key", "needed"]

MOST_NUMBER = 1e100  # in size: sums and squares of rows stay finite
_MOST_COUNT = 2**63
_WORDS = {str: "text", int: "a whole number"}


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
        also: Callable[[dict[str, Any]], str | None] | None = None,
    ) -> None:
        super().__init__(names)
        self.fields, self._also = fields, also
        self._alike = {name: field for name, field in fields.items() if name.endswith("_")}

    def problem(self, row: dict[str, Any]) -> str | None:
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
