"""Batches that are read while the one before them is learned from."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from corrwise.predictors.data.windows import Batch, ClipWindows

__all__ = ["BatchesAhead"]


class BatchesAhead:
    """The batches of consecutive steps, by threads that are so many steps ahead; the same ones however many there are.

    Args:
        windows: where from.
        size: windows in a batch.
        part: which of them are asked for, such as every second.
        readers: threads, and batches that wait; 0 reads each when it is asked for.

    Raises:
        ValueError: readers below 0.
    """

    def __init__(self, windows: ClipWindows, size: int, *, part: slice = slice(None), readers: int = 2) -> None:
        if readers < 0:
            raise ValueError(f"expected readers of 0 or above, got {readers}")
        self._windows, self._size, self._part, self._readers = windows, size, part, readers
        self._pool = ThreadPoolExecutor(readers, thread_name_prefix="clips") if readers else None
        self._waiting: dict[int, Future[Batch]] = {}

    def __enter__(self) -> BatchesAhead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Forget what waits, without waiting for it."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def batch(self, step: int) -> Batch:
        """Return the part of a step's batch, and begin to read those of the next steps.

        Raises:
            OSError, ValueError: the clips cannot be read any more.
        """
        if self._pool is None:
            return self._read(step)
        for later in range(step, step + self._readers + 1):
            if later not in self._waiting:
                self._waiting[later] = self._pool.submit(self._read, later)
        return self._waiting.pop(step).result()

    def _read(self, step: int) -> Batch:
        return self._windows.batch(step, self._size, part=self._part)
