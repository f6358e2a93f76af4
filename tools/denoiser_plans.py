"""The table of docs/results/flow-matching/plans: what plans by denoisers keep of the oracle's gain over no action.

python -m tools.denoiser_plans
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from corrwise.experiments.report.statistics import mean_and_error
from corrwise.experiments.report.table import markdown_table
from corrwise.experiments.runs.rows import KEY, Row, read_rows
from corrwise.experiments.studies.planning import gap_closed
from tools.results_table import RESULTS, filled

FOLDER = RESULTS / "flow-matching" / "plans"
COLUMNS = {"last 10 steps, m": "last10_distance", "nearest, m": "min_distance"}
MODELS: Mapping[str, Sequence[str]] = {
    "denoiser, continued: mean of three models": ["continued/0", "continued/1", "continued/2"],
    "first model": ["continued/0"],
    "second model": ["continued/1"],
    "third model": ["continued/2"],
    "regression, continued: one model": ["continued/regression"],
    "denoiser: mean of three models": ["denoiser-1", "seeds/1", "seeds/2"],
    "regression: one model": ["regression-1"],
    "wider denoiser: one model": ["denoiser-wide-1"],
    "denoiser, 2 evaluations: one model": ["denoiser-2"],
}


def plans_table() -> str:
    """Return a line for each predictor, with the share of the oracle's gain and its interval over episodes."""
    bounds = _rows("oracle")
    oracle, still = ([row for row in bounds if (row["cost"] == "zero-action") is zero] for zero in (False, True))
    runs = {"oracle (the simulator)": oracle}
    runs |= {name: mean_rows([_rows(folder) for folder in folders]) for name, folders in MODELS.items()}
    lines = [(name, *distance_cells(rows, still, oracle)) for name, rows in runs.items()]
    head = [cell for name in COLUMNS for cell in (name, "share")]
    return markdown_table(("predictor", *head), [*lines, ("no action", *distance_cells(still, still, oracle))])


def mean_rows(models: Sequence[Sequence[Row]]) -> list[Row]:
    """Return the rows of one model, or of each episode that all models have the mean distances over models."""
    by_seed = [{row["seed"]: row for row in rows} for rows in models]
    seeds = sorted(set.intersection(*(set(rows) for rows in by_seed)))
    return [
        {"seed": seed} | {name: float(np.mean([rows[seed][name] for rows in by_seed])) for name in COLUMNS.values()}
        for seed in seeds
    ]


def _rows(folder: str) -> list[Row]:
    return read_rows(FOLDER / folder / "rows.jsonl", KEY)


def distance_cells(rows: Sequence[Row], still: Sequence[Row], best: Sequence[Row]) -> list[str]:
    """Return the distances of a run, each with its share of the gain of ``best`` over no action, ``still``."""
    cells = []
    for column in COLUMNS.values():
        mean, error = mean_and_error([row[column] for row in rows])
        share = "" if rows is still or rows is best else gap_closed(rows, still, best, column)[0].text(".0%")
        cells += [f"{mean:.2f} ± {error:.2f}", share]
    return cells


if __name__ == "__main__":
    page = FOLDER / "README.md"
    page.write_text(filled(page.read_text(), {"plans": plans_table()}))
