"""``corrwise table mpc``: every method on the same frozen episodes, and its figures (the paper's Table A3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from corrwise._files import reading
from corrwise._writing import RunFolderError, write_aside, write_bytes_atomic
from corrwise.envs.tasks.manifest import frozen_manifest
from corrwise.experiments.cli.cost import CONTROL_NAMES
from corrwise.experiments.cli.table_mpc import MPCTableConfig
from corrwise.experiments.report.statistics import mean_curve
from corrwise.experiments.report.summary import planned_rows, quoted, rejection_warnings, warn
from corrwise.experiments.runs.executors import executor_of
from corrwise.experiments.runs.mpc import METHOD, Cell, run_grid
from corrwise.experiments.studies.planning.methods import BASELINE, METHODS, OURS, method_config
from corrwise.experiments.studies.planning.tables import by_method, in_order, mpc_table, paired

__all__ = ["cells_of", "draw_table", "run_mpc_table"]

# Grey are those that look at nothing, black what no picture says, purple the bound of all flows.
_CONTROL_STYLE = {
    "zero-action": ("0.6", "--"),
    "random-action": ("0.6", ":"),
    "state": ("black", "-."),
    "exact-flow": ("C4", "--"),
    "exact-flow-squared": ("C4", ":"),
}

Row = dict[str, Any]


def draw_table(path: Path, rows: Iterable[Row]) -> None:
    """Draw a column for each task: mean distance over the control steps above, nearest distances in pairs below."""
    from matplotlib.figure import Figure

    tasks = by_method(rows)
    if not tasks:
        return
    figure = Figure(figsize=(3.4 * len(tasks), 6.4), layout="constrained")
    axes = figure.subplots(2, len(tasks), squeeze=False)
    for column, (task, methods) in zip(axes.T, tasks.items(), strict=True):
        _over_time(column[0], methods)
        column[0].set_title(task)
        _in_pairs(column[1], methods)
    axes[0, 0].set_ylabel("state distance, m and rad")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=110)


def _over_time(axis: Any, methods: dict[str, list[Row]]) -> None:
    for i, name in enumerate(in_order(methods)):
        color, dashes = _CONTROL_STYLE.get(name, (f"C{i}", "-"))
        axis.plot(mean_curve([row.get("distances") or [] for row in methods[name]]), label=name, color=color, ls=dashes)
    axis.set(xlabel="control step", ylim=(0, None))


def _in_pairs(axis: Any, methods: dict[str, list[Row]]) -> None:
    tried = [name for name in (OURS, *list(METHODS)[::-1]) if name in methods]
    other = next((name for name in tried if name != BASELINE and name not in CONTROL_NAMES), None)
    if BASELINE in methods and other is not None:
        l1, ours = paired("min_distance", methods[BASELINE], methods[other])
        axis.scatter(np.array(l1, dtype=float), np.array(ours, dtype=float), s=9, alpha=0.6, linewidths=0)
        known = [value for value in (*l1, *ours) if value is not None]
        most = 1.05 * max(known, default=1.0) or 1.0
        axis.plot((0, most), (0, most), color="0.6", linewidth=0.8)
        axis.set(xlim=(0, most), ylim=(0, most), aspect="equal")
        axis.set_ylabel(f"nearest with {other}")
    axis.set_xlabel(f"nearest with {BASELINE}")


def run_mpc_table(config: MPCTableConfig) -> Path:
    """Run what the folder does not hold yet, and return the table's path.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        ValueError: a task has changed since its episodes were frozen.
    """
    cells = cells_of(config)
    executor = executor_of(config.where, config.processes, config.out)
    rows = run_grid(config.out, cells, executor=executor, lockstep=config.lockstep)
    table = config.out / "table.md"
    with reading(config.out / "rows.jsonl", "holds rows that no table can be made of", RunFolderError):
        refused, rows = rejection_warnings(rows, METHOD), planned_rows(rows, METHOD)
        draw_table(config.out / "table.png", rows)
        page = quoted(refused) + mpc_table(rows)
    warn(refused)
    write_bytes_atomic(table, page.encode())
    return table


def cells_of(config: MPCTableConfig) -> list[Cell]:
    """Return what the table is made of: each task with each method, the first episodes of the task's manifest."""
    first = {task: frozen_manifest(task).part(slice(config.episodes)) for task in config.tasks}
    return [
        Cell(method, replace(method_config(method, task), device=config.device), first[task])
        for task in config.tasks
        for method in config.methods
    ]
