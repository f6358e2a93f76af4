"""What planning with a flow reaches: how much of the gap between pixel L1 and exact flow it closes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from corrwise.experiments.options.cost import CostConfig
from corrwise.experiments.options.mpc import BODY_NAMES
from corrwise.experiments.planning.ablations import variants
from corrwise.experiments.planning.grid import Cell
from corrwise.experiments.planning.manifest import empty_manifest
from corrwise.experiments.planning.methods import BASELINE, BOUND, METHODS
from corrwise.experiments.stats import Estimate, paired_difference, paired_ratio

__all__ = ["FORM_SUFFIX", "gap_closed", "planning_cells"]

FORM_SUFFIX = {"scaled": "", "reg": "-reg", "edge": "-edge", "both": "-both", "disp": "-disp"}

Row = dict[str, Any]


def gap_closed(ours: list[Row], floor: list[Row], bound: list[Row]) -> tuple[Estimate, int]:
    """Return (L1 - ours) / (L1 - exact flow) of the mean nearest distances on the seeds that all three have.

    1 is what the true flow reaches with the same planner, 0 what pixel L1 does. With the number of seeds, and a paired
    bootstrap interval.
    """
    near, floor_, bound_ = _paired(ours, floor, bound)
    return paired_ratio(floor_ - near, floor_ - bound_), int(np.isfinite(near + floor_ + bound_).sum())


def _paired(*runs: list[Row]) -> list[np.ndarray]:
    """Return each run's nearest distances on the seeds that all runs have; null is NaN."""
    by_seed = [{row["seed"]: row.get("min_distance") for row in rows} for rows in runs]
    seeds = sorted(set.intersection(*(set(each) for each in by_seed)))
    return [np.array([each[seed] for seed in seeds], dtype=float) for each in by_seed]


def _cell(ours: list[Row], floor: list[Row], bound: list[Row]) -> str:
    """Return the share of the gap, or where the gap itself may be none, what either gains; "" without common seeds."""
    gap, n = gap_closed(ours, floor, bound)
    if not n or gap.value != gap.value:
        return ""
    near, floor_, bound_ = _paired(ours, floor, bound)
    whole, gained = paired_difference(floor_, bound_), paired_difference(floor_, near)
    if n > 1 and not whole.excludes_zero:
        return f"nearer by {gained.said('.2f')}, exact flow by {whole.said('.2f')}, n = {n}"
    return f"{gap.said('.0%')}, n = {n}"


def planning_cells(
    rows: Sequence[Row], forms: Mapping[str, str], networks: Mapping[str, str | None]
) -> dict[tuple[str, str], str]:
    """Return what rows of ``corrwise table ablations`` say of planning with each flow, by (flow, body).

    Of every flow its recommended cost counts (``forms``: form by flow). Rows made with other settings than these
    methods have now are left out, and so are those of another network than ``networks`` (by flow) names.
    """
    cells: dict[tuple[str, str], str] = {}
    every = {**METHODS, **dict(variants("flow"))}
    methods = {name: each for name, each in every.items() if each.cost == CostConfig(flow=each.cost.flow)}
    for body in BODY_NAMES:
        mine = [row for row in rows if row["task"] == body]
        cells_of = {name: Cell(name, replace(each, task=body), empty_manifest(body)) for name, each in methods.items()}
        made = {name: _current(mine, cell) for name, cell in cells_of.items()}
        for name, config in methods.items():
            flow = config.cost.flow
            wanted = f"corr-l1{FORM_SUFFIX[forms.get(flow, 'scaled')]}"
            if config.costs == (wanted,) and made[name] and cells_of[name].settings["network"] == networks.get(flow):
                cells[flow, body] = cells.get((flow, body)) or _cell(made[name], made[BASELINE], made[BOUND])
    return {key: cell for key, cell in cells.items() if cell}


def _current(rows: Sequence[Row], cell: Cell) -> list[Row]:
    """Return a method's rows that were made with the settings that it has now."""
    rows = [row for row in rows if row["method"] == cell.method]
    return [row for row in rows if row["settings"] == cell.fingerprint]
