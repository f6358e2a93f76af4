"""``corrwise table ablations``: one choice changed at a time, beside the choice that was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from corrwise.experiments.markdown import markdown_table
from corrwise.experiments.options.ablations import AblationTableConfig
from corrwise.experiments.planning.ablations import COSTS, variants
from corrwise.experiments.planning.grid import Cell, run_grid
from corrwise.experiments.planning.manifest import draw_manifest
from corrwise.experiments.planning.methods import METHODS, OURS
from corrwise.experiments.planning.table_text import by_method, paired
from corrwise.experiments.records.atomic import write_bytes_atomic
from corrwise.experiments.stats import mean_and_error, paired_difference
from corrwise.experiments.summary import seconds_of

__all__ = ["ablation_table", "run_ablation_table"]

Row = dict[str, Any]
Rows = dict[str, list[Row]]
_CHOSEN = {"epsilon": "corr-l1", "regulariser": "corr-l1-reg"}  # what a variant of a cost is compared with; else ours


def run_ablation_table(config: AblationTableConfig) -> Path:
    """Run what the folder does not hold yet, and return the table's path.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
    """
    seeds = [config.seed + i for i in range(config.episodes)]
    named = [pair for axis in config.axes for pair in variants(axis, config.methods)]
    compared = [_chosen(axis, method) for axis in config.axes for method in config.methods]
    chosen = dict.fromkeys([*config.methods, *compared])
    named = [*((method, METHODS[method]) for method in chosen), *named]
    cells = []
    for task in config.tasks:
        manifest = draw_manifest(task, seeds)
        cells += [Cell(name, replace(each, task=task), manifest) for name, each in named]
    rows = run_grid(config.out, cells, workers=config.workers, lockstep=config.lockstep)
    table = config.out / "table.md"
    write_bytes_atomic(table, ablation_table(rows, config.axes, config.methods).encode())
    return table


def ablation_table(rows: Sequence[Row], axes: Sequence[str], methods: tuple[str, ...]) -> str:
    """Return a table for each axis: a line per variant, with what it gains on the choice made, paired by episode.

    Variants without rows are left out.
    """
    tasks = by_method(rows)
    parts = []
    for axis in axes:
        names = [name for name, _ in variants(axis, methods) if any(name in task for task in tasks.values())]
        lines = []
        for chosen in dict.fromkeys(_chosen(axis, method) for method in methods):
            mine = [name for name in names if axis in COSTS or name.startswith(f"{chosen} ")]
            lines += [_line(name, chosen, tasks) for name in (chosen, *mine) if mine]
        head = ["variant", *(f"{task}{column}" for task in tasks for column in ("", ", nearer by", ", s"))]
        parts += [f"### {axis}\n\n{markdown_table(head, lines)}"] if lines else []
    return "\n\n".join(parts) + "\n"


def _line(name: str, chosen: str, tasks: Mapping[str, Rows]) -> list[str]:
    cells = [_cells(task.get(name, []), task.get(chosen, []), name == chosen) for task in tasks.values()]
    return [f"**{name}**" if name == chosen else name, *(cell for each in cells for cell in each)]


def _chosen(axis: str, method: str) -> str:
    """Return the method of the planning table that a variant along this axis departs from."""
    return _CHOSEN.get(axis, OURS) if axis in COSTS else method


def _cells(mine: Sequence[Row], chosen: Sequence[Row], itself: bool) -> list[str]:
    """Return the mean nearest distance, how much nearer than the choice made that is, and seconds of a plan."""
    if not mine:
        return ["", "", ""]
    nearest = mean_and_error([row["min_distance"] for row in mine])[0]
    gain = paired_difference(*paired("min_distance", chosen, mine))
    spread = f" ({gain.low:+.2f} to {gain.high:+.2f})" if gain.low == gain.low else ""
    said = "" if itself or gain.value != gain.value else f"{gain.value:+.2f}{spread}"
    return [f"{nearest:.2f}", said, f"{sum(seconds_of(mine).values()):.2f}"]
