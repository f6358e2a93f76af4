"""How far the motion of models is from that of the true frames: distances of distributions pooled over clips."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from corrwise.costs.motion.score import level_shares
from corrwise.experiments.report.statistics import Estimate, over_samples
from corrwise.experiments.runs.rows import Row

__all__ = ["Pooled", "of_clips"]

Array = np.ndarray
_CELLS = 1024  # between values that are taken together; the distance is exact up to where functions cross in a cell
_CHUNK = 256  # resamples whose distances are computed together, which bounds the memory


def of_clips(rows: Sequence[Row]) -> dict[int, list[Row]]:
    """Return the rows of each clip."""
    clips: dict[int, list[Row]] = {}
    for row in rows:
        clips.setdefault(row["clip"], []).append(row)
    return dict(sorted(clips.items()))


class Pooled:
    """Wasserstein-1 distances of models from the true frames, of one distribution in their rows.

    The distribution of a set of clips is the mixture of those of its clips, each the mixture of its windows'. Intervals
    are bootstrapped over clips, the same ones of both sides.

    Args:
        true: rows of the true frames.
        models: rows by model.
        field: the name of the distribution.
    """

    def __init__(self, true: Sequence[Row], models: Mapping[str, Sequence[Row]], field: str) -> None:
        everything = np.unique([row[field] for rows in (true, *models.values()) for row in rows])
        chosen = np.linspace(0, len(everything) - 1, min(len(everything), _CELLS + 1)).round().astype(int)
        self._places = everything[chosen]
        self._shares = level_shares().numpy().cumsum()
        real = self._functions(true, field)
        self._apart: dict[str, dict[int, Array]] = {}
        self._known: dict[tuple[object, ...], Array] = {}
        for name, rows in models.items():
            mine = self._functions(rows, field)
            self._apart[name] = {clip: mine[clip] - real[clip] for clip in mine.keys() & real.keys()}

    def value(self, model: str) -> float:
        """Return the distance of a model without an interval."""
        apart = self._stacked(model, sorted(self._apart[model]))
        return float(self._distances(apart, np.arange(len(apart))[None])[0])

    def distance(self, model: str) -> Estimate:
        """Return the distance of a model, in the unit of the values."""
        return self.of_groups([[model]], lambda mine: mine)

    def difference(self, model: str, other: str) -> Estimate:
        """Return how much larger the distance of a model is than another's, paired by clip."""
        return self.of_groups([[model], [other]], np.subtract)

    def of_groups(self, groups: Sequence[Sequence[str]], statistic: Callable[..., Array]) -> Estimate:
        """Return a statistic of the mean distances of groups of models, such as seeds of two arms, paired by clip.

        Args:
            groups: the models of each group.
            statistic: gets an array for each group, the mean of its models' distances, and returns the values.
        """
        clips = sorted(set.intersection(*(set(self._apart[model]) for group in groups for model in group)))

        def values(chosen: Array) -> Array:
            return statistic(*(np.mean([self._of(name, clips, chosen) for name in group], axis=0) for group in groups))

        return over_samples(len(clips), values)

    def _functions(self, rows: Sequence[Row], field: str) -> dict[int, Array]:
        """Return the mean of each clip's cumulative distribution function in each cell, times its width."""
        return {
            clip: np.mean([self._integral(np.asarray(row[field])) for row in mine], axis=0)
            for clip, mine in of_clips(rows).items()
        }

    def _integral(self, levels: Array) -> Array:
        """Return the integral over each cell of the function that rises by its share at each of the levels."""
        knots = np.append(levels, max(levels[-1], self._places[-1]) + 1)
        upto = np.concatenate([[0.0], np.cumsum(self._shares * np.diff(knots))])
        return np.diff(np.interp(self._places, knots, upto))

    def _stacked(self, model: str, clips: Sequence[int]) -> Array:
        return np.array([self._apart[model][clip] for clip in clips]).reshape(len(clips), -1)

    def _of(self, model: str, clips: Sequence[int], chosen: Array) -> Array:
        """Return a model's distance of each choice of clips, once: all comparisons draw the same choices."""
        key = (model, tuple(clips), chosen.shape, hashlib.blake2b(chosen.tobytes()).digest())
        if key not in self._known:
            self._known[key] = self._distances(self._stacked(model, clips), chosen)
        return self._known[key]

    def _distances(self, apart: Array, chosen: Array) -> Array:
        """Return the distance of each choice of clips (R, n): the area between the mean functions."""
        made: list[Any] = []
        for some in np.split(chosen, range(_CHUNK, len(chosen), _CHUNK)):
            weights = np.zeros((len(some), len(apart)))
            np.add.at(weights, (np.arange(len(some))[:, None], some), 1 / some.shape[1])
            made.append(np.abs(weights @ apart).sum(axis=1))
        return np.concatenate(made)
