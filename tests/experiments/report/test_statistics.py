"""Statistics against closed forms; tables from rows in any order, with gaps, without a baseline."""

from __future__ import annotations

import math

import numpy as np
import pytest

from corrwise.experiments.report.statistics import (
    Estimate,
    iqm,
    mean_and_error,
    paired_difference,
    paired_ratio,
    share_nearer,
)
from corrwise.experiments.report.summary import summarize
from corrwise.experiments.report.table import number, percent, signed

NAN = float("nan")


def test_iqm_is_the_mean_of_the_middle_half():
    assert iqm([100.0, 2, 3, -50]) == 2.5
    assert iqm(np.arange(8)) == 3.5
    assert iqm([1, None, 3, NAN]) == 2.0
    assert math.isnan(iqm([]))


def test_mean_and_standard_error():
    assert mean_and_error([1.0, 2, 3]) == pytest.approx((2.0, 1 / math.sqrt(3)))
    mean, error = mean_and_error([4.0])
    assert mean == 4.0
    assert math.isnan(error)


def test_the_interval_of_a_difference_agrees_with_the_normal_one_on_many_pairs():
    rng = np.random.default_rng(1)
    b = rng.normal(5, 3, size=400)
    a = b + rng.normal(-0.5, 1, size=400)
    value, low, high = paired_difference(a, b)
    half = 1.96 * np.std(a - b, ddof=1) / 20
    assert value == pytest.approx(np.mean(a - b))
    assert low == pytest.approx(value - half, abs=0.15 * half)
    assert high == pytest.approx(value + half, abs=0.15 * half)


def test_intervals_are_the_same_each_time():
    a, b = np.random.default_rng(0).normal(size=(2, 12))
    np.random.seed(3)  # noqa: NPY002  the global generator must not matter
    first = paired_difference(a, b)
    np.random.seed(4)  # noqa: NPY002
    assert paired_difference(a, b) == first
    assert paired_ratio(a + 9, b + 9) == paired_ratio(a + 9, b + 9)


def test_swapping_the_pair_mirrors_difference_and_share():
    a, b = np.random.default_rng(0).normal(size=(2, 15))
    assert paired_difference(a, b).value == -paired_difference(b, a).value
    assert share_nearer(a, b) == 1 - share_nearer(b, a)
    assert share_nearer([1.0, 2, 5, 4], [2.0, 2, 4, 6]) == (1 + 0.5 + 0 + 1) / 4


def test_a_scaled_method_has_that_ratio_and_no_spread():
    b = np.array([1.0, 4.0, 2.5, 7.0])
    value, low, high = paired_ratio(b / 4, b)
    assert (value, low, high) == pytest.approx((0.25, 0.25, 0.25))


def test_degenerate_data_have_what_they_know():
    assert paired_difference([2.0, 3, 4], [1.0, 2, 3]) == (1.0, 1.0, 1.0)
    assert paired_difference([0.3, 0.4], [0.1, 0.2])[1:] == pytest.approx((0.2, 0.2))
    one = paired_difference([2.0], [1.0])
    assert one.value == 1.0
    assert math.isnan(one.low)
    assert not one.excludes_zero
    for estimate in (paired_difference([], []), paired_ratio([], []), paired_ratio([1.0, 2], [0.0, 0])):
        assert all(math.isnan(x) for x in estimate)
    assert math.isnan(share_nearer([], []))
    assert paired_difference([1.0, 5, None], [0.0, 2, 9]).value == 2.0  # a null leaves its pair out
    with pytest.raises(ValueError, match="got 1 and 2"):
        paired_difference([1.0], [1.0, 2.0])


@pytest.mark.parametrize("n", [2, 3, 5])
def test_small_samples_have_finite_ordered_intervals(n):
    rng = np.random.default_rng(n)
    for _ in range(5):
        a, b = rng.exponential(size=(2, n))
        for value, low, high in (paired_difference(a, b), paired_ratio(a, b)):
            assert low <= high
            assert np.isfinite([value, low, high]).all()


def row(cost, seed, near, **more):
    base = {"task": "cartpole", "cost": cost, "planner": "cem", "predictor": "oracle", "seed": seed}
    distances = {"start_distance": 5.0, "min_distance": near - 1, "final_distance": near + 1, "last10_distance": near}
    return {**base, **distances, "steps": 10, "seconds": 2.0, "seconds_plan": 0.5, "rejected": 1, **more}


def test_the_table_pairs_on_shared_seeds_only():
    rows = [row("l1", seed, 4.0 + seed) for seed in (0, 1, 2)] + [
        row("corr-l1", seed, 1.0 + seed) for seed in (1, 2, 7)
    ]
    first, second = summarize(rows)
    assert (first.cost, first.n, first.pairs) == ("l1", 3, 0)
    assert math.isnan(first.difference.value)
    assert (second.cost, second.n, second.pairs, second.nearer) == ("corr-l1", 3, 2, 1.0)
    assert second.difference == (-3.0, -3.0, -3.0)
    assert second.ratio.value == pytest.approx(11 / 5)
    assert second.last10 == pytest.approx((2 + 3 + 8) / 3)
    assert (second.start, second.final - second.last10, second.last10 - second.nearest) == pytest.approx((5, 1, 1))
    assert second.seconds["plan"] == pytest.approx(0.05)
    assert second.seconds["other"] == pytest.approx(0.15)
    assert second.rejected.candidates == 3


def test_controls_come_last_and_a_missing_baseline_is_no_error():
    rows = [row("zero-action", 0, 5.0), row("state", 0, 0.1), row("corr-l1", 0, 1.0), row("corr-l1", 0, 2.0)]
    table = summarize(rows)
    assert [line.cost for line in table] == ["corr-l1", "state", "zero-action"]
    assert [line.control for line in table] == [False, True, True]
    assert (table[0].n, table[0].last10) == (1, 2.0), "the last row of a key counts"
    assert all(line.pairs == 0 for line in table)
    assert summarize([]) == []


def test_tasks_and_planners_are_not_mixed():
    rows = [row("l1", 0, 4.0), row("l1", 0, 3.0, planner="mppi"), row("corr-l1", 0, 1.0, planner="mppi")]
    rows += [row("l1", 0, 9.0, task="ant"), row("random-action", 0, 5.0, task="ant", planner="none")]
    table = {(line.task, line.cost, line.planner): line for line in summarize(rows)}
    assert table["cartpole", "corr-l1", "mppi"].difference.value == -2.0
    assert table["ant", "random-action", "none"].difference.value == -4.0, "a control is paired with the only baseline"


def test_rows_with_nulls_and_missing_fields_still_make_a_table():
    bare = {"task": "ant", "cost": "l1", "planner": "cem", "predictor": "oracle", "seed": 0, "min_distance": None}
    (line,) = summarize([bare])
    assert line.n == 1
    assert math.isnan(line.nearest)
    assert math.isnan(line.seconds["plan"])


def test_an_estimate_says_its_interval_where_it_has_one():
    nan = float("nan")
    assert Estimate(0.5, 0.25, 0.75).text(".2f") == "0.50 (0.25 to 0.75)"
    assert Estimate(0.5, nan, nan).text(".0%") == "50%"
    assert Estimate(nan, nan, nan).text(".2f") == ""


def test_what_rounds_to_zero_has_no_sign():
    assert Estimate(-0.001, -0.1, -0.004).text(".2f") == "0.00 (-0.10 to 0.00)"
    assert Estimate(-0.0004, -0.0004, 0.5).text("+.3f") == "0.000 (0.000 to +0.500)"
    assert (number(-0.004), signed(-0.004), percent(-0.001)) == ("0.00", "0.00", "0 %")
