"""What the report shows of one task: the table's lines, the plot and a card per episode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corrwise.experiments.report.images import Pictures, local_file
from corrwise.experiments.report.plot import Series, curve_points, distance_plot
from corrwise.experiments.report.strip import ROWS
from corrwise.experiments.report.summary import CONTROLS, Method, Summary, summarize
from corrwise.experiments.report.table import table_rows, term_rows
from corrwise.experiments.report.words import ENOUGH_PAIRS, decimals_for, number, result_sentence

__all__ = ["task_view"]

Row = dict[str, Any]
COLORS = 8  # as many as style.css has
UNITS = "m and rad"


def task_view(rows: Sequence[Row], baseline: str, pictures: Pictures) -> dict[str, Any]:
    """Return what the template draws for the rows of one task."""
    lines = summarize(rows, baseline=baseline)
    names = _names(lines)
    styles = _styles(lines, baseline)
    curves: dict[tuple[str, str], list[Series]] = {(names[m], styles[m]): [] for m in names}
    for row in rows:
        curves[names[_method(row)], styles[_method(row)]].append(row.get("distances") or [])
    seeds = sorted({row["seed"] for row in rows})
    decimals = decimals_for(lines)
    return {
        "name": rows[0]["task"],
        "sentence": result_sentence(lines, baseline=baseline),
        "lines": table_rows(lines, names, styles, decimals=decimals, baseline=baseline),
        "terms": term_rows(lines, names, styles),
        "compared": any(line.pairs for line in lines),
        "few": any(0 < line.pairs < ENOUGH_PAIRS for line in lines),
        "warnings": [
            *_left_out(rows),
            *(said for line in lines if (said := line.refused.sentence(names[_method_of(line)]))),
        ],
        "plot": distance_plot(curves),
        "units": rows[0].get("unit") or UNITS,
        "decimals": decimals,
        "cards": [
            _card([r for r in rows if r["seed"] == seed], list(names), names, styles, decimals, pictures)
            for seed in seeds
        ],
    }


def _left_out(rows: Sequence[Row]) -> list[str]:
    """Return a sentence about what the images of these episodes do not show, if there is any."""
    parts = dict.fromkeys(part for row in rows for part in row.get("left_out") or [])
    return [f'The images leave out {", ".join(parts)}; renderer="gl" draws it all'] if parts else []


def _method(row: Row) -> Method:
    return row["task"], row["cost"], row["planner"], row["predictor"]


def _method_of(line: Summary) -> Method:
    return line.task, line.cost, line.planner, line.predictor


def _names(lines: Sequence[Summary]) -> dict[Method, str]:
    """Name methods by their cost, and by planner and predictor only where the cost alone is ambiguous."""
    costs = [line.cost for line in lines]
    return {
        _method_of(ln): ln.cost if costs.count(ln.cost) == 1 else f"{ln.cost} ({ln.planner}, {ln.predictor})"
        for ln in lines
    }


def _styles(lines: Sequence[Summary], baseline: str) -> dict[Method, str]:
    """Give the baseline the first colour, the other methods the next ones, the controls a muted dash each."""
    styles, used = {}, 0
    for ln in lines:
        if ln.control:
            style = f"control c{CONTROLS.index(ln.cost)}"
        elif ln.cost == baseline:
            style = "m0"
        else:
            used += 1
            style = f"m{(used - 1) % (COLORS - 1) + 1}"
        styles[_method_of(ln)] = style
    return styles


def _card(
    rows: list[Row],
    order: list[Method],
    names: dict[Method, str],
    styles: dict[Method, str],
    d: int,
    pictures: Pictures,
) -> Row:
    """One episode: every method on the same start and goal, on one clock and one distance scale."""
    rows = sorted(rows, key=lambda row: order.index(_method(row)))
    distances = [row.get("distances") or [] for row in rows]
    top = max((x for series in distances for x in series if x is not None), default=1.0) or 1.0
    strips: list[Row] = []
    for row, series in zip(rows, distances, strict=True):
        panels = [str(name) for name in row.get("panels") or ROWS]
        strips.append(
            {
                "name": names[_method(row)],
                "style": styles[_method(row)],
                "panels": panels,
                "picture": pictures.get(row.get("strip"), len(panels)),
                "flow": bool(row.get("seconds_flow")),  # a cost that estimated none has none to show
                "video": local_file(pictures.out, row.get("video")),
                "curve": curve_points(series, top=top * 1.06),
                "distances": [None if x is None else round(x, 4) for x in series],
                "nearest": number(_float(row.get("min_distance")), d),
            }
        )
    steps = max((strip["picture"].steps for strip in strips if strip["picture"]), default=0)
    start = number(_float(rows[0].get("start_distance")), d)
    return {"seed": rows[0]["seed"], "start": start, "strips": strips, "steps": steps, "top": round(top * 1.06, 4)}


def _float(x: Any) -> float:
    return float("nan") if x is None else float(x)
