"""Weights of the loss over time by time laws: one metric of all denoisers as a grid."""

from __future__ import annotations

from collections.abc import Mapping

from corrwise.experiments.cli.table_flow_matching import Arm
from corrwise.experiments.report.table import markdown_table

__all__ = ["grid_table"]


def grid_table(values: Mapping[str, float], *, digits: int, lower: bool) -> str:
    """Return a table with a row for each weight and a column for each law; "" where it would be a single line.

    Args:
        values: by arm.
        digits: behind the point.
        lower: whether the lowest value is the best, which is in bold; otherwise the highest.
    """
    arms = {
        (arm.weight, arm.law): value
        for text, value in values.items()
        if (arm := Arm.parse(text)).samples_by_flow and arm.predicts == "data"
    }
    weights, laws = (list(dict.fromkeys(key[i] for key in arms)) for i in (0, 1))
    if len(weights) < 2 or len(laws) < 2:
        return ""
    best = (min if lower else max)(arms.values())
    lines = []
    for weight in weights:
        cells = [f"{arms[weight, law]:.{digits}f}" if (weight, law) in arms else "" for law in laws]
        bold = [arms.get((weight, law)) == best for law in laws]
        lines.append(
            [f"`{weight}`", *(f"**{cell}**" if chosen else cell for cell, chosen in zip(cells, bold, strict=True))]
        )
    return markdown_table(["weight", *(f"`{law}`" for law in laws)], lines)
