"""Print how arms of ``corrwise table predictors`` differ from any one of them, paired by clip.

    python -m tools.paired_arms docs/results/training-losses resnet3d-corr-l1:flow=dis

The table of the command compares each arm with its pixel-wise twin; this one compares all with the arm that is named.
Columns are the metrics of ``corrwise evaluate`` and, where there are rows, the measures of
``tools/predicted_bodies.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from corrwise.experiments.report.statistics import paired_difference
from corrwise.experiments.report.table import markdown_table
from corrwise.experiments.runs.rows import Row, read_rows
from corrwise.experiments.studies.predictors.evaluation import clip_means, metrics_of
from corrwise.experiments.studies.predictors.table import held_frames
from tools.predicted_bodies import KEY, MEASURES, ROWS


def paired_arms(folder: Path, baseline: str, task: str = "cartpole") -> str:
    """Return a table of the means of each arm, and of what it has more of than ``baseline``, each with its interval.

    Raises:
        ValueError: the folder has no rows of ``baseline``.
    """
    bodies = {(row["weights"], row["window"]): row for row in read_rows(folder / ROWS, KEY)}
    arms: dict[str, list[Row]] = {}
    for row in held_frames(folder)[task]:
        name = row["model"] if row["model"] == "copy-last" else row["model"].rpartition("-")[0]
        arms.setdefault(name, []).append(row | bodies.get((row["weights"], row["window"]), {}))
    if baseline not in arms:
        raise ValueError(f"expected one of {', '.join(arms)} as baseline, got {baseline}")
    rows = [row for mine in arms.values() for row in mine]
    columns = [*metrics_of(rows), *(name for name in MEASURES if all(name in row for row in rows))]
    lines = [(f"`{arm}`", *_cells(mine, arms[baseline], columns)) for arm, mine in arms.items()]
    head = [cell for name in columns for cell in (name, f"more than {baseline}")]
    return markdown_table(["arm", *head], lines)


def _cells(mine: list[Row], other: list[Row], columns: list[str]) -> Iterator[str]:
    for name in columns:
        one, two = clip_means(mine, name), clip_means(other, name)
        clips = sorted(one.keys() & two.keys())
        yield f"{sum(one.values()) / len(one):.3f}"
        yield "" if mine is other else paired_difference([one[c] for c in clips], [two[c] for c in clips]).text("+.3f")


if __name__ == "__main__":
    print(paired_arms(Path(sys.argv[1]), sys.argv[2]))
