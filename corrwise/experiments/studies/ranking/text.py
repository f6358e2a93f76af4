"""What the rows of a ranking say, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from corrwise.experiments.runs.fields import COUNT, NUMBER, TEXT, TEXT_BY_NAME, Key, needed
from corrwise.experiments.report.statistics import paired_difference, paired_ratio

__all__ = ["KEY", "ranking_key", "ranking_table"]

KEY = Key(  # what identifies a row of this table
    {"task": str, "cost": str, "flow": str, "seed": int},
    {
        **dict.fromkeys(("correlation", "correlation_exact", "distance"), needed(NUMBER, null=True)),
        **dict.fromkeys(("distance_elites", "distance_exact", "distance_state"), needed(NUMBER, null=True)),
        **dict.fromkeys(("sets", "rejected", "scored", "plans_rejected"), COUNT),
        **{"network": TEXT, "versions": TEXT_BY_NAME},
    },
)

Row = dict[str, Any]


def ranking_key(row: Row) -> tuple[str, str, str, int]:
    """Return what identifies a row: (task, cost, flow, seed)."""
    task, cost, flow, seed = (row[name] for name in KEY)
    return task, cost, flow, seed


def ranking_table(rows: Iterable[Row]) -> str:
    """Return one line per task, cost and flow, and the bounds: exact flow's and the true distance's own ranking.

    *Elites* is how much nearer to the goal the cheapest fifth of the candidates are than all of them, as a share of
    what exact flow's cheapest fifth are: 100 % is exact flow, 0 % a draw by lot.
    """
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in {ranking_key(row): row for row in rows}.values():
        groups.setdefault((row["task"], row["cost"], row["flow"]), []).append(row)
    lines = ["| task | cost | flow | episodes | rank correlation | elites |", "|---|---|---|---|---|---|"]
    for task in dict.fromkeys(task for task, _, _ in groups):
        mine = {key: group for key, group in groups.items() if key[0] == task}
        for (_, cost, flow), group in mine.items():
            lines.append(_line(task, f"`{cost}`", flow, group, "correlation", "distance_elites"))
        largest = max(mine.values(), key=len)
        lines.append(_line(task, "*exact-flow*", "", largest, "correlation_exact", "distance_exact"))
        lines.append(_line(task, "*state*", "", largest, "", "distance_state"))
    return "\n".join(lines) + "\n"


def _line(task: str, cost: str, flow: str, rows: list[Row], correlation: str, elites: str) -> str:
    zeros = [0.0] * len(rows)
    ranked = paired_difference([row[correlation] for row in rows], zeros).said(".2f") if correlation else "1.00"
    gains, bounds = ([_gain(row, name) for row in rows] for name in (elites, "distance_exact"))
    return f"| {task} | {cost} | {flow} | {len(rows)} | {ranked} | {paired_ratio(gains, bounds).said('.0%')} |"


def _gain(row: Row, name: str) -> float | None:
    """Return how much nearer some candidates are than all of them; None where the row does not say."""
    return None if row["distance"] is None or row[name] is None else row["distance"] - row[name]
