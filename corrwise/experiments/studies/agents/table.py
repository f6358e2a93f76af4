"""``corrwise table agents``: agents that learn from goal pictures; rows, a table and learning curves in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tqdm import tqdm

from corrwise._files import reading
from corrwise.experiments.studies.agents.agents import Lesson, run_lesson
from corrwise.experiments.studies.agents.text import agent_table, draw_curves
from corrwise.experiments.cli.table_agents import AgentTableConfig
from corrwise.experiments.runs.workers import done
from corrwise.experiments.runs.atomic import RunFolderError, write_bytes_atomic
from corrwise.experiments.runs.digits import six_digits
from corrwise.experiments.runs.fields import NUMBER, NUMBERS, TEXT_BY_NAME, Key, needed
from corrwise.experiments.runs.lock import only_run
from corrwise.experiments.runs.rows import append_row, claim_folder, open_rows, read_rows
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.runs.versions import check_versions, versions

__all__ = ["KEY", "run_agent_table"]

Row = dict[str, Any]


def _uneven(row: Row) -> str | None:
    """Return what is wrong with the curve of a row."""
    steps, curve = len(row["steps"]), len(row["curve"])
    return None if steps == curve > 0 else f"expected a distance at each of {steps} steps in curve, got {curve}"


KEY = Key(
    {"lesson": str, "arm": str, "seed": int},
    {
        **{"final": needed(NUMBER, null=True), "seconds": needed(NUMBER)},
        **{"steps": needed(NUMBERS), "curve": needed(NUMBERS), "versions": TEXT_BY_NAME},
    },
    also=_uneven,
)
_FREE = ("lessons", "rewards", "seeds", "hindsight_seeds", "workers")  # these never change a row


def run_agent_table(config: AgentTableConfig) -> Path:
    """Train and judge the agents that the folder does not hold yet, and return the table's path.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
    """
    file = config.out / "rows.jsonl"
    with only_run(config.out):
        claim_folder(config.out, settings_of(config), ignore=_FREE, key=KEY)
        rows = open_rows(file, KEY)
        check_versions(config.out, rows)
        there = {tuple(row[name] for name in KEY) for row in rows}
        jobs = [job for job in _lessons(config) if (job.lesson, job.arm, job.seed) not in there]
        with tqdm(total=len(jobs), unit="agent", desc=config.out.name) as bar:
            for row in done(run_lesson, jobs, config.workers):
                append_row(file, {**{name: six_digits(row[name]) for name in row}, "versions": versions()})
                bar.update()
        rows = read_rows(file, KEY)
    table = config.out / "table.md"
    with reading(file, "holds rows that no table can be made of", RunFolderError):
        draw_curves(config.out / "curves.png", rows)
        write_bytes_atomic(table, agent_table(rows).encode())
    return table


def _lessons(config: AgentTableConfig) -> list[Lesson]:
    """Return all lessons, the agents of one seed together."""
    arms = {"reward": config.rewards, "hindsight": ("random", "hindsight")}
    seeds = {"reward": config.seeds, "hindsight": config.hindsight_seeds}
    return [
        Lesson(lesson, arm, seed, config)
        for lesson in config.lessons
        for seed in range(seeds[lesson])
        for arm in arms[lesson]
    ]
