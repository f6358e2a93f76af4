"""Where seconds are booked: inner parts take their time away from outer ones."""

from __future__ import annotations

from time import sleep

import pytest

from corrwise.experiments.clock import Clock


def test_nested_labels_are_exclusive():
    clock = Clock()
    with clock.measure("outer"):
        sleep(0.02)
        with clock.measure("inner"):
            sleep(0.05)
        sleep(0.02)
    assert clock.seconds["outer"] == pytest.approx(0.04, abs=0.02)
    assert clock.seconds["inner"] == pytest.approx(0.05, abs=0.02)


def test_an_opaque_label_swallows_those_inside():
    clock = Clock()
    with clock.measure("environment", opaque=True), clock.measure("render"):
        sleep(0.01)
    with clock.measure("render"):
        pass
    assert clock.seconds["environment"] >= 0.01
    assert clock.seconds["render"] < 0.005


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


def test_an_error_inside_leaves_the_clock_usable():
    clock = Clock()
    with pytest.raises(KeyError), clock.measure("a", opaque=True):
        raise KeyError
    with clock.measure("b"):
        sleep(0.01)
    assert clock.seconds["b"] >= 0.01
