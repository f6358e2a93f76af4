"""Whether a lower held-out loss goes along with better motion: rank correlations over models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corrwise._writing import write_aside
from corrwise.costs.motion.score import motion_score
from corrwise.experiments.report.table import number
from corrwise.experiments.runs.owner import refuse_other
from corrwise.experiments.runs.rows import Row, read_rows
from corrwise.experiments.studies.flow_matching.measure import KEY as VELOCITY_KEY
from corrwise.experiments.studies.motion.measure import ACCELERATIONS, LENGTHS, REAL
from corrwise.experiments.studies.motion.table import clip_values, pooled_distances
from corrwise.experiments.studies.predictors.evaluation import BASELINE, by_model
from corrwise.experiments.studies.predictors.sampled_tables import Table

__all__ = ["check_losses", "draw_losses", "held_losses", "loss_table", "motion_measures", "rank_correlation"]

_PERMUTATIONS = 9999
_FEWEST = 3  # models of which a rank correlation is shown
_NAMES = {
    LENGTHS: "distance of lengths, px",
    ACCELERATIONS: "distance of accelerations, px",
    "energy": "energy score",
    "smoothness": "smoothness",
    "dynamic": "dynamic degree",
    "score": "motion score",
}
_LOSSES = (
    "Spearman's rank correlation over models of the squared error of the velocity on held-out clips (mean over times "
    "and clips) with each measure; p by permutations of the models. Where a lower loss means better motion, the first "
    "three are near 1."
)


def held_losses(folder: Path) -> dict[str, float]:
    """Return the mean held-out velocity loss of each model of ``corrwise table flow-matching``, by its weights' hash.

    Raises:
        RunFolderError: the rows cannot be read.
        ValueError: there are none.
    """
    refuse_other(folder, "corrwise table flow-matching", "--losses takes one of corrwise table flow-matching")
    weights: dict[str, list[Row]] = {}
    for row in {VELOCITY_KEY.of(row): row for row in read_rows(folder / "rows.jsonl", VELOCITY_KEY)}.values():
        weights.setdefault(str(row.get("weights")), []).append(row)
    if not weights:
        raise ValueError(f"expected rows of corrwise table flow-matching in {folder}, got none")
    return {name: float(np.mean(list(clip_values(rows, "velocity").values()))) for name, rows in weights.items()}


def motion_measures(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Return the measures of each model's motion: distances from the true frames, and means over clips."""
    pooled, measures = pooled_distances(rows), {}
    for name, mine in by_model(rows).items():
        if name not in (REAL, BASELINE):
            means = {field: list(clip_values(mine, field).values()) for field in ("energy", "smoothness", "dynamic")}
            values = {field: float(np.mean(each)) for field, each in means.items() if each}
            values |= {field: each.value(name) for field, each in pooled.items()}
            measures[name] = {**values, "score": motion_score(values["smoothness"], values["dynamic"])}
    return measures


def rank_correlation(x: Sequence[float | int], y: Sequence[float | int]) -> tuple[float, float]:
    """Return Spearman's rank correlation and its p value; NaN where either side is constant.

    The p value is two-sided and exact for up to seven pairs, and by random permutations for more.
    """
    from scipy.stats import permutation_test, rankdata

    if min(len(set(x)), len(set(y))) < 2:
        return float("nan"), float("nan")
    one, two = rankdata(x), rankdata(y)

    def correlation(a: np.ndarray, axis: int = -1) -> Any:
        a, b = (each - each.mean(axis=axis, keepdims=True) for each in (a, np.broadcast_to(two, a.shape)))
        return (a * b).sum(axis=axis) / np.sqrt((a**2).sum(axis=axis) * (b**2).sum(axis=axis))

    result = permutation_test(
        (one,), correlation, permutation_type="pairings", vectorized=True, n_resamples=_PERMUTATIONS,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(result.statistic), float(result.pvalue)


def check_losses(losses: Mapping[str, float], weights: Iterable[str]) -> None:
    """Raise unless at least 3 models, given by their weights' hashes, have a loss.

    Raises:
        ValueError: fewer of them have one.
    """
    known = sum(each in losses for each in weights)
    if known < _FEWEST:
        raise ValueError(f"expected at least {_FEWEST} models with a held-out loss in --losses, got {known}")


def loss_table(rows: Sequence[Row], losses: Mapping[str, float]) -> Table:
    """Return the rank correlations of the loss with each measure of motion.

    Args:
        rows: of motion.
        losses: the held-out loss of models by their weights' hash.

    Raises:
        ValueError: fewer than 3 of the models have a loss.
    """
    models = _with_loss(rows, losses)
    lines = []
    for field, name in _NAMES.items():
        pairs = [(loss, values[field]) for loss, values in models.values() if field in values]
        rho, p = rank_correlation(*zip(*pairs, strict=True)) if len(pairs) >= _FEWEST else (float("nan"),) * 2
        lines.append([name, str(len(pairs)), number(rho, 2), number(p, 3)])
    return Table("Held-out loss and motion", ["measure", "models", "rank correlation", "p"], lines, _LOSSES)


def draw_losses(path: Path, rows: Sequence[Row], losses: Mapping[str, float]) -> None:
    """Draw each measure of motion against the held-out loss, a point per model; seeds of one kind share a colour."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    models = _with_loss(rows, losses)
    kinds = {name: name.rpartition("-")[0] if name.rpartition("-")[2].isdigit() else name for name in models}
    palette, order = colormaps["tab10"], list(dict.fromkeys(kinds.values()))
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    for axis, (field, label) in zip(figure.subplots(2, 3).flat, _NAMES.items(), strict=True):
        for i, kind in enumerate(order):
            mine = [models[name] for name in models if kinds[name] == kind and field in models[name][1]]
            points = np.array([(loss, values[field]) for loss, values in mine]).reshape(-1, 2)
            axis.scatter(points[:, 0], points[:, 1], color=palette(i % palette.N), label=kind, s=28)
        axis.set(xlabel="held-out loss of the velocity", title=label, xscale="log")
        if field in (LENGTHS, ACCELERATIONS):
            axis.set_yscale("log")
        axis.grid(visible=True, alpha=0.25)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=110)


def _with_loss(rows: Sequence[Row], losses: Mapping[str, float]) -> dict[str, tuple[float, dict[str, float]]]:
    """Return the loss and the measures of each model that has a loss."""
    weights = {row["model"]: row["weights"] for row in rows}
    measures = motion_measures(rows)
    check_losses(losses, [weights[name] for name in measures])
    return {name: (losses[weights[name]], mine) for name, mine in measures.items() if weights[name] in losses}
