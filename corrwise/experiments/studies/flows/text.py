"""The tables of flows in Markdown, made from rows alone; free of torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from corrwise.experiments.cli.mpc import BODY_NAMES
from corrwise.experiments.cli.table import BODIES, COMPARED
from corrwise.experiments.runs.rows import NUMBER, NUMBERS, SWITCH, TEXT, TEXT_BY_NAME, Key, Row

__all__ = [
    "BASELINE",
    "KEY",
    "MISSING",
    "RowKey",
    "bodies_table",
    "check_table",
    "flow_row_key",
    "flows_table",
    "table_page",
]


def _uneven(row: Row) -> str | None:
    """Return what is wrong with the curve of a row; rows of other kinds have none."""
    if row["kind"] != "curve":
        return None
    counts = {name: len(row.get(name) or ()) for name in ("offsets", "loss", "error")}
    if len(set(counts.values())) > 1 or not counts["loss"]:
        return f"expected as many offsets as losses and errors in a curve, got {counts}"
    whole = None not in row["offsets"] and None not in row["loss"]
    return None if whole else "expected numbers as offsets and loss of a curve, got null among them"


KEY = Key(  # what identifies a row of this table
    {"kind": str, "flow": str, "body": str, "variant": str},
    {
        **dict.fromkeys(("epe_", "marked_", "relative_", "displacement_", "ms_per_pair"), NUMBER),
        **dict.fromkeys(("loss", "offsets", "error"), NUMBERS),
        **dict.fromkeys(("weights", "reason", "network"), TEXT),
        **{"differentiable": SWITCH, "versions": TEXT_BY_NAME},
    },
    also=_uneven,
)
RowKey = tuple[str, str, str, str]
BASELINE = "none"  # the flow of a curve that matches nothing
MISSING = "missing"  # the kind of a row that says why a flow has no others
BANDS = ("0_2", "2_8", "8_32")  # displacement, pixels

Index = Mapping[RowKey, Row]


def flow_row_key(row: Row) -> RowKey:
    """Return what identifies a row: (kind, flow, body, variant)."""
    kind, flow, body, variant = (row[name] for name in KEY)
    return kind, flow, body, variant


def flows_table(rows: Iterable[Row], planning: Mapping[tuple[str, str], str] | None = None) -> str:
    """Return one line per flow: errors, mean of the three tasks' bodies; time, gradient, weights and planning.

    Args:
        rows: of ``corrwise table flows``; of rows with the same key the last counts.
        planning: what to say of planning with (flow, body); None leaves the columns out.
    """
    index = _index(rows)
    names = ["flow", "EPE 0-2 px", "2-8 px", "8-32 px", "share of 8-32 px", "ms, CPU", "ms, GPU", "gradient", "weights"]
    lines = []
    for flow in _flows(index):
        mean = {name: _mean(index, flow, name) for name in (*(f"epe_{band}" for band in BANDS), "relative_8_32")}
        cells = [f"`{flow}`", *(_number(mean[f"epe_{band}"]) for band in BANDS), _share(mean["relative_8_32"])]
        cells += [_number(index.get(("speed", flow, "humanoid", d), {}).get("ms_per_pair")) for d in ("cpu", "cuda")]
        facts = _facts(index, flow)
        cells += ["yes" if facts.get("differentiable") else "no", facts.get("weights") or ""]
        lines.append(cells + [planning.get((flow, body), "") for body in BODY_NAMES if planning is not None])
    planned = [f"gap closed, {body}" for body in BODY_NAMES] if planning is not None else []
    return _markdown(names + planned, lines) if lines else ""


def bodies_table(rows: Iterable[Row], variant: str) -> str:
    """Return one line per flow, one column per body: endpoint errors for 0-2 / 2-8 / 8-32 px, clean or degraded."""
    index = _index(rows)
    bodies = [body for body in BODIES if any(key[::2] == ("error", body) for key in index)]
    lines = []
    for flow in _flows(index):
        errors = [index.get(("error", flow, body, variant), {}) for body in bodies]
        if any(errors):
            lines.append([f"`{flow}`", *(" / ".join(_number(e.get(f"epe_{b}")) for b in BANDS) for e in errors)])
    return _markdown(["flow", *bodies], lines)


def check_table(rows: Iterable[Row]) -> str:
    """Return one line per flow: what its forward-backward check marks, and the error of the rest; 0-2 / 2-8 / 8-32."""
    index = _index(rows)
    lines = []
    for flow in _flows(index):
        cells = [f"`{flow}`"]
        for variant in ("clean", "degraded"):
            cells.append(" / ".join(_share(_mean(index, flow, f"marked_{band}", variant)) for band in BANDS))
            cells.append(" / ".join(_number(_mean(index, flow, f"epe_unmarked_{band}", variant)) for band in BANDS))
        if not all(math.isnan(_mean(index, flow, f"epe_{band}")) for band in BANDS):
            lines.append(cells)
    return _markdown(["flow", "marked", "EPE of the rest", "marked, degraded", "EPE of the rest, degraded"], lines)


def table_page(rows: Iterable[Row]) -> str:
    """Return all tables in one page."""
    rows = list(rows)
    reasons = {row["flow"]: row.get("reason", "") for row in rows if row["kind"] == MISSING}
    absent = [f"`{flow}`: {why}.\n" for flow, why in reasons.items() if not _measured(_index(rows), flow)]
    parts = [
        "# Optical flows\n", "Mean endpoint error in pixels on visible pixels of moving bodies; "
        "time per symmetric pair.\n", flows_table(rows), *absent, "## Clean pairs, 0-2 / 2-8 / 8-32 px\n",
        bodies_table(rows, "clean"), "## Degraded pairs\n", bodies_table(rows, "degraded"),
        "## Forward-backward check\n", check_table(rows),
    ]  # fmt: skip
    return "\n".join(parts)


def _index(rows: Iterable[Row]) -> dict[RowKey, Row]:
    return {flow_row_key(row): row for row in rows}


def _flows(index: Index) -> list[str]:
    """Return the flows in the rows, in the command line's order; the truth has no error to show."""
    present = {key[1] for key in index} - {"exact", BASELINE}
    return [flow for flow in COMPARED if flow in present]


def _measured(index: Index, flow: str) -> bool:
    return any(key[1] == flow and key[0] != MISSING for key in index)


def _facts(index: Index, flow: str) -> Row:
    rows = [index.get(("speed", flow, "humanoid", "cpu")), index.get(("speed", flow, "humanoid", "cuda"))]
    return next((row for row in rows if row), index.get((MISSING, flow, "", ""), {}))


def _mean(index: Index, flow: str, name: str, variant: str = "clean") -> float:
    """Return the mean over the tasks' bodies; NaN unless all of them have the number, for a mean of fewer flatters."""
    values = [index.get(("error", flow, body, variant), {}).get(name) for body in BODY_NAMES]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else math.nan


def _number(value: Any) -> str:
    if value is None or math.isnan(value):
        return ""
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.0%}"


def _markdown(names: list[str], lines: list[list[str]]) -> str:
    rows = [names, ["---"] * len(names), *lines]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in rows)
