"""Centres, paired differences and their intervals, as pure functions of numbers.

Methods are compared on the same starts and goals, so every comparison is paired by seed. Intervals are bootstrapped
over pairs with an explicit generator: the same rows always give the same table. Values that are missing (a row's null)
or not finite are left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray
Numbers = Sequence[float | int | None] | Sequence[float] | Array
RESAMPLES, LEVEL = 9999, 0.95
_NAN = float("nan")


class Estimate(NamedTuple):
    """A value with its interval; ``low`` and ``high`` are NaN with a single value."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside the interval."""
        return bool(self.low > 0 or self.high < 0)

    def text(self, form: str) -> str:
        """Return it as text by a format such as ".2f", the interval in brackets; nothing where there is no value."""
        if self.value != self.value:
            return ""
        value, low, high = (rounded(each, form) for each in (self.value, self.low, self.high))
        return f"{value} ({low} to {high})" if self.low == self.low else value


def rounded(x: float, form: str) -> str:
    """Return a number as text by a format such as ".2f"; what rounds to zero has no sign."""
    text = f"{x:{form}}"
    return text.lstrip("+-") if float(text.rstrip("%")) == 0 else text


def iqm(x: Numbers) -> float:
    """Return the interquartile mean: the mean of the middle half (Agarwal et al., NeurIPS 2021). NaN without data."""
    from scipy.stats import trim_mean

    values = _finite(x)
    return float(trim_mean(values, 0.25)) if values.size else _NAN


def mean_and_error(x: Numbers) -> tuple[float, float]:
    """Return the mean and its standard error; the error is NaN below two values, both are without data."""
    values = _finite(x)
    if not values.size:
        return _NAN, _NAN
    error = values.std(ddof=1) / np.sqrt(values.size) if values.size > 1 else _NAN
    return float(values.mean()), float(error)


def mean_curve(curves: Sequence[Numbers]) -> Array:
    """Return the mean at each place of what is known there; curves may differ in length and have gaps."""
    table = np.full((len(curves), max((len(curve) for curve in curves), default=0)), np.nan)
    for row, values in zip(table, curves, strict=True):
        row[: len(values)] = _numbers(values)
    known = np.isfinite(table)
    total, count = np.where(known, table, 0.0).sum(axis=0), known.sum(axis=0)
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)


def paired_difference(a: Numbers, b: Numbers) -> Estimate:
    """Return mean(a - b) over pairs with its bootstrap interval of 95 % (BCa).

    One pair has a difference but no spread: the interval is NaN. Pairs that all differ by the same amount have an
    interval of zero width. Where BCa is undefined the percentile interval is returned.
    """
    x, y = _pairs(a, b)
    if not x.size:
        return Estimate(_NAN, _NAN, _NAN)
    return _bootstrap((x - y,), lambda d, axis=-1: d.mean(axis=axis))


def paired_ratio(a: Numbers, b: Numbers) -> Estimate:
    """Return mean(a) / mean(b) over pairs with its paired bootstrap interval; NaN where the mean of ``b`` is zero."""
    x, y = _pairs(a, b)
    if not x.size or y.mean() == 0:
        return Estimate(_NAN, _NAN, _NAN)
    return _bootstrap((x, y), lambda u, v, axis=-1: u.mean(axis=axis) / v.mean(axis=axis))


def share_nearer(a: Numbers, b: Numbers) -> float:
    """Return the share of pairs in which ``a`` is smaller than ``b``; a tie counts half. NaN without pairs."""
    x, y = _pairs(a, b)
    return float(np.mean((x < y) + 0.5 * (x == y))) if x.size else _NAN


def share_interval(count: int, total: int) -> Estimate:
    """Return count / total with Wilson's interval of 95 %; NaN where the total is zero."""
    from scipy.stats import binomtest

    if not total:
        return Estimate(_NAN, _NAN, _NAN)
    interval = binomtest(count, total).proportion_ci(LEVEL, method="wilson")
    return Estimate(count / total, float(interval.low), float(interval.high))


def over_samples(count: int, statistic: Callable[[Array], Array]) -> Estimate:
    """Return a statistic of a whole sample, such as a distance of pooled distributions, with its bootstrap interval.

    Args:
        count: how many there are in the sample, such as clips.
        statistic: gets the numbers of those that count, (R, n) with repetitions, and returns the R values.
    """
    if not count:
        return Estimate(_NAN, _NAN, _NAN)

    def values(chosen: Array, axis: int = -1) -> Array:
        return statistic(chosen.reshape(-1, chosen.shape[-1])).reshape(chosen.shape[:-1])

    return _bootstrap((np.arange(count),), values)


def _bootstrap(data: tuple[Array, ...], statistic: Callable[..., Any]) -> Estimate:
    from scipy.stats import bootstrap

    value = float(statistic(*data))
    if data[0].size < 2:
        return Estimate(value, _NAN, _NAN)
    if all(np.ptp(values) <= 1e-12 * np.abs(values).max() for values in data):  # rounding is no spread
        return Estimate(value, value, value)
    options = {"n_resamples": RESAMPLES, "confidence_level": LEVEL, "paired": len(data) > 1, "vectorized": True}
    for method in ("BCa", "percentile"):
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # BCa warns where it is undefined, and gives NaN
            result = bootstrap(data, statistic, method=method, rng=np.random.default_rng(0), **options)
        low, high = map(float, result.confidence_interval)
        if np.isfinite(low) and np.isfinite(high):
            return Estimate(value, low, high)
    return Estimate(value, _NAN, _NAN)


def _numbers(x: Numbers) -> Array:
    return np.asarray(x, dtype=np.float64).reshape(-1)  # a row's null is None, and None becomes NaN here


def _finite(x: Numbers) -> Array:
    values = _numbers(x)
    return values[np.isfinite(values)]


def _pairs(a: Numbers, b: Numbers) -> tuple[Array, Array]:
    x, y = _numbers(a), _numbers(b)
    if x.shape != y.shape:
        raise ValueError(f"paired values must match one to one, got {x.size} and {y.size}")
    whole = np.isfinite(x) & np.isfinite(y)
    return x[whole], y[whole]
