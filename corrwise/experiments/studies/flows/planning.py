"""What planning with a flow reaches: how much of the gap between pixel L1 and exact flow it closes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from corrwise.costs import CostSpec
from corrwise.envs.tasks.manifest import empty_manifest
from corrwise.experiments.cli.cost import spec_of
from corrwise.experiments.cli.options import BODY_NAMES
from corrwise.experiments.report.statistics import paired_difference
from corrwise.experiments.runs.grid import Cell, current_rows
from corrwise.experiments.studies.ablations import variants
from corrwise.experiments.studies.planning import (
    BASELINE,
    BOUND,
    METHODS,
    by_method,
    gap_closed,
    gap_is_clear,
    method_config,
    paired,
)

__all__ = ["gap_closed", "planning_cells"]

Row = dict[str, Any]


def _cell(ours: list[Row], floor: list[Row], bound: list[Row]) -> str:
    """Return the share of the gap, or where the gap itself may be none, what either gains; "" without common seeds."""
    gap, n = gap_closed(ours, floor, bound)
    if not n or gap.value != gap.value:
        return ""
    if not gap_is_clear(floor, bound):
        near, floor_, bound_ = paired("min_distance", ours, floor, bound)
        whole, gained = paired_difference(floor_, bound_), paired_difference(floor_, near)
        return f"nearer by {gained.text('.2f')}, exact flow by {whole.text('.2f')}, n = {n}"
    return f"{gap.text('.0%')}, n = {n}"


def planning_cells(
    rows: Sequence[Row], forms: Mapping[str, str], networks: Mapping[str, str | None]
) -> dict[tuple[str, str], str]:
    """Return what rows of ``corrwise table ablations`` say of planning with each flow, by (flow, body).

    Of every flow its recommended cost counts (``forms``: form by flow). Rows made with other settings than these
    methods have now are left out, and so are those of another network than ``networks`` (by flow) names.
    """
    tried = [
        Cell(name, each, empty_manifest(body))
        for body in BODY_NAMES
        for name, each in [*((name, method_config(name, body)) for name in METHODS), *variants("flow", body)]
    ]
    tasks = by_method(current_rows(rows, {(cell.config.task, cell.method): cell.fingerprint for cell in tried}))
    cells: dict[tuple[str, str], str] = {}
    for cell in tried:
        made, body = tasks.get(cell.config.task, {}), cell.config.task
        flow = spec.flow if (spec := spec_of(cell.cost)) else ""
        recommended = bool(flow) and spec == CostSpec("l1", flow, forms.get(flow, "scaled"))
        if recommended and cell.method in made and cell.settings["network"] == networks.get(flow):
            said = _cell(made[cell.method], made.get(BASELINE, []), made.get(BOUND, []))
            cells[flow, body] = cells.get((flow, body)) or said
    return {key: cell for key, cell in cells.items() if cell}
