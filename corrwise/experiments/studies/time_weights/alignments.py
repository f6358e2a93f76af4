"""Strings of up to four letters, the edits between them, and all alignments of two strings.

Edit Flows (Havasi et al., arXiv 2506.09018) generate a string by insertions, deletions and substitutions. A pair of
strings is aligned in columns, each of two letters or of a letter and a blank; a column where they differ is one edit.
At time t each such column has been edited, by itself, with probability kappa(t); without blanks the row is x_t.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

__all__ = ["EDITS", "LETTERS", "LONGEST", "STRINGS", "Aligned", "aligned_states", "alignments", "allowed", "edited"]

LETTERS, LONGEST = "ab", 4
STRINGS = ["".join(letters) for n in range(LONGEST + 1) for letters in product(LETTERS, repeat=n)]
_BLANK = ""

Edit = tuple[str, int, str]  # what, where, and the letter that stands there then
EDITS: list[Edit] = [
    *(("insert", gap, letter) for gap in range(LONGEST + 1) for letter in LETTERS),
    *(("delete", place, _BLANK) for place in range(LONGEST)),
    *(("substitute", place, letter) for place in range(LONGEST) for letter in LETTERS),
]

Alignment = tuple[tuple[str, str], ...]  # columns of the first and the second string, a blank being empty


def alignments(first: str, second: str) -> list[Alignment]:
    """Return all alignments of two strings in at most four columns, so that every x_t has at most four letters."""
    return [columns for columns in _alignments(first, second) if len(columns) <= LONGEST]


def _alignments(first: str, second: str) -> Iterator[Alignment]:
    if not first and not second:
        yield ()
    if first and second:
        yield from (((first[0], second[0]), *rest) for rest in _alignments(first[1:], second[1:]))
    if first:
        yield from (((first[0], _BLANK), *rest) for rest in _alignments(first[1:], second))
    if second:
        yield from (((_BLANK, second[0]), *rest) for rest in _alignments(first, second[1:]))


@dataclass(frozen=True)
class Aligned:
    """One state of an aligned pair.

    Attributes:
        string: x_t.
        done: differing columns that have been edited.
        remaining: the edits of x_t that the others stand for; the same edit may be there twice.
    """

    string: str
    done: int
    remaining: tuple[Edit, ...]


def aligned_states(columns: Alignment) -> Iterator[Aligned]:
    """Yield a state for each subset of the differing columns that may have been edited."""
    differ = [i for i, (one, two) in enumerate(columns) if one != two]
    for flags in product((False, True), repeat=len(differ)):
        done = {i for i, flag in zip(differ, flags, strict=True) if flag}
        string, remaining = "", list[Edit]()
        for i, (one, two) in enumerate(columns):
            now = two if i in done else one
            if now != two:
                what = "insert" if not now else "delete" if not two else "substitute"
                remaining.append((what, len(string), two))
            string += now
        yield Aligned(string, len(done), tuple(remaining))


def allowed(string: str, edit: Edit) -> bool:
    """Return whether an edit can be made, changes the string, and leaves at most four letters."""
    what, place, letter = edit
    if what == "insert":
        return place <= len(string) < LONGEST
    return place < len(string) and (what == "delete" or string[place] != letter)


def edited(string: str, edit: Edit) -> str:
    """Return a string after an edit."""
    what, place, letter = edit
    return string[:place] + letter + string[place + (what != "insert") :]
