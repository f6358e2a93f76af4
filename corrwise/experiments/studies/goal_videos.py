"""``corrwise table goals``: how near an agent is to key frames at their times, by what it follows between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from corrwise.envs import TASKS
from corrwise.envs.physics import Physics
from corrwise.envs.tasks.goals import sample_path
from corrwise.envs.tasks.manifest import Manifest, draw_manifest
from corrwise.envs.tasks.metric import split_state
from corrwise.experiments.cli.mpc import GOAL_CONTROLS, MPCConfig
from corrwise.experiments.cli.options import cost_label
from corrwise.experiments.cli.table_goals import ARM_NAMES, GoalPlans, GoalTableConfig
from corrwise.experiments.report.statistics import mean_and_error, paired_difference, share_nearer
from corrwise.experiments.report.table import markdown_table
from corrwise.experiments.runs.executors import executor_of
from corrwise.experiments.runs.grid import Cell
from corrwise.experiments.studies.planning import Row, Rows, by_method, paired, run_planning_table

ARM = "half-flow"  # what the others are compared with
SWING_STEPS, SWING = 24, np.pi  # control steps and radians of the pole's way; a path with less is no swing
LABELS: Mapping[str, str] = MappingProxyType(
    {
        "last": "*last key frame alone*",
        "next": "*next key frame, held*",
        "true": "*true images of the path* (privileged)",
    }
)
_KEY = "key_distance"  # mean over an episode's key frames


def run_goal_table(config: GoalTableConfig) -> Path:
    """Run what the folder does not hold yet, and return the table's path.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
    """
    executor = executor_of(config.where, config.processes, config.out)
    return run_planning_table(config.out, cells_of(config), goal_tables, executor=executor, lockstep=config.lockstep)


def cells_of(config: GoalTableConfig) -> list[Cell]:
    """Return a cell for each task, arm and cost, all of a task on the same episodes."""
    cells = []
    for task in config.tasks:
        manifest = swinging_manifest(config, task)
        for arm in config.arms:
            for cost in config.costs:
                each = goal_plan(config, task, cost, goal_frames=config.goal_frames, interpolator=arm)
                cells.append(Cell(f"{arm}, {cost_label(cost)}", each, manifest))
    return cells


def swinging_manifest(config: GoalPlans, task: str) -> Manifest:
    """Return the episodes of a task: starts and hidden paths."""
    return draw_manifest(task, list(islice(swinging(task, config.seed), config.episodes)))


def goal_plan(config: GoalPlans, task: str, cost: str, **options: Any) -> MPCConfig:
    """Return the configuration of plans towards goals of key frames, with these options besides."""
    return MPCConfig(
        task=task, costs=(cost,), size=config.size, horizon=config.horizon, candidates=config.candidates,
        iterations=config.iterations, aggregate=config.aggregate, device=config.device, **options,
    )  # fmt: skip


def swinging(task: str, first: int) -> Iterator[int]:
    """Yield the seeds from ``first`` on that are measured: of a body with a pole, those in which it swings.

    That is a path of at least ``SWING_STEPS`` control steps on which the pole turns by ``SWING`` in all, back and forth
    counted. Of bodies without a pole, all seeds.
    """
    model = TASKS[task].compile()
    physics = Physics(model, TASKS[task].frame_skip)
    for seed in count(first):
        if not task.startswith("cartpole"):
            yield seed
            continue
        path = sample_path(TASKS[task], physics, np.random.default_rng(seed))
        pole = split_state(model, path)[0][:, 1]
        if len(path) > SWING_STEPS and np.abs(np.diff(pole)).sum() >= SWING:
            yield seed


def goal_tables(rows: Iterable[Row]) -> str:
    """Return a table for each task and cost, see ``arms_table``."""
    parts = []
    for task, methods in by_method(rows).items():
        for cost in dict.fromkeys(row["cost"] for mine in methods.values() for row in mine):
            arms = {arm_of(name): mine for name, mine in methods.items() if mine[0]["cost"] == cost}
            parts.append(f"### {task}, `{cost}`\n\n{arms_table(arms)}")
    return "\n".join(parts)


def arm_of(method: str) -> str:
    """Return what is followed, from the method of a row."""
    return method.partition(",")[0]


def arms_table(arms: Rows) -> str:
    """Return a line for each arm, from rows with ``key_distances``; with its cost where costs differ.

    The mean distance to the key frames at their times, how much larger that is than half-flow's (paired by episode,
    with the 95 % bootstrap interval), the share of episodes in which half-flow is nearer, the distance at each key
    time, and the mean over the last ten steps and the smallest of the distances to the last key frame.
    """
    arms = {name: [{**row, _KEY: _over_keys(row)} for row in mine] for name, mine in arms.items()}
    keys = max(len(row["key_distances"]) for mine in arms.values() for row in mine)
    costs = len({row["cost"] for mine in arms.values() for row in mine}) > 1
    head = ("followed", *(["cost"] if costs else []), "n", "key frames", "minus half-flow (95 %)", "half-flow nearer",
            *(f"key {i + 1}" for i in range(keys)), "last 10 steps", "nearest", "s")  # fmt: skip
    lines = []
    for name in sorted(arms, key=ARM_NAMES.index):
        label, *rest = _line(name, arms[name], arms.get(ARM, []), keys)
        lines.append([label, *([f"`{arms[name][0]['cost']}`"] if costs else []), *rest])
    return markdown_table(head, lines)


def _over_keys(row: Row) -> float:
    """Return the mean distance to the key frames; NaN of an episode that ended before the first of them."""
    return float(np.mean(row["key_distances"])) if row["key_distances"] else float("nan")


def _line(name: str, mine: Sequence[Row], reference: Sequence[Row], keys: int) -> list[str]:
    mean, error = mean_and_error([row[_KEY] for row in mine])
    compared = ["", ""]
    if reference and name != ARM:
        pairs = paired(_KEY, mine, reference)
        compared = [paired_difference(*pairs).text("+.3f"), f"{share_nearer(*reversed(pairs)):.0%}"]
    at_keys = [_mean(each["key_distances"][i] for each in mine if i < len(each["key_distances"])) for i in range(keys)]
    ends = [_mean(row[column] for row in mine) for column in ("last10_distance", "min_distance")]
    label = LABELS[name] if name in GOAL_CONTROLS else f"**{name}**" if name == ARM else name
    return [label, str(len(mine)), f"{mean:.3f} ± {error:.3f}", *compared, *at_keys, *ends,
            f"{sum(row['seconds'] for row in mine) / len(mine):.1f}"]  # fmt: skip


def _mean(values: Iterable[float]) -> str:
    return f"{mean_and_error(list(values))[0]:.3f}"
