"""The command line: one file per command, its options above its ``run``."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``corrwise`` and return its exit status: 0 done, 2 unusable input, 130 interrupted, 143 terminated."""
    from corrwise.experiments.cli import commands  # a signal is answered before the commands are imported

    return commands.main(argv)
