"""The options in a cost's text, ``name=value`` with commas between them: read, written, refused with the near name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, unquote

from corrwise.costs.presets import Option
from corrwise.validation import did_you_mean

__all__ = ["Value", "check_known", "option_pairs", "read_value", "written"]

_PLAIN = r"/~:@+;!$&'()*"  # what stays as it is in a value, beside letters, digits and _.-~
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.ASCII)

Value = float | int | str


def option_pairs(text: str, rest: str) -> dict[str, str]:
    """Return the values of the options by name, as they are written in the ``rest`` of a cost's text.

    Raises:
        ValueError: what is no ``name=value``, or a name twice.
    """
    given: dict[str, str] = {}
    for pair in rest.split(","):
        name, equals, value = pair.partition("=")
        if not (name and equals and value):
            raise ValueError(f"expected options as name=value with commas between them, got {pair!r} in {text!r}")
        if name in given:
            raise ValueError(f"expected each option once, got {name} twice in {text!r}")
        given[name] = unquote(value, errors="surrogateescape")
    return given


def read_value(name: str, text: str, option: Option) -> Value:
    """Return the value of an option that a text states.

    Raises:
        ValueError: it is not one of the option's.
    """
    if option.kind is str:
        value: Value = text
    elif not _NUMBER.fullmatch(text):
        option.check(name, text)  # which refuses it
        raise AssertionError
    else:
        value = float(text)
    option.check(name, value)
    return int(value) if option.kind is int else value


def written(value: Value) -> str:
    """Return a value as ``read_value`` reads it."""
    if isinstance(value, str):
        return quote(value, safe=_PLAIN, errors="surrogateescape")
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def check_known(what: str, name: object, names: Iterable[str]) -> None:
    """Raise a ValueError that lists the names there are, unless the name is one of them."""
    names = list(names)
    if name not in names:
        raise ValueError(
            f"unknown {what} {name!r}{did_you_mean(str(name).lower(), names)}; there are {', '.join(names)}"
        )
