"""``corrwise table mpc``: every method on the same frozen episodes, tabulated and drawn (the paper's Table A3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from corrwise._writing import write_aside
from corrwise.costs.spec import RECOMMENDED
from corrwise.envs.tasks.manifest import frozen_manifest
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.cli.options import CONTROL_NAMES, TASK_NAMES
from corrwise.experiments.cli.table_mpc import METHOD_NAMES, MPCTableConfig
from corrwise.experiments.report.statistics import (
    Estimate,
    iqm,
    mean_and_error,
    mean_curve,
    paired_difference,
    paired_ratio,
    share_nearer,
)
from corrwise.experiments.report.summary import planned_rows, rejection_warnings, seconds_of
from corrwise.experiments.report.table import markdown_table, write_table
from corrwise.experiments.runs.executors import Executor, executor_of
from corrwise.experiments.runs.grid import METHOD, Cell, run_grid

PLAIN = MPCConfig(costs=("l1",), videos=False)
BASELINE, OURS = "l1", RECOMMENDED  # what the others are compared with, and the default cost
SCALED, REGULARIZED = "corr-l1:flow=all-pairs", "corr-l1:flow=all-pairs,form=reg"  # the paper's two forms
BOUND, CEILING = "exact-flow", "state"  # upper-bound controls
METHODS = METHOD_NAMES  # each is the text of its cost
TASK_PLANNERS: Mapping[str, Mapping[str, Any]] = MappingProxyType(  # where tuning episodes favour another than PLAIN's
    {"ant": MappingProxyType({"planner": "icem", "horizon": 8})}
)

# Controls without an image cost are grey or black, the bounds of exact flow purple.
_CONTROL_STYLE = {
    "zero-action": ("0.6", "--"),
    "random-action": ("0.6", ":"),
    "state": ("black", "-."),
    "exact-flow": ("C4", "--"),
    "exact-flow-squared": ("C4", ":"),
}
_HEAD = (
    "task", "method", "n", "last 10", "last 10: L1 / this", "nearest", "IQM", "L1 / this", "nearer than L1",
    "gap to state closed", "gap to exact flow closed", "s a plan", "simulate / render / flow / rest",
)  # fmt: skip

Row = dict[str, Any]
Rows = dict[str, list[Row]]


def method_config(method: str, task: str) -> MPCConfig:
    """Return the configuration of a method, the canonical text of a cost; the planner is the same for all on a task."""
    return replace(PLAIN, costs=(method,), task=task, **TASK_PLANNERS.get(task, {}))


def cells_of(config: MPCTableConfig) -> list[Cell]:
    """Return a cell for each task and method, on the first episodes of the task's manifest."""
    first = {task: frozen_manifest(task).part(slice(config.episodes)) for task in config.tasks}
    return [
        Cell(method, replace(method_config(method, task), device=config.device), first[task])
        for task in config.tasks
        for method in config.methods
    ]


def run_mpc_table(config: MPCTableConfig) -> Path:
    """Run what the folder does not hold yet, and return the table's path.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        ValueError: a task has changed since its episodes were frozen.
    """

    def drawn(rows: list[Row]) -> str:
        draw_table(config.out / "table.png", rows)
        return mpc_table(rows)

    executor = executor_of(config.where, config.processes, config.out)
    return run_planning_table(config.out, cells_of(config), drawn, executor=executor, lockstep=config.lockstep)


def run_planning_table(
    out: Path, cells: Sequence[Cell], tables: Callable[[list[Row]], str], *, executor: Executor, lockstep: int
) -> Path:
    """Run what a folder does not hold yet of these cells, and return the path of the table of their planned episodes.

    Args:
        out: the folder.
        cells: what to run.
        tables: the page, from the rows of planned episodes.
        executor: runs the episodes.
        lockstep: episodes of a cell that step together.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
    """
    rows = run_grid(out, cells, executor=executor, lockstep=lockstep)

    def page() -> tuple[str, list[str]]:
        return tables(planned_rows(rows, METHOD)), rejection_warnings(rows, METHOD)

    return write_table(out, page)


def mpc_table(rows: Iterable[Row]) -> str:
    """Return one line per task and method; ratios and shares are paired by episode, with 95 % bootstrap intervals.

    A tie counts half. A share of a gap that may be none is left out, and so is an empty column.
    """
    lines = [(task, *_cells(name, methods)) for task, methods in by_method(rows).items() for name in in_order(methods)]
    kept = [i for i, _ in enumerate(_HEAD) if not lines or any(line[i] for line in lines)]
    return markdown_table([_HEAD[i] for i in kept], [[line[i] for i in kept] for line in lines])


def by_method(rows: Iterable[Row]) -> dict[str, Rows]:
    """Return the rows of each task by method; tasks in the order of the command line, others at the end."""
    tasks: dict[str, Rows] = {name: {} for name in TASK_NAMES}
    for row in rows:
        tasks.setdefault(row["task"], {}).setdefault(row["method"], []).append(row)
    return {task: methods for task, methods in tasks.items() if methods}


def in_order(methods: Iterable[str]) -> list[str]:
    """Return the methods in the order of the command line, others at the end."""
    return sorted(methods, key=lambda name: METHODS.index(name) if name in METHODS else len(METHODS))


def paired(column: str, *runs: Sequence[Row]) -> list[list[float | None]]:
    """Return a column of each run on the episodes that all of them have."""
    values = [{row["seed"]: row.get(column) for row in rows} for rows in runs]
    seeds = sorted(set.intersection(*(set(each) for each in values)))
    return [[each[seed] for seed in seeds] for each in values]


def gap_closed(
    ours: Sequence[Row], baseline: Sequence[Row], bound: Sequence[Row], column: str = "min_distance"
) -> tuple[Estimate, int]:
    """Return (baseline - ours) / (baseline - bound) of the mean distances on the episodes that all three have.

    1 is what the bound reaches with the same planner, 0 what the baseline does. With a paired bootstrap interval, and
    the number of episodes.
    """
    near, least, most = (np.array(each, dtype=float) for each in paired(column, ours, baseline, bound))
    return paired_ratio(least - near, least - most), int(np.isfinite(near + least + most).sum())


def gap_is_clear(baseline: Sequence[Row], bound: Sequence[Row], column: str = "min_distance") -> bool:
    """Return whether bound and baseline differ for sure, so that a share of the gap between them means anything."""
    whole = paired_difference(*paired(column, baseline, bound))
    return whole.low != whole.low or whole.excludes_zero  # one episode has no interval


def _cells(name: str, methods: Rows) -> list[str]:
    mine, l1, plain = methods[name], methods.get(BASELINE, []), name == BASELINE
    nearest = [row["min_distance"] for row in mine]
    seconds = seconds_of(mine)
    rest = seconds["predict"] + seconds["plan"] + seconds["other"]
    share = share_nearer(*reversed(paired("min_distance", l1, mine)))
    return [
        f"*{name}*" if name in CONTROL_NAMES else f"`{name}`",
        str(len(mine)),
        f"{mean_and_error([row['last10_distance'] for row in mine])[0]:.2f}",
        "1" if plain else paired_ratio(*paired("last10_distance", l1, mine)).text(".2f"),
        f"{mean_and_error(nearest)[0]:.2f}",
        f"{iqm(nearest):.2f}",
        "1" if plain else paired_ratio(*paired("min_distance", l1, mine)).text(".2f"),
        "" if plain or share != share else f"{share:.0%}",
        *(_gap(mine, l1, methods.get(best, [])) for best in (CEILING, BOUND)),
        f"{sum(seconds.values()):.2f}",
        " / ".join(f"{each:.2f}" for each in (seconds["simulate"], seconds["render"], seconds["flow"], rest)),
    ]


def _gap(mine: Sequence[Row], l1: Sequence[Row], best: Sequence[Row]) -> str:
    if not l1 or not best or not gap_is_clear(l1, best):
        return ""
    return gap_closed(mine, l1, best)[0].text(".0%") if mine is not l1 else "0 %"


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


def _over_time(axis: Any, methods: Rows) -> None:
    for i, name in enumerate(in_order(methods)):
        color, dashes = _CONTROL_STYLE.get(name, (f"C{i}", "-"))
        axis.plot(mean_curve([row.get("distances") or [] for row in methods[name]]), label=name, color=color, ls=dashes)
    axis.set(xlabel="control step", ylim=(0, None))


def _in_pairs(axis: Any, methods: Rows) -> None:
    tried = [name for name in (OURS, *METHODS[::-1]) if name in methods]
    other = next((name for name in tried if name != BASELINE and name not in CONTROL_NAMES), None)
    if BASELINE in methods and other is not None:
        l1, ours = paired("min_distance", methods[BASELINE], methods[other])
        axis.scatter(np.array(l1, dtype=float), np.array(ours, dtype=float), s=9, alpha=0.6, linewidths=0)
        most = 1.05 * max((value for value in (*l1, *ours) if value is not None), default=1.0) or 1.0
        axis.plot((0, most), (0, most), color="0.6", linewidth=0.8)
        axis.set(xlim=(0, most), ylim=(0, most), aspect="equal")
        axis.set_ylabel(f"nearest with {other}")
    axis.set_xlabel(f"nearest with {BASELINE}")
