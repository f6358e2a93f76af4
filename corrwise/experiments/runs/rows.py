"""The run folder's record: rows that only ever grow, and the configuration they belong to.

``rows.jsonl`` is the truth of a run; tables, pictures and reports are derived from it. How it survives being killed:
see ``jsonl``.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from corrwise._files import read_json
from corrwise._writing import RunFolderError, jsonable, refuse_file, write_json_atomic
from corrwise.experiments.runs import jsonl
from corrwise.experiments.runs.config_match import ConfigMismatch, compare_configs
from corrwise.experiments.runs.fields import COUNT, NUMBER, NUMBERS, SWITCH, TEXT, TEXT_BY_NAME, TEXTS
from corrwise.experiments.runs.jsonl import Key, Row, append_row

__all__ = [
    "KEY",
    "MEASURED",
    "ConfigMismatch",
    "RunFolderError",
    "append_row",
    "claim_folder",
    "open_rows",
    "read_rows",
    "row_key",
    "write_json_atomic",
]

MEASURED = {  # what the rows of every kind of planned episode may say
    **{f"{name}_distance{suffix}": NUMBER for name in ("start", "min", "final", "last10") for suffix in ("", "_full")},
    **dict.fromkeys(("residual", "displacement_px", "occluded", "seconds", "seconds_"), NUMBER),
    **dict.fromkeys(("steps", "rejected", "scored", "plans_rejected"), COUNT),
    **{"diverged": SWITCH, "distances": NUMBERS, "versions": TEXT_BY_NAME, "left_out": TEXTS},
    **dict.fromkeys(("network", "predictor_weights"), TEXT),
}
KEY = Key(  # of an episode's row
    {"task": str, "cost": str, "planner": str, "predictor": str, "seed": int},
    {**MEASURED, "strip": TEXT, "video": TEXT, "panels": TEXTS, "unit": TEXT},
)


def row_key(row: Row) -> tuple[str, str, str, str, int]:
    """Return what identifies an episode's row: (task, cost, planner, predictor, seed)."""
    task, cost, planner, predictor, seed = (row[name] for name in KEY)
    return task, cost, planner, predictor, seed


def read_rows(path: Path, key: Key = KEY) -> list[Row]:
    """Return the rows of a file, without a torn last line; see ``jsonl.read_rows``."""
    return jsonl.read_rows(path, key)


def open_rows(path: Path, key: Key = KEY) -> list[Row]:
    """Return the rows of a file that can be appended to; see ``jsonl.open_rows``."""
    return jsonl.open_rows(path, key)


def claim_folder(out: Path, config: Row, *, ignore: Collection[str] = (), key: Key = KEY, begun: bool = False) -> Path:
    """Make ``out`` the folder of ``config``: create it, or check that the rows in it belong to this configuration.

    Args:
        out: the run folder.
        config: anything JSON can hold; nested fields are compared by dotted name (``planner.samples``).
        ignore: fields that may differ (``episodes``, ``costs``), a dotted name or the name of a whole subtree. The file
            is rewritten with their newest values, which also proves that the folder can be written.
        key: what identifies a row of this kind of run.
        begun: whether the folder holds results that are no rows.

    Raises:
        ConfigMismatch: the folder holds rows of another configuration.
        RunFolderError: the folder cannot be written, or its config.json cannot be read.
    """
    out, path = Path(out), Path(out) / "config.json"
    refuse_file(out)
    try:
        old = read_json(path) if path.exists() else None
    except OSError as error:
        raise RunFolderError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise RunFolderError(f"{error}; move it away or choose another output folder") from error
    new = jsonable(config)
    if begun or read_rows(out / "rows.jsonl", key):
        compare_configs(out, {} if old is None else old, new, ignore=ignore)
    elif old is not None and not _ours(old, new):
        raise RunFolderError(f"{path} is not a run's configuration; move it away or choose another output folder")
    write_json_atomic(path, new)
    return out


def _ours(old: Any, new: Row) -> bool:
    """Whether a configuration without rows shares most of its fields with ours, and so may be replaced."""
    return isinstance(old, dict) and 2 * len(old.keys() & new.keys()) >= len(old)
