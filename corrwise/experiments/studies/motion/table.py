"""The tables of ``corrwise evaluate --motion``, from its rows alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from corrwise.costs.motion.score import level_shares, motion_score
from corrwise.experiments.report.statistics import mean_and_error, paired_difference
from corrwise.experiments.report.table import markdown_table, number, percent, with_error
from corrwise.experiments.runs.rows import Row
from corrwise.experiments.studies.motion.distances import Pooled, of_clips
from corrwise.experiments.studies.motion.measure import ACCELERATIONS, LENGTHS, REAL
from corrwise.experiments.studies.predictors.evaluation import BASELINE, by_model
from corrwise.experiments.studies.predictors.sampled_tables import Table

__all__ = ["clip_values", "motion_page", "motion_tables", "pooled_distances"]

_DIGITS = {"smoothness": 4, "dynamic": 3, "largest": 3, "energy": 3}
_SCORES = (
    "Smoothness: 1 minus the mean difference, in [0, 1], between every second frame and the one that {interpolator} "
    "makes from its neighbours, in the place of VBench's AMT-S. Dynamic degree: the share of videos in which the mean "
    "of the largest 5 % of flow lengths ({flow}) exceeds 6 / 256 of the shorter side in at least a quarter of the "
    "frames. Motion score: the mean of both. Largest 5 %, mean length and acceleration: in pixels, over all pixels. "
    "Energy score: as with --samples, lower is better. Means over clips ± standard error."
)
_DISTANCES = (
    "Wasserstein-1 distance between the distributions of the true frames and of the model, over all pixels, windows "
    "and futures; each clip has the same weight, and the 95 % interval is over clips. It is the least mean change that "
    "makes the one distribution the other, and 0 where they are the same. Share: of the distance of a still video "
    "({still})."
)
_PAIRED = "Differences from {first}, paired by clip, with a 95 % interval; below zero is better."
_PAIRED_SCORES = (
    "Differences from {first}, paired by clip, with a 95 % interval. Neither sign is better by itself: compare with "
    "the true frames."
)


def clip_values(rows: Sequence[Row], name: str) -> dict[int, float]:
    """Return a field of each clip, a number or a list of them, over its windows; clips without any are left out."""
    clips = {clip: [row[name] for row in mine if row.get(name) is not None] for clip, mine in of_clips(rows).items()}
    return {clip: float(np.mean([np.mean(value) for value in values])) for clip, values in clips.items() if values}


def pooled_distances(rows: Sequence[Row]) -> dict[str, Pooled]:
    """Return the distances of flow lengths and of accelerations of all models, from the true frames' rows."""
    models = by_model(rows)
    true = models.pop(REAL)
    return {name: Pooled(true, models, name) for name in (LENGTHS, ACCELERATIONS)}


def motion_tables(rows: Sequence[Row], *, flow: str, interpolator: str) -> list[Table]:
    """Return the tables: scores, distances from the true frames, and two of paired differences from the first model.

    Args:
        rows: of all models, the true frames and the baseline.
        flow: the name of the flow that measured them.
        interpolator: that of the interpolator.
    """
    models = by_model(rows)
    first = next(name for name in models if name != REAL)
    others = [name for name in models if name not in (first, REAL)]
    pooled = pooled_distances(rows)
    tables = [_scores(models, flow, interpolator), _distances(models, pooled)]
    return [*tables, *_paired(models, pooled, first, others)] if others else tables


def motion_page(tables: Sequence[Table]) -> str:
    """Return the tables as Markdown."""
    return "\n".join(f"### {title}\n\n{markdown_table(head, lines)}\n{text}\n" for title, head, lines, text in tables)


def _scores(models: Mapping[str, Sequence[Row]], flow: str, interpolator: str) -> Table:
    shares, lines = level_shares().numpy(), []
    for name, rows in models.items():
        values = {each: list(clip_values(rows, each).values()) for each in _DIGITS}
        cells = {each: _cell(mine, _DIGITS[each]) for each, mine in values.items()}
        score = motion_score(*(mean_and_error(values[each])[0] for each in ("smoothness", "dynamic")))
        means = [number(float(np.mean([row[each] @ shares for row in rows])), 4) for each in (LENGTHS, ACCELERATIONS)]
        scores = [cells["smoothness"], cells["dynamic"], number(score, 3), cells["largest"]]
        lines.append([name, str(rows[0].get("samples") or 1), *scores, *means, cells["energy"]])
    head = ["model", "futures", "smoothness", "dynamic degree", "motion score", "largest 5 %, px", "mean length, px"]
    text = _SCORES.format(flow=flow, interpolator=interpolator)
    return Table("Motion", [*head, "mean acceleration, px", "energy score"], lines, text)


def _distances(models: Mapping[str, Sequence[Row]], pooled: Mapping[str, Pooled]) -> Table:
    lines, still = [], dict[str, float]()
    if BASELINE in models:
        still = {name: each.value(BASELINE) for name, each in pooled.items()}
    for model in models:
        if model == REAL:
            continue
        cells = [model]
        for name, each in pooled.items():
            distance = each.distance(model)
            share = distance.value / still[name] if still.get(name) else None
            cells += [distance.text(".5f"), percent(share)]
        lines.append(cells)
    head = ["model", "flow lengths, px", "share of a still video's", "accelerations, px", "share of a still video's"]
    return Table("Distance of the motion from that of the true frames", head, lines, _DISTANCES.format(still=BASELINE))


def _paired(
    models: Mapping[str, Sequence[Row]], pooled: Mapping[str, Pooled], first: str, others: Sequence[str]
) -> list[Table]:
    def more(model: str, name: str) -> str:
        one, two = (clip_values(models[each], name) for each in (model, first))
        clips = sorted(one.keys() & two.keys())
        pair = ([each[clip] for clip in clips] for each in (one, two))
        return paired_difference(*pair).text(f"+.{_DIGITS[name]}f")

    apart, scores = [], []
    for model in others:
        distances = [each.difference(model, first).text("+.5f") for each in pooled.values()]
        apart.append([model, *distances, more(model, "energy")])
        scores.append([model, *(more(model, name) for name in ("smoothness", "dynamic", "largest"))])
    head = ["model", "distance of flow lengths, px", "distance of accelerations, px", "energy score"]
    more_scores = ["model", "smoothness", "dynamic degree", "largest 5 %, px"]
    return [
        Table(f"Farther from the true frames than {first}", head, apart, _PAIRED.format(first=first)),
        Table(f"More than {first}", more_scores, scores, _PAIRED_SCORES.format(first=first)),
    ]


def _cell(values: Sequence[float], digits: int) -> str:
    if not values:
        return ""
    mean, error = mean_and_error(values)
    return with_error(mean, error, digits)
