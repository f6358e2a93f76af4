"""``corrwise table time-weights``: rows, figures and tables of cases, controls and minimising images in one folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf, nan
from pathlib import Path

import numpy as np

from corrwise.experiments.cli.options import cost_label
from corrwise.experiments.cli.table_time_weights import TimeWeightTableConfig
from corrwise.experiments.report.table import markdown_table, number, percent, write_table
from corrwise.experiments.runs.distances import make_distance, network_of, with_costs
from corrwise.experiments.runs.executors import Local
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.jobs import Job
from corrwise.experiments.runs.rows import COUNT, NUMBER, NUMBERS, TEXT, TEXT_BY_NAME, TEXTS, Key, Row, RowKey
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.studies.time_weights.cases import CASES, path_of
from corrwise.experiments.studies.time_weights.controls import CONTROLS, LOG_ONLY, SOFTENED
from corrwise.experiments.studies.time_weights.drawings import (
    draw_images,
    draw_log_only,
    draw_minimisers,
    draw_moved,
    draw_weights,
)
from corrwise.experiments.studies.time_weights.images import IMAGE, ImageSubject, image_arm, image_rows
from corrwise.experiments.studies.time_weights.rows import CASE, CONTROL, CaseSubject, case_rows, control_rows
from corrwise.experiments.studies.time_weights.weighting import all_laws, all_weights

__all__ = ["KEY", "MOST_GRADIENT", "MOST_MINIMISER", "run_time_weight_table", "time_weight_tables"]

MOST_GRADIENT, MOST_MINIMISER = 1e-10, 1e-8  # differences that count as none
_NEEDED = {
    CASE: ("gradient_difference", "minimiser_difference", "laws"),
    CONTROL: ("gradient_difference", "minimiser_difference", "laws"),
    IMAGE: ("spread", "moved", "loss", "loss_mean"),
}


def _incomplete(row: Row) -> str | None:
    """Return what is wrong with a row of its kind, or None."""
    if row["kind"] not in _NEEDED:
        return f"expected one of {', '.join(_NEEDED)} as kind, got {row['kind']}"
    needed = _NEEDED[row["kind"]]
    missing = [name for name in needed if not row.get(name)]
    if missing:
        return f"expected at least one value as {missing[0]}, got none"
    if len({len(row[name]) for name in needed}) > 1:
        return f"expected as many values of each of {', '.join(needed)}"
    return None


KEY = Key(
    {"kind": str, "case": str, "arm": str},
    {
        **dict.fromkeys(("gradient_difference", "minimiser_difference", "predicted_difference"), NUMBERS),
        **dict.fromkeys(("rate_factor", "nodes", "spread", "moved", "scene_distance", "loss", "loss_mean"), NUMBERS),
        **{"laws": TEXTS, "states": COUNT, "total_variation": NUMBER, "seconds": NUMBER},
        **{"image": TEXT, "network": TEXT, "versions": TEXT_BY_NAME},
    },
    also=_incomplete,
)


def run_time_weight_table(config: TimeWeightTableConfig) -> Path:
    """Make the rows that the folder does not hold yet, then the figures and the table, and return the table's path.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        ValueError: an unknown weight or law, or a weight that is not positive and finite inside (0, 1).
        ArithmeticError: a minimiser was not reached.
    """
    paths = {str(path): path for path in map(path_of, config.cases)}.values()
    weights, laws = all_weights(config.weights, paths), all_laws(config.laws)
    jobs: list[Job] = []
    for case in config.cases:
        kind, setup = (CASE, case_rows) if case in CASES else (CONTROL, control_rows)
        arms = [*weights, SOFTENED] if case == LOG_ONLY else weights
        keys: dict[RowKey, Row] = {(kind, case, arm): {"laws": laws} for arm in arms}
        jobs.append(Job(setup, CaseSubject(case, config), keys, together=len(arms), label=case))
    stamps: dict[str, Row] = {cost: {"network": network_of(make_distance(cost))} for cost in config.costs}
    for cost in config.costs:
        keys = {(IMAGE, cost_label(cost), image_arm(t)): stamps[cost] for t in config.image_times}
        jobs.append(Job(image_rows, ImageSubject(cost, config), keys, label=cost_label(cost), steps=config.draws))
    settings = with_costs(settings_of(config, "time-weights"), config.out, stamps)
    with RunFolder(config.out, settings, KEY, newest=True, digits=True) as folder:
        folder.run(jobs, Local(config.processes), unit="step")

        def page() -> tuple[str, list[str]]:
            rows = list({KEY.of(row): row for row in folder.rows}.values())
            draw_weights(config.out / "weights.png", weights, laws)
            if any(row["case"] == "flow-matching/cond-ot" for row in rows):
                draw_minimisers(config.out / "minimisers.png", weights)
            draw_log_only(config.out / "log-only.png", rows)
            draw_moved(config.out / "moved.png", rows)
            draw_images(config.out / "images.png", rows)
            return time_weight_tables(rows), _warnings(rows)

        return write_table(config.out, page)


def _warnings(rows: Sequence[Row]) -> list[str]:
    """Return a sentence for each case on which the claim does not hold and each control on which the checks pass."""
    sentences = []
    for case in dict.fromkeys(row["case"] for row in rows if row["kind"] == CASE):
        worst = _worst([row for row in rows if row["case"] == case])
        if not _holds(*worst):
            sentences.append(f"{case}: the claim does not hold, the differences are {worst[0]:.1e} and {worst[1]:.1e}")
    for case in dict.fromkeys(row["case"] for row in rows if row["kind"] == CONTROL):
        worst = _worst([row for row in rows if row["case"] == case])
        if worst[1] <= MOST_MINIMISER:
            sentences.append(f"{case}: the control passes, so the check could not have failed")
    return sentences


def _worst(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the largest difference of gradients and of minimisers; infinite where one is not finite."""
    gradient, minimiser = (
        max(inf if value is None else value for row in rows for value in row[name])
        for name in ("gradient_difference", "minimiser_difference")
    )
    return gradient, minimiser


def _holds(gradient: float, minimiser: float) -> bool:
    return gradient <= MOST_GRADIENT and minimiser <= MOST_MINIMISER


def time_weight_tables(rows: Iterable[Row]) -> str:
    """Return tables of the cases, the controls, the weight on the logarithm alone, and the minimising images."""
    rows = list(rows)
    kinds = {kind: [row for row in rows if row["kind"] == kind] for kind in _NEEDED}
    log_only = [row for row in kinds[CONTROL] if row["case"] == LOG_ONLY]
    parts = [
        ("Cases", _cases_table(kinds[CASE])),
        ("Controls", _controls_table(kinds[CONTROL])),
        ("Edit Flows with the weight on the logarithm alone", _log_only_table(log_only)),
        ("Distances that are no Bregman divergences", _images_table(kinds[IMAGE])),
    ]
    return "\n".join(f"# {title}\n\n{table}" for title, table in parts if table)


def _counts(rows: Sequence[Row]) -> str:
    laws = {law for row in rows for law in row["laws"]}
    return f"{len({row['arm'] for row in rows})} x {len(laws)}"


def _cases_table(rows: Sequence[Row]) -> str:
    head = ("case", "weights x laws", "nodes", "free outputs", "gradient", "minimiser", "holds")
    lines = []
    for case in dict.fromkeys(row["case"] for row in rows):
        mine = [row for row in rows if row["case"] == case]
        worst = _worst(mine)
        nodes = " and ".join(f"{count:,}" for count in mine[0].get("nodes") or ())
        states = mine[0].get("states")
        lines.append((
            f"`{case}`", _counts(mine), nodes, "" if states is None else f"{states:,}", *map(_power, worst),
            "yes" if _holds(*worst) else "no",
        ))  # fmt: skip
    return markdown_table(head, lines) if lines else ""


def _controls_table(rows: Sequence[Row]) -> str:
    head = ("control", "weights x laws", "gradient", "minimiser", "why the claim does not cover it")
    lines = []
    for case in dict.fromkeys(row["case"] for row in rows):
        mine = [row for row in rows if row["case"] == case]
        why = CONTROLS[case].why if case in CONTROLS else ""
        lines.append((f"`{case}`", _counts(mine), *map(_power, _worst(mine)), why))
    return markdown_table(head, lines) if lines else ""


def _log_only_table(rows: Sequence[Row]) -> str:
    head = ("weight", "rates times", "from the true rates", "from the predicted ones", "total variation at the end")
    lines = []
    for row in rows:
        low, high = row.get("rate_factor") or (nan, nan)
        factor = "1" if low == high == 1 else f"{low:.3g} to {high:.3g}"
        predicted = max(row.get("predicted_difference") or [nan])
        lines.append((
            f"`{row['arm']}`", factor, _power(max(row["minimiser_difference"])), _power(predicted),
            number(row.get("total_variation"), 3),
        ))  # fmt: skip
    return markdown_table(head, lines) if lines else ""


def _images_table(rows: Sequence[Row]) -> str:
    """Return a table of both distances as shares of the posterior's spread, the mean over noisy scenes."""
    if not rows:
        return ""
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    head = ("cost", *(f"{arm}: from the mean, a scene" for arm in arms), "expected cost / the mean's")
    lines = []
    for case in dict.fromkeys(row["case"] for row in rows):
        mine = {row["arm"]: row for row in rows if row["case"] == case}
        shares = [_shares(mine[arm]) if arm in mine else "" for arm in arms]
        ratios = [a / b for row in mine.values() for a, b in zip(row["loss"], row["loss_mean"], strict=True) if b]
        lines.append((f"`{case}`", *shares, number(float(np.mean(ratios)) if ratios else nan, 2)))
    spreads = [np.mean([value for row in rows if row["arm"] == arm for value in row["spread"]]) for arm in arms]
    lines.append(("*spread, levels of 255*", *(number(255 * float(spread), 1) for spread in spreads), ""))
    return markdown_table(head, lines)


def _shares(row: Row) -> str:
    """Return how far the minimiser is from the mean, and from the nearest scene, relative to the posterior's spread."""
    names = [name for name in ("moved", "scene_distance") if row.get(name)]
    shares = ([a / b for a, b in zip(row[name], row["spread"], strict=True) if b] for name in names)
    return ", ".join(percent(float(np.mean(each or [nan]))) for each in shares)


def _power(value: float) -> str:
    return f"{value:.1e}" if value == value else ""
