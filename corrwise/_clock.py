"""Where the seconds of a run go: exclusive times of nested parts, measured from outside."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from time import perf_counter
from typing import Any


class Clock:
    """Adds up seconds per label; time spent in an inner label does not count for the outer one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._stack: list[str] = []
        self._since = 0.0
        self._opaque = 0

    @contextmanager
    def measure(self, label: str, *, opaque: bool = False) -> Iterator[None]:
        """Count the block's time under ``label``; if ``opaque``, labels inside it count here too."""
        if self._opaque:
            yield
            return
        self._book()
        self._stack.append(label)
        self._opaque += opaque
        try:
            yield
        finally:
            self._opaque -= opaque
            self._book()
            self._stack.pop()

    def timed(self, function: Callable[..., Any], label: str) -> Callable[..., Any]:
        """Return the function with its time counted under ``label``; its attributes stay within reach."""
        return _Timed(self, function, label)

    def watch(self, part: object, method: str, label: str) -> None:
        """Count one method of one object under ``label`` from now on; the object stays what it is."""
        setattr(part, method, self.timed(getattr(part, method), label))

    def watch_flow(self, distance: Any) -> Any:
        """Return a distance whose flow's time counts under "flow"; the one that is given stays what it is."""
        if not isinstance(getattr(distance, "flow", None), Callable):  # type: ignore[arg-type]
            return distance
        distance = copy(distance)
        if hasattr(distance.flow, "both"):
            distance.flow = copy(distance.flow)
            self.watch(distance.flow, "both", "flow")
        else:
            distance.flow = self.timed(distance.flow, "flow")
        return distance

    def _book(self) -> None:
        now = perf_counter()
        if self._stack:
            self.seconds[self._stack[-1]] += now - self._since
        self._since = now


class _Timed:
    def __init__(self, clock: Clock, function: Callable[..., Any], label: str) -> None:
        self._clock, self._function, self._label = clock, function, label

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with self._clock.measure(self._label):
            return self._function(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # as copies and pickles look for before there is a function
            raise AttributeError(name)
        return getattr(self._function, name)
