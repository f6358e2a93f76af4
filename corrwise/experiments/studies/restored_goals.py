"""``corrwise table restored-goals``: plans towards goal videos that are clean, damaged, or restored in several ways."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from corrwise.experiments.cli.mpc import INPAINT, MPCConfig
from corrwise.experiments.cli.table_restored_goals import (
    ARM_NAMES,
    CARRIED,
    CLEAN,
    DAMAGED,
    GUIDED,
    INPAINTED,
    SINGLE,
    RestoredGoalTableConfig,
)
from corrwise.experiments.report.statistics import mean_and_error, paired_difference
from corrwise.experiments.report.table import markdown_table, with_error
from corrwise.experiments.runs.damages import stated_damage
from corrwise.experiments.runs.executors import executor_of
from corrwise.experiments.runs.grid import Cell
from corrwise.experiments.studies.goal_videos import goal_plan, swinging_manifest
from corrwise.experiments.studies.planning import Row, by_method, paired, run_planning_table

LABELS: Mapping[str, str] = MappingProxyType(
    {
        CLEAN: "*clean* (upper bound)",
        DAMAGED: "damaged",
        INPAINTED: "inpainted, no model",
        SINGLE: "restored frame by frame",
        CARRIED: "restored, carried noise",
        GUIDED: "**Warped Diffusion**: carried noise, guidance",
    }
)
_COMPARED = (CLEAN, DAMAGED, SINGLE)
_HEAD = ("goal", "n", "last 10 steps", *(f"minus {name} (95 %)" for name in _COMPARED), "nearest", "goal PSNR",
         "s restoring", "s planning")  # fmt: skip


def run_restored_goal_table(config: RestoredGoalTableConfig) -> Path:
    """Run what the folder does not hold yet, and return the table's path.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, ValueError: a model or a damage that cannot be used.
    """
    executor = executor_of(config.where, config.processes, config.out)
    return run_planning_table(
        config.out, cells_of(config), restored_tables, executor=executor, lockstep=config.lockstep
    )


def cells_of(config: RestoredGoalTableConfig) -> list[Cell]:
    """Return a cell for each task, arm and damage, all of a task on the same episodes; the clean goal has one.

    Raises:
        FileNotFoundError, ValueError: a damage that cannot be used.
    """
    small = {text: stated_damage(text).factor > 1 for text in config.damages}
    models = config.models if len(config.models) == len(config.tasks) else config.models * len(config.tasks)
    interpolator = "true" if config.goal_frames else MPCConfig.interpolator
    cells = []
    for i, task in enumerate(config.tasks):
        manifest = swinging_manifest(config, task)
        for damage in config.damages:
            for arm in config.arms:
                if (arm == INPAINTED and small[damage]) or (arm == CLEAN and damage != config.damages[0]):
                    continue
                each = goal_plan(
                    config, task, config.cost, goal_frames=config.goal_frames, interpolator=interpolator,
                    steps=config.steps, **_options(arm, damage, models[i] if models else None, config.guidance),
                )  # fmt: skip
                cells.append(Cell(_method(arm, damage), each, manifest))
    return cells


def _options(arm: str, damage: str, model: Path | None, guidance: float) -> Row:
    """Return the options of ``corrwise mpc`` by which an arm differs from the others."""
    folder: Row = {"damage": damage, "restore": None if model is None else str(model.resolve())}
    options: dict[str, Row] = {
        CLEAN: {},
        DAMAGED: {"damage": damage},
        INPAINTED: {"damage": damage, "restore": INPAINT},
        SINGLE: {**folder, "restore_carrier": "resample", "restore_guidance": 0.0},
        CARRIED: {**folder, "restore_guidance": 0.0},
        GUIDED: {**folder, "restore_guidance": guidance},
    }
    return options[arm]


def restored_tables(rows: Iterable[Row]) -> str:
    """Return a table for each task and damage, the clean goal in each.

    The distance to the goal over the last ten steps; how much larger it is than with the clean goal, the damaged one
    and the one restored frame by frame, paired by episode, with the 95 % bootstrap interval; the smallest distance of
    an episode; the PSNR of the goal against the clean one; and the seconds of an episode.
    """
    parts = []
    for task, methods in by_method(rows).items():
        damages = dict.fromkeys(name.partition(", ")[2] for name in methods if name != CLEAN)
        for damage in damages or ("",):
            arms = {arm: mine for arm in ARM_NAMES if (mine := methods.get(_method(arm, damage)))}
            lines = [_line(arm, arms) for arm in arms]
            parts.append(f"### {task}{', ' if damage else ''}{damage}\n\n{markdown_table(_HEAD, lines)}")
    return "\n".join(parts)


def _method(arm: str, damage: str) -> str:
    return arm if arm == CLEAN else f"{arm}, {damage}"


def _line(name: str, arms: Mapping[str, Sequence[Row]]) -> list[str]:
    mine = arms[name]
    mean, error = mean_and_error([row["last10_distance"] for row in mine])
    compared = []
    for other in _COMPARED:
        shown = other in arms and ARM_NAMES.index(other) < ARM_NAMES.index(name)
        pairs = paired("last10_distance", mine, arms[other]) if shown else None
        compared.append("" if pairs is None else paired_difference(*pairs).text("+.3f"))
    restoring = [row.get("seconds_restore") or 0.0 for row in mine]
    planning = [row["seconds"] - spent for row, spent in zip(mine, restoring, strict=True)]
    quality = "" if name == CLEAN else f"{mean_and_error([row.get('goal_psnr') for row in mine])[0]:.1f}"
    nearest = mean_and_error([row["min_distance"] for row in mine])[0]
    ended = with_error(mean, error, 3)
    return [LABELS[name], str(len(mine)), ended, *compared, f"{nearest:.3f}", quality,
            *(f"{sum(each) / len(mine):.1f}" for each in (restoring, planning))]  # fmt: skip
