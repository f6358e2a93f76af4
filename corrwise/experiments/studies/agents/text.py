"""What rows of trained agents say: a table of final distances, paired by seed, and the curves of learning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corrwise.experiments.report.markdown import markdown_table
from corrwise.experiments.runs.atomic import write_aside
from corrwise.experiments.report.statistics import mean_and_error, mean_curve, paired_difference, paired_ratio

__all__ = ["agent_table", "draw_curves"]

Row = dict[str, Any]
_BASELINES = {"reward": "l1", "hindsight": "random"}


def agent_table(rows: Sequence[Row]) -> str:
    """Return a line for each lesson and what was learned from: final distance, and the paired gain on the baseline."""
    head = ("lesson", "learned from", "agents", "ends at", "nearer than the baseline by", "as a ratio", "minutes each")
    lines = []
    for lesson, arms in _by_arm(rows).items():
        base = arms.get(_BASELINES.get(lesson, ""), {})
        for arm, mine in arms.items():
            both = sorted(mine.keys() & base.keys()) if arm != _BASELINES.get(lesson) else []
            pair = [base[seed]["final"] for seed in both], [mine[seed]["final"] for seed in both]
            mean, error = mean_and_error([row["final"] for row in mine.values()])
            spread = f" ± {error:.2f}" if len(mine) > 1 else ""
            minutes = np.mean([row["seconds"] for row in mine.values()]) / 60
            lines.append((
                lesson, f"`{arm}`", str(len(mine)), f"{mean:.2f}{spread}", paired_difference(*pair).said(".2f"),
                paired_ratio(*pair).said(".2f"), f"{minutes:.1f}",
            ))  # fmt: skip
    return markdown_table(head, lines) + "\n"


def draw_curves(path: Path, rows: Sequence[Row]) -> None:
    """Draw a picture for each lesson: the distance at the end of an episode over the control steps learned from."""
    from matplotlib.figure import Figure

    lessons = _by_arm(rows)
    if not lessons:
        return
    figure = Figure(figsize=(5 * len(lessons), 3.6), layout="constrained")
    for axis, (lesson, arms) in zip(figure.subplots(1, len(lessons), squeeze=False)[0], lessons.items(), strict=True):
        for i, (arm, mine) in enumerate(arms.items()):
            curves = [row["curve"] for row in mine.values()]
            steps = max((row["steps"] for row in mine.values()), key=len)
            if len(steps) == 1:
                axis.axhline(mean_curve(curves)[0], color="0.5", linestyle="--", label=arm)
                continue
            for row in mine.values():
                axis.plot(row["steps"], np.array(row["curve"], dtype=float), color=f"C{i}", linewidth=0.6, alpha=0.4)
            axis.plot(steps, mean_curve(curves), color=f"C{i}", linewidth=2, label=arm)
        axis.set(title=lesson, xlabel="control steps learned from", ylim=(0, None))
        axis.legend(frameon=False)
    figure.axes[0].set_ylabel("state distance at the end, m and rad")
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=110)


def _by_arm(rows: Sequence[Row]) -> dict[str, dict[str, dict[int, Row]]]:
    """Return the rows by lesson, by what was learned from, and by seed."""
    found: dict[str, dict[str, dict[int, Row]]] = {}
    for row in rows:
        found.setdefault(row["lesson"], {}).setdefault(row["arm"], {})[row["seed"]] = row
    return found
