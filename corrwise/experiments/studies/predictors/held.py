"""What a folder of ``corrwise table predictors`` holds rows of, whichever commands made them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from corrwise.experiments.cli.mpc import TASK_NAMES
from corrwise.experiments.cli.table_predictors import ARM_NAMES
from corrwise.experiments.runs.grid import KEY as PLANS_KEY
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.studies.predictors.evaluate import KEY as FRAMES_KEY

__all__ = ["held_frames", "held_plans"]

_ORDER = ("zero-action", "oracle", "copy-last", *ARM_NAMES)  # in the order of the command

Row = dict[str, Any]


def held_frames(folder: Path) -> dict[str, list[Row]]:
    """Return the rows of predicted frames by task: of each model those of its newest weights."""
    frames = {}
    for task in TASK_NAMES:
        rows = read_rows(folder / "frames" / task / "rows.jsonl", FRAMES_KEY)
        newest = {row["model"]: row["weights"] for row in rows}
        mine = [row for row in rows if newest[row["model"]] == row["weights"]]
        if mine:
            frames[task] = sorted(mine, key=lambda row: _place(row["model"].rpartition("-")[0]))
    return frames


def held_plans(folder: Path) -> list[Row]:
    """Return the newest rows of the plans, under the name that the models of an arm share."""
    rows = read_rows(folder / "plans" / "rows.jsonl", PLANS_KEY)
    newest = {(row["task"], row["method"]): row["settings"] for row in rows}
    rows = [row for row in rows if newest[row["task"], row["method"]] == row["settings"]]
    arms = {row["method"]: row["method"].rpartition("-")[0] for row in rows}
    rows = [{**row, "method": arms[row["method"]]} if arms[row["method"]] in ARM_NAMES else row for row in rows]
    return sorted(rows, key=lambda row: (_task(row["task"]), _place(row["method"])))


def _task(name: str) -> int:
    return TASK_NAMES.index(name) if name in TASK_NAMES else len(TASK_NAMES)


def _place(name: str) -> int:
    """Return where a line stands: twins side by side, whichever was run first, and what is no arm at the end."""
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)
