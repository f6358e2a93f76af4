"""``corrwise table ablations``: one choice changed at a time, beside the choice that was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from corrwise.experiments.markdown import markdown_table
from corrwise.experiments.options.ablations import METHOD_NAMES, AblationTableConfig
from corrwise.experiments.options.mpc import TASK_NAMES
from corrwise.experiments.planning.ablations import AXES, COSTS, variants
from corrwise.experiments.planning.grid import KEY, Cell, current_rows, run_grid
from corrwise.experiments.planning.manifest import draw_manifest, empty_manifest
from corrwise.experiments.planning.methods import METHODS, OURS
from corrwise.experiments.planning.table_text import by_method, mpc_table, paired
from corrwise.experiments.records.atomic import write_bytes_atomic
from corrwise.experiments.records.rows import read_rows
from corrwise.experiments.stats import mean_and_error, paired_difference
from corrwise.experiments.summary import seconds_of

__all__ = ["ablation_page", "ablation_table", "run_ablation_table"]

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
    run_grid(config.out, cells, workers=config.workers, lockstep=config.lockstep)
    table = config.out / "table.md"
    write_bytes_atomic(table, ablation_page(read_rows(config.out / "rows.jsonl", KEY), config.episodes).encode())
    return table


def ablation_page(rows: Sequence[Row], episodes: int) -> str:
    """Return the tables of all axes that a folder has rows of, whichever command made them.

    What has fewer episodes than these is left out, and so are rows of other settings than a variant has now.
    """
    tried = {**METHODS, **{name: each for axis in AXES for name, each in variants(axis, METHOD_NAMES)}}
    none = {task: empty_manifest(task) for task in sorted({row["task"] for row in rows})}
    there = sorted({(row["task"], row["method"]) for row in rows if row["method"] in tried})
    prints = {(task, name): Cell(name, replace(tried[name], task=task), none[task]).fingerprint for task, name in there}
    rows = current_rows(rows, prints)
    counts = Counter((row["task"], row["method"]) for row in rows)
    rows = [row for row in rows if counts[row["task"], row["method"]] >= episodes]
    rows.sort(key=lambda row: TASK_NAMES.index(row["task"]))
    chosen = mpc_table(row for row in rows if row["method"] in METHODS)
    seeds = sorted({row["seed"] for row in rows}) or [0]
    said = f"# Each choice changed alone\n\nTuning episodes, seeds {seeds[0]} to {seeds[-1]}. What was chosen:\n\n"
    return f"{said}{chosen}\nNearer by: than the line in bold.\n\n{ablation_table(rows, AXES, METHOD_NAMES)}"


def ablation_table(rows: Sequence[Row], axes: Sequence[str], methods: tuple[str, ...]) -> str:
    """Return a table for each axis: a line per variant, with what it gains on the choice made, paired by episode.

    Variants without rows are left out, and so are tasks on which none was tried.
    """
    every = by_method(rows)
    parts = []
    for axis in axes:
        every_name = [name for name, _ in variants(axis, methods)]
        tasks = {task: mine for task, mine in every.items() if any(name in mine for name in every_name)}
        names = [name for name in every_name if any(name in mine for mine in tasks.values())]
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
