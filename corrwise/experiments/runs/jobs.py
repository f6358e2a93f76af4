"""Jobs: the rows that one setup makes, cut into parts that executors run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from corrwise.experiments.runs.rows import Row, RowKey

Make = Callable[[Sequence[RowKey]], Iterable[Row]]


@dataclass(frozen=True)
class Job:
    """Rows that one setup makes; executors run some of them at a time.

    Attributes:
        setup: called as ``setup(subject, threads=n, progress=f)`` where the rows are made, once for all jobs of the
            same subject that a worker gets in a row: it builds what takes long to build, and returns what makes rows of
            their keys. ``f()`` may be called after every step. A function that a fresh interpreter can import.
        subject: what the setup depends on; two equal ones have the same setup.
        rows: the keys of the rows, and fields that a row must have to be current: one with another ``network``, for
            example, is made again. Every row that is made gets them.
        together: how many different last parts of keys, such as seeds, are made in one go.
        label: of the progress bar.
        steps: how often ``progress`` is called for each such last part.
    """

    setup: Callable[..., Make]
    subject: Any
    rows: Mapping[RowKey, Row]
    together: int = 1
    label: str = ""
    steps: int = 1

    def parts(self, there: Collection[RowKey]) -> Iterator[Part]:
        """Yield what is missing, cut into what is made in one go."""
        left: dict[Any, list[RowKey]] = {}
        for key in self.rows:
            if key not in there:
                left.setdefault(key[-1], []).append(key)
        groups = list(left.values())
        for i in range(0, len(groups), self.together):
            some = groups[i : i + self.together]
            keys = [key for group in some for key in group]
            yield Part(self.setup, self.subject, keys, self.label, len(some) * self.steps)


@dataclass(frozen=True)
class Part:
    """Rows of a job that are made in one go."""

    setup: Callable[..., Make]
    subject: Any
    keys: list[RowKey]
    label: str
    steps: int


@dataclass
class Worker:
    """Makes the rows of parts, and keeps what the last setup built."""

    progress: Callable[[], Any] | None = None
    begin: Callable[[Part], Any] | None = None
    _built: tuple[Any, Any, Make] | None = field(default=None, repr=False)

    def __call__(self, part: Part, *, threads: int) -> tuple[list[RowKey], list[Row]]:
        """Return the keys of a part and its rows."""
        if self.begin is not None:
            self.begin(part)
        if self._built is None or self._built[:2] != (part.setup, part.subject):
            self._built = None  # what was built before may be large
            make = part.setup(part.subject, threads=threads, progress=self.progress or nothing)
            self._built = part.setup, part.subject, make
        return part.keys, list(self._built[2](part.keys))


def nothing() -> None:
    """Do nothing."""
