"""The table of docs/results/motion/plans: what plans by few-step students keep of their teachers' gain over no action.

python -m tools.student_plans
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from corrwise.experiments.report.statistics import mean_and_error, paired_ratio
from corrwise.experiments.report.summary import seconds_of
from corrwise.experiments.report.table import markdown_table
from corrwise.experiments.runs.rows import KEY, Row, read_rows
from corrwise.experiments.studies.planning import gap_closed
from tools.results_table import RESULTS, filled

FOLDER = RESULTS / "motion" / "plans"
COLUMNS = {"last 10 steps, m": "last10_distance", "nearest, m": "min_distance"}
PLAN_EVERY = 4  # steps that a plan is executed for
TEACHER = "teacher, 16 evaluations"
FOLDERS: Mapping[str, str] = {
    TEACHER: "teacher-0-16",
    "student, 1 evaluation": "student-0-1",
    "student, 3 evaluations": "student-0-3",
    "teacher, 1 evaluation": "teacher-0-1",
    "teacher, 3 evaluations": "teacher-0-3",
}


def plans_table() -> str:
    """Return a line for each model: distances, shares of the teacher's gain, and seconds of a plan beside its own."""
    runs = {name: read_rows(FOLDER / folder / "rows.jsonl", KEY) for name, folder in FOLDERS.items()}
    still = [row for rows in runs.values() for row in rows if row["cost"] == "zero-action"]
    planned = {name: [row for row in rows if row["cost"] != "zero-action"] for name, rows in runs.items()}
    teacher = planned[TEACHER]
    head = [cell for name in COLUMNS for cell in (name, "share of the teacher's gain")]
    lines = [(name, *_distances(rows, still, teacher), *_seconds(rows, teacher)) for name, rows in planned.items()]
    lines.append(("no action", *_distances(still, still, teacher), "", ""))
    return markdown_table(("model", *head, "seconds a plan", "of the teacher's"), lines)


def _distances(rows: Sequence[Row], still: Sequence[Row], teacher: Sequence[Row]) -> list[str]:
    cells = []
    for column in COLUMNS.values():
        mean, error = mean_and_error([row[column] for row in rows])
        share = "" if rows is still or rows is teacher else gap_closed(rows, still, teacher, column)[0].text(".0%")
        cells += [f"{mean:.2f} ± {error:.2f}", share]
    return cells


def _seconds(rows: Sequence[Row], teacher: Sequence[Row]) -> list[str]:
    parts = seconds_of(rows)
    theirs = {row["seed"]: _planning(row) for row in teacher}
    shared = [row for row in rows if row["seed"] in theirs]
    ratio = paired_ratio([_planning(row) for row in shared], [theirs[row["seed"]] for row in shared])
    share = "" if rows is teacher else ratio.text(".0%")
    return [f"{PLAN_EVERY * (sum(parts.values()) - parts['other']):.2f}", share]


def _planning(row: Row) -> float:
    parts = seconds_of([row])
    return sum(parts.values()) - parts["other"]


if __name__ == "__main__":
    page = FOLDER / "README.md"
    page.write_text(filled(page.read_text(), {"plans": plans_table()}))
