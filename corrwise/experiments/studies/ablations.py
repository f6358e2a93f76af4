"""``corrwise table ablations``: one choice changed at a time, beside the choice that was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from corrwise.envs.tasks.manifest import draw_manifest, empty_manifest
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.cli.options import Device
from corrwise.experiments.cli.table_ablations import METHOD_NAMES, AblationTableConfig
from corrwise.experiments.report.statistics import mean_and_error, paired_difference
from corrwise.experiments.report.summary import planned_rows, rejection_warnings, seconds_of
from corrwise.experiments.report.table import markdown_table, write_table
from corrwise.experiments.runs.executors import executor_of
from corrwise.experiments.runs.grid import KEY, METHOD, Cell, current_rows, run_grid
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.studies.planning import (
    BASELINE,
    METHODS,
    OURS,
    REGULARIZED,
    SCALED,
    Row,
    Rows,
    by_method,
    method_config,
    mpc_table,
    paired,
)

_ALONE: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "planner": ("random", "cem", "icem", "mppi"),
        "horizon": (4, 6, 8, 12, 16),
        "candidates": (24, 96),
        "aggregate": ("sum", "last-times-k", "min"),
        "size": (32, 96),
        "supersample": (2,),
    }
)
SHARED: Mapping[str, Mapping[str, Mapping[str, Any]]] = MappingProxyType(  # tried for every method
    {
        **{axis: {str(value): {axis: value} for value in values} for axis, values in _ALONE.items()},
        "planner-horizon": {  # a short plan may ask for another planner
            f"{planner} {horizon}": {"planner": planner, "horizon": horizon}
            for planner in ("cem", "icem", "mppi")
            for horizon in _ALONE["horizon"]
        },
    }
)
COSTS: Mapping[str, Mapping[str, str]] = MappingProxyType(  # options of a cost, each compared with _CHOSEN
    {
        "flow": {
            "zero, scaled": "corr-l1:flow=zero",
            "dis, scaled": "corr-l1:flow=dis",
            "dis medium, scaled": "corr-l1:flow=dis,preset=medium",
            "affine, regularised": "corr-l1:flow=affine,form=reg",
            "homography, regularised": "corr-l1:flow=homography,form=reg",
            "all-pairs, scaled": SCALED,
            "all-pairs, regularised": REGULARIZED,
            "rigid, displacement": "corr-l1:flow=rigid,form=disp",
            "learned, scaled": "corr-l1",
            "learned, regularised": "corr-l1:form=reg",
        },
        "epsilon": {f"{epsilon:g}": f"{SCALED},epsilon={epsilon:g}" for epsilon in (0.0, 0.2, 0.5)},
        "regulariser": {
            f"x {times:g}": f"{REGULARIZED},magnitude={4.5 * times},gradient={2.25 * times}" for times in (0.25, 4.0)
        },
        "displacement": {f"{weight:g}": f"corr-l1:form=disp,displacement={weight:g}" for weight in (0.01, 1.0)},
        "power": {"1": "corr-l1:form=disp,displacement=1,power=1"},
        "occlusion": {f"{weight:g}": f"corr-l1:form=disp,occlusion={weight:g}" for weight in (0.0, 2.0, 20.0)},
    }
)
AXES = (*SHARED, *COSTS)


_CHOSEN = {"epsilon": SCALED, "regulariser": REGULARIZED}  # what a variant of a cost is compared with; else OURS


def names(axis: str, methods: tuple[str, ...]) -> list[str]:
    """Return the names of all variants along an axis, whatever the task."""
    if axis in COSTS:
        return [f"{axis} {value}" for value in COSTS[axis]]
    return [f"{method} {axis} {value}" for method in methods for value in SHARED[axis]]


def variants(axis: str, task: str, methods: tuple[str, ...] = (BASELINE, OURS)) -> Iterator[tuple[str, MPCConfig]]:
    """Yield name and configuration of each variant of a task along an axis, without the choices that are the default.

    Axes of the planner and the image vary each method, and names begin with the method. Axes of the cost vary the cost
    alone, and names begin with the axis.
    """
    if axis in COSTS:
        yield from ((f"{axis} {value}", method_config(cost, task)) for value, cost in COSTS[axis].items())
        return
    for method in methods:
        chosen = method_config(method, task)
        for value, changed in SHARED[axis].items():
            if all(getattr(chosen, option) != value for option, value in changed.items()):
                yield f"{method} {axis} {value}", replace(chosen, **changed)


def run_ablation_table(config: AblationTableConfig) -> Path:
    """Run what the folder does not hold yet, and return the table's path.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
    """
    seeds = [config.seed + i for i in range(config.episodes)]
    compared = [_chosen(axis, method) for axis in config.axes for method in config.methods]
    chosen = dict.fromkeys([*config.methods, *compared])
    cells = []
    for task in config.tasks:
        manifest = draw_manifest(task, seeds)
        named = [(method, method_config(method, task)) for method in chosen]
        named += [pair for axis in config.axes for pair in variants(axis, task, config.methods)]
        cells += [Cell(name, replace(each, device=config.device), manifest) for name, each in named]
    executor = executor_of(config.where, config.processes, config.out)
    run_grid(config.out, cells, executor=executor, lockstep=config.lockstep)

    def page() -> tuple[str, list[str]]:
        rows = read_rows(config.out / "rows.jsonl", KEY)
        planned = planned_rows(rows, METHOD)
        return ablation_page(planned, config.episodes, device=config.device), rejection_warnings(rows, METHOD)

    return write_table(config.out, page)


def ablation_page(rows: Sequence[Row], episodes: int, *, device: Device = "cpu") -> str:
    """Return the tables of all axes that a folder has rows of.

    Variants with fewer episodes are left out, and so are rows whose settings, the device included, are no longer those
    of the variant.
    """
    rows = current_rows(rows, _fingerprints({(row["task"], row["method"]) for row in rows}, device))
    counts = Counter((row["task"], row["method"]) for row in rows)
    rows = [row for row in rows if counts[row["task"], row["method"]] >= episodes]
    chosen = mpc_table(row for row in rows if row["method"] in METHODS)
    seeds = sorted({row["seed"] for row in rows}) or [0]
    planners = "; ".join(f"{task} {_planner(task)}" for task in by_method(rows))
    head = f"# Each choice changed alone\n\nTuning episodes, seeds {seeds[0]} to {seeds[-1]}."
    lines = f"What was chosen ({planners}):\n\n{chosen}\nNearer by: than the line in bold."
    return f"{head} {lines}\n\n{ablation_table(rows, AXES, METHOD_NAMES)}"


def ablation_table(rows: Sequence[Row], axes: Sequence[str], methods: tuple[str, ...]) -> str:
    """Return a table for each axis: a line per variant, with what it gains on the choice made, paired by episode.

    Variants without rows are left out, and so are tasks on which none was tried.
    """
    every = by_method(rows)
    parts = []
    for axis in axes:
        tried = {task: [name for name, _ in variants(axis, task, methods)] for task in every}
        tasks = {task: mine for task, mine in every.items() if any(name in mine for name in tried[task])}
        present = [name for name in names(axis, methods) if any(name in mine for mine in tasks.values())]
        lines = []
        for chosen in dict.fromkeys(_chosen(axis, method) for method in methods):
            mine = [name for name in present if axis in COSTS or name.startswith(f"{chosen} ")]
            lines += [_line(name, chosen, tasks) for name in (chosen, *mine) if mine]
        head = ["variant", *(f"{task}{column}" for task in tasks for column in ("", ", nearer by", ", s"))]
        parts += [f"### {axis}\n\n{markdown_table(head, lines)}"] if lines else []
    return "\n".join(parts) or "\n"


def _fingerprints(there: Collection[tuple[str, str]], device: Device) -> dict[tuple[str, str], str]:
    """Return the fingerprints that rows of these tasks and methods would have now; unknown names are left out."""
    prints: dict[tuple[str, str], str] = {}
    for task in sorted({task for task, _ in there}):
        tried = {method: method_config(method, task) for method in METHODS}
        tried |= {name: each for axis in AXES for name, each in variants(axis, task, METHOD_NAMES)}
        mine = {name: replace(each, device=device) for name, each in tried.items() if (task, name) in there}
        cells = [Cell(name, each, empty_manifest(task)) for name, each in mine.items()]
        prints |= {(task, cell.method): cell.fingerprint for cell in cells}
    return prints


def _planner(task: str) -> str:
    config = method_config(OURS, task)
    return f"{config.planner}, {config.horizon} steps"


def _line(name: str, chosen: str, tasks: Mapping[str, Rows]) -> list[str]:
    cells = [_cells(task.get(name, []), task.get(chosen, []), name == chosen) for task in tasks.values()]
    return [f"**{name}**" if name == chosen else name, *(cell for each in cells for cell in each)]


def _chosen(axis: str, method: str) -> str:
    """Return the method of the planning table that a variant along this axis departs from."""
    return _CHOSEN.get(axis, OURS) if axis in COSTS else method


def _cells(mine: Sequence[Row], chosen: Sequence[Row], itself: bool) -> list[str]:
    """Return the mean nearest distance, how much smaller than the chosen one's that is, and seconds of a plan."""
    if not mine:
        return ["", "", ""]
    nearest = mean_and_error([row["min_distance"] for row in mine])[0]
    gain = "" if itself else paired_difference(*paired("min_distance", chosen, mine)).text("+.2f")
    return [f"{nearest:.2f}", gain, f"{sum(seconds_of(mine).values()):.2f}"]
