"""``corrwise table mpc``: every method on the same frozen episodes, and who came nearest (the paper's Table A3)."""

from __future__ import annotations

from pathlib import Path

from corrwise._files import reading
from corrwise.experiments.cli.table_mpc import MPCTableConfig
from corrwise.experiments.runs.grid import METHOD, Cell, run_grid
from corrwise.experiments.runs.manifest import frozen_manifest
from corrwise.experiments.studies.planning.methods import method_config
from corrwise.experiments.studies.planning.figures import draw_table
from corrwise.experiments.studies.planning.text import mpc_table
from corrwise.experiments.runs.atomic import RunFolderError, write_bytes_atomic
from corrwise.experiments.report.rejected import planned_rows, quoted, refusals, warn

__all__ = ["cells_of", "run_mpc_table"]


def run_mpc_table(config: MPCTableConfig) -> Path:
    """Run what the folder does not hold yet, and return the table's path.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        ValueError: a task has changed since its episodes were frozen.
    """
    cells = cells_of(config)
    rows = run_grid(config.out, cells, workers=config.workers, lockstep=config.lockstep)
    table = config.out / "table.md"
    with reading(config.out / "rows.jsonl", "holds rows that no table can be made of", RunFolderError):
        refused, rows = refusals(rows, METHOD), planned_rows(rows, METHOD)
        draw_table(config.out / "table.png", rows)
        page = quoted(refused) + mpc_table(rows)
    warn(refused)
    write_bytes_atomic(table, page.encode())
    return table


def cells_of(config: MPCTableConfig) -> list[Cell]:
    """Return what the table is made of: each task with each method, the first episodes of the task's manifest."""
    first = {task: frozen_manifest(task).part(slice(config.episodes)) for task in config.tasks}
    return [
        Cell(method, method_config(method, task), first[task]) for task in config.tasks for method in config.methods
    ]
