"""What rows of frames and plans say of two losses: tables, paired by clip, and by episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from corrwise.experiments.report.markdown import markdown_table
from corrwise.experiments.studies.planning.text import by_method, gap_closed, gap_is_clear, paired
from corrwise.experiments.report.statistics import mean_and_error, paired_difference
from corrwise.experiments.report.summary import seconds_of
from corrwise.experiments.studies.predictors.arms import pixel_wise
from corrwise.experiments.studies.predictors.evaluation import clip_means
from corrwise.experiments.studies.predictors.metrics import METRICS

__all__ = ["predictor_tables"]

Row = dict[str, Any]
_OVER_CLIPS = "Intervals are over clips, with the models as they are; each pair of models stands in square brackets."


def predictor_tables(frames: Mapping[str, Sequence[Row]], plans: Sequence[Row]) -> str:
    """Return two tables: of predicted frames, and of the plans made with them."""
    parts = ["### Frames", "", _frames_table(frames), "", _OVER_CLIPS]
    if plans:
        parts += ["", "### Plans", "", _plans_table(plans)]
    return "\n".join(parts) + "\n"


def _frames_table(frames: Mapping[str, Sequence[Row]]) -> str:
    """Compare arms clip by clip, each clip's numbers averaged over the models of an arm; beside it, model by model."""
    more = (f"{name}: more than the pixel-wise twin (each pair of models)" for name in METRICS)
    lines = []
    for task, rows in frames.items():
        arms: dict[str, dict[str, list[Row]]] = {}
        for row in rows:
            arm, _, seed = ("copy-last", "", "0") if row["model"] == "copy-last" else row["model"].rpartition("-")
            arms.setdefault(arm, {}).setdefault(seed, []).append(row)
        for arm, seeds in arms.items():
            twin = arms.get(pixel_wise(arm), {}) if arm != pixel_wise(arm) else {}
            means = [mean_and_error(list(_over_models(seeds, name).values())) for name in METRICS]
            cells = [task, f"`{arm}`", str(len(seeds)), *(f"{mean:.3f} ± {error:.3f}" for mean, error in means)]
            cells += [_more(seeds, twin, name) for name in METRICS]
            lines.append(cells)
    return markdown_table(["task", "model and loss", "models", *METRICS, *more], lines)


def _over_models(seeds: Mapping[str, Sequence[Row]], metric: str) -> dict[int, float]:
    """Return a metric of each clip, over the models of an arm."""
    each = [clip_means(rows, metric) for rows in seeds.values()]
    return {clip: float(np.mean([one[clip] for one in each])) for clip in each[0] if all(clip in one for one in each)}


def _more(seeds: Mapping[str, Sequence[Row]], twin: Mapping[str, Sequence[Row]], metric: str) -> str:
    both = sorted(seeds.keys() & twin.keys())
    if not both:
        return ""
    mine, theirs = (_over_models({seed: arm[seed] for seed in both}, metric) for arm in (seeds, twin))
    clips = sorted(mine.keys() & theirs.keys())
    said = paired_difference([mine[clip] for clip in clips], [theirs[clip] for clip in clips]).said("+.3f")
    pairs = ((clip_means(arm[seed], metric) for arm in (seeds, twin)) for seed in both)
    alone = [np.mean(list(one.values())) - np.mean(list(two.values())) for one, two in pairs]
    return f"{said} [{', '.join(f'{value:+.3f}' for value in alone)}]"


def _plans_table(rows: Sequence[Row]) -> str:
    columns = {"last 10": "last10_distance", "nearest": "min_distance"}
    gains = ("of the oracle's gain kept", "less than the pixel-wise twin's by")
    lines = []
    for task, methods in by_method(rows).items():
        for name, mine in methods.items():
            cells = [cell for column in columns.values() for cell in _plan_cells(name, methods, column)]
            seconds = f"{sum(seconds_of(mine).values()):.2f}"
            lines.append((task, f"`{name}`", str(len(mine)), *cells, seconds))
    head = [cell for name in columns for cell in (name, *(f"{name}: {gain}" for gain in gains))]
    return markdown_table(("task", "predictor", "n", *head, "s a plan"), lines)


def _plan_cells(name: str, methods: Mapping[str, Sequence[Row]], column: str) -> list[str]:
    """Return a mean distance, the share of the oracle's gain on no action, and how much less than the twin's it is.

    A share of a gain that may be none is left out.
    """
    mine, floor, oracle = methods[name], methods.get("zero-action", []), methods.get("oracle", [])
    gains = floor and oracle and name != "zero-action" and gap_is_clear(floor, oracle, column)
    kept = gap_closed(mine, floor, oracle, column)[0].said(".0%") if gains else ""
    twin = methods.get(pixel_wise(name), []) if name != pixel_wise(name) else []
    less = paired_difference(*paired(column, twin, mine)).said(".2f") if twin else ""
    return [f"{mean_and_error([row[column] for row in mine])[0]:.2f}", kept, less]
