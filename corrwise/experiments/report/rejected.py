"""Candidates that no planner could choose, because their cost was not finite: counted, said, and never a result."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Refused", "planned_rows", "quoted", "refusals", "warn"]

Row = dict[str, Any]
Method = tuple[str, ...]


@dataclass(frozen=True)
class Refused:
    """What became of the candidates of some episodes.

    Attributes:
        candidates: those whose cost was not finite.
        scored: all of them; 0 where the rows do not say it.
        plans, of: plans in which every candidate was refused, and all plans.
    """

    candidates: int
    scored: int
    plans: int
    of: int

    @classmethod
    def in_rows(cls, rows: Sequence[Row]) -> Refused:
        """Count over episodes."""
        names = ("rejected", "scored", "plans_rejected", "steps")
        return cls(*(sum(row.get(name) or 0 for row in rows) for name in names))

    @property
    def everything(self) -> bool:
        """Whether no candidate was left in any plan: whatever happened then, no planner did it."""
        return 0 < self.scored == self.candidates

    def sentence(self, name: str) -> str:
        """Return what is to be read about a method of this name; empty where nothing was refused."""
        if not self.candidates:
            return ""
        some = f"{self.candidates}{f' of {self.scored}' if self.scored else ''} candidates"
        said = f"{name}: {some} had a cost that is not finite and were refused"
        if self.everything:
            return f"{said}, all of them in every plan; nothing was planned, and its numbers are no result"
        return f"{said}; in {self.plans} of {self.of} plans all of them were" if self.scored else said


def refusals(rows: Iterable[Row], by: Sequence[str]) -> list[str]:
    """Return a sentence about each method whose candidates were refused; ``by`` are the fields that tell methods."""
    said = (
        Refused.in_rows(mine).sentence(", ".join(filter(None, method))) for method, mine in _methods(rows, by).items()
    )
    return [sentence for sentence in said if sentence]


def planned_rows(rows: Iterable[Row], by: Sequence[str]) -> list[Row]:
    """Return the rows of the methods that planned at all."""
    return [row for mine in _methods(rows, by).values() if not Refused.in_rows(mine).everything for row in mine]


def quoted(sentences: Sequence[str]) -> str:
    """Return warnings in Markdown, to stand above a table."""
    return "".join(f"> **Warning:** {sentence}.\n\n" for sentence in sentences)


def warn(sentences: Sequence[str]) -> None:
    """Print warnings on the terminal."""
    for sentence in sentences:
        print(f"corrwise: warning: {sentence}", file=sys.stderr)


def _methods(rows: Iterable[Row], by: Sequence[str]) -> dict[Method, list[Row]]:
    methods: dict[Method, list[Row]] = {}
    for row in rows:
        methods.setdefault(tuple(str(row[name]) for name in by), []).append(row)
    return methods
