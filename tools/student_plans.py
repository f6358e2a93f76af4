"""The table of docs/results/motion/plans: what plans by few-step students keep of their teacher's gain, in what time.

python -m tools.student_plans
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from corrwise.experiments.report.table import markdown_table
from corrwise.experiments.runs.rows import KEY, Row, read_rows
from tools.denoiser_plans import COLUMNS, distance_cells
from tools.results_table import RESULTS, filled

FOLDER = RESULTS / "motion" / "plans"
TEACHER, WITH_STILL = "teacher-cool-16", "teacher-1"  # what shares are of; the run that has episodes without action
STILL = "zero-action"
RUNS: Mapping[str, str] = {
    "teacher-cool-16": "teacher, 16 evaluations, temperature of 0.1",
    "teacher-16": "the same with a temperature of 1",
    "teacher-cold-16": "the same with a temperature of 0.01",
    "teacher-1": "teacher, 1 evaluation",
    "student-3": "student, `shifted:shift=5`, 3 evaluations",
    "student-1": "student, `shifted:shift=5`, 1 evaluation",
    "student-cool-1": "the same with a temperature of 0.1",
    "student-20-3": "student, `shifted:shift=20`, 3 evaluations",
    "student-20-cool-3": "the same with a temperature of 0.1",
    "student-20-cold-3": "the same with a temperature of 0.01",
    "student-20-1": "student, `shifted:shift=20`, 1 evaluation",
    "student-20-cool-1": "the same with a temperature of 0.1",
    "student-20-cold-1": "the same with a temperature of 0.01",
    "student-80-cool-3": "student, `shifted:shift=80`, 3 evaluations, temperature of 0.1",
    "student-80-1": "the same with 1 evaluation and a temperature of 1",
}
PLANS = 10  # of an episode of 40 steps, a new one every 4


def plans_table() -> str:
    """Return a line for each run, with the share of the teacher's gain over no action, and its seconds a plan."""
    runs = {name: read_rows(FOLDER / name / "rows.jsonl", KEY) for name in RUNS}
    still = [row for row in runs[WITH_STILL] if row["cost"] == STILL]
    runs = {name: [row for row in rows if row["cost"] != STILL] for name, rows in runs.items()}
    lines = [(RUNS[name], *_cells(rows, still, runs[TEACHER])) for name, rows in runs.items()]
    lines.append(("no action", *_cells(still, still, runs[TEACHER])))
    head = [cell for name in COLUMNS for cell in (name, "share")]
    return markdown_table(("predictor", *head, "seconds a plan", "of the teacher's"), lines)


def _cells(rows: Sequence[Row], still: Sequence[Row], teacher: Sequence[Row]) -> list[str]:
    cells = distance_cells(rows, still, teacher)
    if rows is still:
        return [*cells, "", ""]
    seconds, base = (float(np.mean([row["seconds"] for row in each])) / PLANS for each in (rows, teacher))
    return [*cells, f"{seconds:.2f}", f"{seconds / base:.0%}"]


if __name__ == "__main__":
    page = FOLDER / "README.md"
    page.write_text(filled(page.read_text(), {"plans": plans_table()}))
