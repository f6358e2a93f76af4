"""Planning with a flow: the share of the gap between pixel L1 and exact flow that it closes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from corrwise.costs import CostSpec
from corrwise.envs.tasks.manifest import empty_manifest
from corrwise.experiments.cli.options import BODY_NAMES, spec_of
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

Row = dict[str, Any]


def _cell(rows: list[Row], baseline: list[Row], bound: list[Row]) -> str:
    """Return the share of the gap, or both differences where the gap may be zero; "" without common seeds."""
    gap, n = gap_closed(rows, baseline, bound)
    if not n or gap.value != gap.value:
        return ""
    if not gap_is_clear(baseline, bound):
        near, baseline_, bound_ = paired("min_distance", rows, baseline, bound)
        whole, gained = paired_difference(baseline_, bound_), paired_difference(baseline_, near)
        return f"nearer by {gained.text('.2f')}, exact flow by {whole.text('.2f')}, n = {n}"
    return f"{gap.text('.0%')}, n = {n}"


def planning_cells(
    rows: Sequence[Row], forms: Mapping[str, str], networks: Mapping[str, str | None]
) -> dict[tuple[str, str], str]:
    """Return a cell on planning with each flow, by (flow, body), from rows of ``corrwise table ablations``.

    Only rows of the flow's recommended cost (``forms``: form by flow) with the current settings of their method and the
    network of ``networks`` (by flow) are used.
    """
    there = {(row["task"], row["method"]) for row in rows}
    tried = []
    for body in sorted({task for task, _ in there} & {*BODY_NAMES}, key=BODY_NAMES.index):
        manifest = empty_manifest(body)
        configs = [*((name, method_config(name, body)) for name in METHODS), *variants("flow", body)]
        tried += [Cell(name, each, manifest) for name, each in configs if (body, name) in there]
    tasks = by_method(current_rows(rows, {(cell.config.task, cell.method): cell.fingerprint for cell in tried}))
    cells: dict[tuple[str, str], str] = {}
    for cell in tried:
        made, body = tasks.get(cell.config.task, {}), cell.config.task
        flow = spec.flow if (spec := spec_of(cell.cost)) else ""
        recommended = bool(flow) and spec == CostSpec("l1", flow, forms.get(flow, "scaled"))
        if recommended and cell.method in made and cell.settings["network"] == networks.get(flow):
            text = _cell(made[cell.method], made.get(BASELINE, []), made.get(BOUND, []))
            cells[flow, body] = cells.get((flow, body)) or text
    return {key: cell for key, cell in cells.items() if cell}
