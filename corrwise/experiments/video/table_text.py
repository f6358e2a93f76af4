"""What rows of frames and plans say of two losses: tables, paired by clip, and by episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from corrwise.experiments.markdown import markdown_table
from corrwise.experiments.planning.table_text import by_method, gap_closed, paired
from corrwise.experiments.stats import mean_and_error, paired_difference
from corrwise.experiments.summary import seconds_of
from corrwise.experiments.video.arms import pixel_wise
from corrwise.experiments.video.evaluation import clip_means
from corrwise.experiments.video.metrics import METRICS

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
    gains = ("of the oracle's gain kept", "nearer than the pixel-wise twin by")
    lines = []
    for task, methods in by_method(rows).items():
        for name, mine in methods.items():
            floor, oracle = methods.get("zero-action", []), methods.get("oracle", [])
            kept = gap_closed(mine, floor, oracle)[0].said(".0%") if floor and oracle and name != "zero-action" else ""
            twin = methods.get(pixel_wise(name), []) if name != pixel_wise(name) else []
            nearer = paired_difference(*paired("min_distance", twin, mine)).said(".2f") if twin else ""
            nearest = mean_and_error([row["min_distance"] for row in mine])[0]
            seconds = f"{sum(seconds_of(mine).values()):.2f}"
            lines.append((task, f"`{name}`", str(len(mine)), f"{nearest:.2f}", kept, nearer, seconds))
    return markdown_table(("task", "predictor", "n", "nearest", *gains, "s a plan"), lines)
