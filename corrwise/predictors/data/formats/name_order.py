"""The order of names with numbers in them: img2 before img10, 1700000000.25 before 1700000000.5."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

__all__ = ["in_order"]

Parts = list[str]  # text, number, text, and so on
_NUMBER = re.compile(r"((?<![^\W_])-\d+(?:\.\d+)*|\d+(?:\.\d+)*)")  # no minus sign after a letter or a digit: img-5


def in_order(names: Iterable[str], suffixes: Iterable[str] = ()) -> list[str]:
    """Return names, or paths with ``/``, sorted so that the numbers in them compare as numbers.

    Digits are those of any script. A minus sign counts at the beginning and after what is neither a letter nor a digit:
    ``t_-2`` comes before ``t_-1``, ``img-1`` before ``img-2``. A number with one dot is a decimal fraction, unless
    fractions of several lengths stand in its place in the names, one of which ends in a zero, such as ``1.9`` and
    ``1.10``; then, and with more than one dot, it is a version, whose numbers are compared in turn. Equal numbers,
    such as 1 and 01, are sorted by the names themselves.

    Args:
        names: the names.
        suffixes: of files, which are no part of the names.
    """
    ends = tuple(suffixes)
    split = {name: [_NUMBER.split(part) for part in _stem(name, ends).split("/")] for name in names}
    versions = _versions(split.values())

    def key(name: str) -> tuple[list[list[str | list[Decimal]]], str]:
        return [_key(parts, depth, versions) for depth, parts in enumerate(split[name])], name

    return sorted(split, key=key)


def _stem(name: str, suffixes: tuple[str, ...]) -> str:
    end = next((end for end in suffixes if name.lower().endswith(end)), "")
    return name[: len(name) - len(end)]


def _versions(names: Iterable[list[Parts]]) -> set[tuple[int, int]]:
    """Return where in the names, by depth and number, a dot does not begin a decimal fraction."""
    fractions: dict[tuple[int, int], set[str]] = {}
    for name in names:
        for depth, parts in enumerate(name):
            for i in range(1, len(parts), 2):
                if parts[i].count(".") == 1:
                    fractions.setdefault((depth, i), set()).add(parts[i].partition(".")[2])
    return {
        place
        for place, all_of in fractions.items()
        if len({len(one) for one in all_of}) > 1 and any(len(one) > 1 and int(one[-1]) == 0 for one in all_of)
    }


def _key(parts: Parts, depth: int, versions: set[tuple[int, int]]) -> list[str | list[Decimal]]:
    """Return text and numbers in turn, so that text meets text and numbers meet numbers."""
    return [
        text if i % 2 == 0 else _value(text, version=(depth, i) in versions or text.count(".") > 1)
        for i, text in enumerate(parts)
    ]


def _value(number: str, *, version: bool) -> list[Decimal]:
    return [Decimal(part) for part in number.split(".")] if version else [Decimal(number)]
