"""What planning with a flow reaches: how much of the gap between pixel L1 and exact flow it closes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from corrwise.experiments.options.cost import CostConfig
from corrwise.experiments.planning.mpc import FREE
from corrwise.experiments.planning.named_costs import resolved
from corrwise.experiments.records.rows import read_rows
from corrwise.experiments.stats import Estimate, paired_difference, paired_ratio

__all__ = ["FORM_SUFFIX", "gap_closed", "planning_cells"]

FLOOR, BOUND = "l1", "exact-flow"
FORM_SUFFIX = {"scaled": "", "reg": "-reg", "edge": "-edge", "both": "-both", "disp": "-disp"}

Row = dict[str, Any]

_FREE = ("cost", *FREE)


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
    folder: Path, forms: dict[str, str], networks: Mapping[str, str | None]
) -> dict[tuple[str, str], str]:
    """Return what the runs in a folder's sub-folders say, by (flow, body).

    ``<body>-controls`` holds the rows of ``l1`` and ``exact-flow``; every other sub-folder is a run of ``corrwise mpc``
    with one flow, of which its recommended cost counts (``forms``: form by flow). A run with another planner, budget or
    picture than the controls' is left out: it could not be compared. So is one with other prices than recommended, and
    rows of another network than ``networks`` (by flow) names.

    Raises:
        ValueError: two runs of one flow on one body.
    """
    cells: dict[tuple[str, str], str] = {}
    for config in sorted(folder.glob("*/config.json")):
        if config.parent.name.endswith("-controls"):
            continue
        settings, rows = json.loads(config.read_text()), read_rows(config.with_name("rows.jsonl"))
        body, flow = settings["task"], settings["cost"]["flow"]
        plain = asdict(resolved(CostConfig(flow=flow)))
        if any(settings["cost"].get(name, value) != value for name, value in plain.items()):  # older runs lack options
            continue
        rows = [row for row in rows if row.get("network") == networks.get(flow)]
        controls = _controls(folder / f"{body}-controls", settings)
        wanted = f"corr-l1{FORM_SUFFIX[forms.get(flow, 'scaled')]}"
        floor, bound = ([row for row in controls if row["cost"] == cost] for cost in (FLOOR, BOUND))
        if (flow, body) in cells:
            raise ValueError(f"{folder} holds two runs of {flow} on {body}")
        cell = _cell([row for row in rows if row["cost"] == wanted], floor, bound)
        if cell:
            cells[flow, body] = cell
    return cells


def _controls(folder: Path, settings: Row) -> list[Row]:
    """Return the controls' rows if they were made with the same settings, but for the costs."""
    if not (folder / "config.json").exists():
        return []
    theirs = json.loads((folder / "config.json").read_text())
    same = all(theirs.get(name) == value for name, value in settings.items() if name not in _FREE)
    return read_rows(folder / "rows.jsonl") if same else []
