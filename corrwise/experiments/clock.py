"""Where the seconds of a run go: exclusive times of nested parts, measured by wrapping them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

    def timed(self, part: Any, label: str, *methods: str) -> Any:
        """Return a stand-in for ``part`` whose named methods (or itself, when called) count under ``label``."""
        return _Timed(part, self, label, methods or ("__call__",))

    def _book(self) -> None:
        now = perf_counter()
        if self._stack:
            self.seconds[self._stack[-1]] += now - self._since
        self._since = now


class _Timed:
    """Passes everything on to a part and measures some of its methods."""

    def __init__(self, part: Any, clock: Clock, label: str, methods: tuple[str, ...]) -> None:
        self._part, self._clock, self._label, self._methods = part, clock, label, methods

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with self._clock.measure(self._label):
            return self._part(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._part, name)
        return self._measured(value) if name in self._methods else value

    def _measured(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._clock.measure(self._label):
                return method(*args, **kwargs)

        return call
