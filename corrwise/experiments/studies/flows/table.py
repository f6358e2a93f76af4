"""``corrwise table flows``: errors, loss curves and speed of each flow; rows, a table and pictures in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tqdm import tqdm

from corrwise._files import reading
from corrwise.experiments.studies.flows.bench import FlowBench, Job
from corrwise.experiments.studies.flows.figures import draw_curves, draw_matches
from corrwise.experiments.studies.flows.text import KEY, RowKey, flow_row_key, table_page
from corrwise.experiments.cli.mpc import BODY_NAMES
from corrwise.experiments.cli.table import FlowTableConfig
from corrwise.experiments.runs.atomic import RunFolderError, write_bytes_atomic
from corrwise.experiments.runs.lock import only_run
from corrwise.experiments.runs.rows import append_row, claim_folder, open_rows, read_rows
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.runs.versions import check_versions, versions

__all__ = ["run_flow_table"]

_FREE = ("flows", "bodies", "measures", "retime")  # these never change a row

Row = dict[str, Any]


def run_flow_table(config: FlowTableConfig) -> Path:
    """Measure what the folder does not hold yet, and return the table's path.

    Each row is written as soon as it is measured, so a run that is killed continues with the same command. Rows of a
    flow whose weights or numbers have changed since are measured anew; of rows with the same key the last counts.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, RuntimeError, ValueError: weights that were asked for cannot be had.
    """
    bench = FlowBench(config)  # missing files must fail before anything is written
    for sentence in bench.absent.values():
        print(sentence)
    with only_run(config.out):
        file = config.out / "rows.jsonl"
        claim_folder(config.out, settings_of(config), ignore=_FREE, key=KEY)
        rows = open_rows(file, KEY)
        check_versions(config.out, rows)
        done = {flow_row_key(row): row for row in rows}
        with tqdm([job for job in bench.jobs() if _wanted(job, done, config)], unit="row") as bar:
            for job in bar:
                bar.set_description(" ".join(part for part in job.key if part))
                append_row(file, _row(job))
        return _write_results(config, bench)


def _wanted(job: Job, done: dict[RowKey, Row], config: FlowTableConfig) -> bool:
    row = done.get(job.key)
    if row is None or (config.retime and row["kind"] == "speed"):
        return True
    return row.get("network") != job.network or row.get("settings") != job.settings


def _row(job: Job) -> Row:
    named = dict(zip(KEY, job.key, strict=True))
    return {**named, **job.measure(), "network": job.network, "settings": job.settings, "versions": versions()}


def _write_results(config: FlowTableConfig, bench: FlowBench) -> Path:
    file = config.out / "rows.jsonl"
    rows = read_rows(file, KEY)
    with reading(file, "holds rows that no table can be made of", RunFolderError):
        write_bytes_atomic(config.out / "table.md", table_page(rows).encode())
        draw_curves(config.out / "curves.png", rows)
    scenes = [bench.scenes[body] for body in config.bodies if body in BODY_NAMES]
    draw_matches(config.out / "matches.png", scenes, bench.flows)
    return config.out / "table.md"
