"""What rows of frames and plans say of two losses: tables, paired by window and seed, and by episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from corrwise.experiments.planning.table_text import by_method, gap_closed, paired
from corrwise.experiments.stats import mean_and_error, paired_difference
from corrwise.experiments.summary import seconds_of
from corrwise.experiments.video.metrics import METRICS

__all__ = ["predictor_tables"]

Row = dict[str, Any]


def predictor_tables(frames: Mapping[str, Sequence[Row]], plans: Sequence[Row]) -> str:
    """Return two tables: of predicted frames, and of the plans made with them."""
    parts = ["### Frames", "", _frames_table(frames)]
    if plans:
        parts += ["", "### Plans", "", _plans_table(plans)]
    return "\n".join(parts) + "\n"


def _frames_table(frames: Mapping[str, Sequence[Row]]) -> str:
    head = [
        "task",
        "model and loss",
        "models",
        *METRICS,
        *(f"{name}: more than the pixel-wise twin" for name in METRICS),
    ]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for task, rows in frames.items():
        arms: dict[str, dict[tuple[str, int], Row]] = {}
        for row in rows:
            arm, _, seed = row["model"].rpartition("-") if row["model"] != "copy-last" else ("copy-last", "", "0")
            arms.setdefault(arm, {})[seed, row["window"]] = row
        for arm, mine in arms.items():
            twin = arms.get(arm.replace("-corr-", "-").removesuffix("-reg"), {}) if "-corr-" in arm else {}
            both = sorted(mine.keys() & twin.keys())
            cells = [task, f"`{arm}`", str(len({seed for seed, _ in mine}))]
            for name in METRICS:
                cells.append("{:.3f} ± {:.3f}".format(*mean_and_error([_mean(row[name]) for row in mine.values()])))
            for name in METRICS:
                pair = [_mean(mine[key][name]) for key in both], [_mean(twin[key][name]) for key in both]
                cells.append(paired_difference(*pair).said("+.3f"))
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _plans_table(rows: Sequence[Row]) -> str:
    head = (
        "task",
        "predictor",
        "n",
        "nearest",
        "of the oracle's gain kept",
        "nearer than the pixel-wise twin by",
        "s a plan",
    )
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for task, methods in by_method(rows).items():
        for name, mine in methods.items():
            floor, oracle = methods.get("zero-action", []), methods.get("oracle", [])
            kept = gap_closed(mine, floor, oracle)[0].said(".0%") if floor and oracle and name != "zero-action" else ""
            twin = methods.get(name.replace("-corr-", "-").removesuffix("-reg"), []) if "-corr-" in name else []
            nearer = paired_difference(*paired("min_distance", twin, mine)).said(".2f") if twin else ""
            nearest = mean_and_error([row["min_distance"] for row in mine])[0]
            seconds = f"{sum(seconds_of(mine).values()):.2f}"
            lines.append(
                "| " + " | ".join((task, f"`{name}`", str(len(mine)), f"{nearest:.2f}", kept, nearer, seconds)) + " |"
            )
    return "\n".join(lines)


def _begun(*head: str) -> list[str]:
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]


def _mean(values: Sequence[float | None]) -> float:
    """Return the mean over the steps in which something has moved."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else float("nan")
