"""Where seconds are booked: inner parts take their time away from outer ones."""

from __future__ import annotations

import pytest

from corrwise._clock import Clock


@pytest.fixture
def wait(monkeypatch):
    """Return a function that lets the clock's time pass, and nobody else's."""
    now = [100.0]
    monkeypatch.setattr("corrwise._clock.perf_counter", lambda: now[0])

    def advance(seconds):
        now[0] += seconds

    return advance


def test_nested_labels_are_exclusive(wait):
    clock = Clock()
    with clock.measure("outer"):
        wait(2)
        with clock.measure("inner"):
            wait(5)
        wait(3)
    wait(7)
    assert clock.seconds == {"outer": 5, "inner": 5}


def test_an_opaque_label_swallows_those_inside(wait):
    clock = Clock()
    with clock.measure("environment", opaque=True), clock.measure("render"):
        wait(2)
    with clock.measure("render"):
        wait(1)
    assert clock.seconds == {"environment": 2, "render": 1}


def test_a_watched_part_stays_what_it_is():
    class Part:
        def work(self, x):
            return x + 1

        def rest(self):
            return 0

    clock, part = Clock(), Part()
    clock.watch(part, "work", "labour")
    assert isinstance(part, Part)
    assert part.work(1) == 2
    assert part.rest() == 0
    assert set(clock.seconds) == {"labour"}
    assert Part().work(2) == 3
    assert clock.timed(len, "calls")("abc") == 3
    assert "calls" in clock.seconds


def test_an_error_inside_leaves_the_clock_usable(wait):
    clock = Clock()
    with pytest.raises(KeyError), clock.measure("a", opaque=True):
        raise KeyError
    with clock.measure("b"):
        wait(4)
    assert clock.seconds["b"] == 4
