"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["markdown_table"]


def markdown_table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table of cells, without a newline at its end."""
    rows = [head, *lines]
    said = ["| " + " | ".join(cells) + " |" for cells in rows]
    return "\n".join([said[0], "|" + "---|" * len(head), *said[1:]])
