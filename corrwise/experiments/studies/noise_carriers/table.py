"""``corrwise table noise-carriers``: rows, a table for each motion, and noise drawn along the scene."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from corrwise.experiments.cli.table_noise_carriers import NoiseCarrierTableConfig
from corrwise.experiments.report.table import markdown_table, number, percent, write_table
from corrwise.experiments.runs.executors import Local
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.jobs import Job
from corrwise.experiments.runs.rows import Row, RowKey
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.studies.noise_carriers.drawings import draw_carriers
from corrwise.experiments.studies.noise_carriers.measure import KEY, MotionSubject, carrier_rows
from corrwise.experiments.studies.noise_carriers.motions import motion_names
from corrwise.predictors.restoration import CARRIERS

__all__ = ["noise_carrier_tables", "run_noise_carrier_table"]

FIGURE = "carriers.png"
KEEPS_COVARIANCE = 0.05  # largest difference of a covariance from that of the law
FOLLOWS = 1e-3  # largest difference from the value that a pixel had at its origin


def run_noise_carrier_table(config: NoiseCarrierTableConfig) -> Path:
    """Measure what the folder does not hold yet, draw the figure, and return the path of the table.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
    """
    jobs = []
    for motion in motion_names(config):
        rows: dict[RowKey, Row] = {(name, motion, seed): {} for name in config.carriers for seed in range(config.seeds)}
        steps = len(config.carriers)
        jobs.append(Job(carrier_rows, MotionSubject(motion, config), rows, label=motion, steps=steps))
    with RunFolder(config.out, settings_of(config, "noise-carriers"), KEY, digits=True) as folder:
        rows_of = folder.run(jobs, Local(config.processes), unit="carrier")

        def page() -> tuple[str, list[str]]:
            draw_carriers(config.out / FIGURE, config)
            return noise_carrier_tables(rows_of), _broken_promises(rows_of)

        return write_table(config.out, page)


def noise_carrier_tables(rows: Iterable[Row]) -> str:
    """Return a table for each motion: means over seeds, and the least p-value of them."""
    rows, parts = list(rows), []
    for motion in dict.fromkeys(row["motion"] for row in rows):
        mine = [row for row in rows if row["motion"] == motion]
        shares = f"{percent(_mean(mine, 'traced'))} of the pixels lead back to the first frame"
        error = _mean(mine, "origin_error")
        shares += "" if error is None else f", {number(error)} px from their true origin on average"
        parts.append(f"### {motion}\n\n{shares}.\n\n{_table(mine)}")
    return "\n".join(parts)


def _table(rows: Sequence[Row]) -> str:
    head = (
        *("noise", "variance", "Moran's I", "expected", "z", "K-S p (least)", "covariance off by", "on the grid"),
        *("repeated", "differs from its origin", "correlation with it", "ms a frame"),
    )
    lines = []
    for carrier in dict.fromkeys(row["carrier"] for row in rows):
        mine = [row for row in rows if row["carrier"] == carrier]
        follow = _mean(mine, "follow_error")
        lines.append((
            f"`{carrier}`", number(_mean(mine, "variance"), 3), number(_mean(mine, "moran"), 3),
            number(_mean(mine, "moran_expected"), 3), number(_mean(mine, "moran_z"), 1),
            number(min(row["ks_p"] for row in mine), 3), number(_mean(mine, "covariance_error"), 3),
            number(_mean(mine, "grid_error"), 3), percent(_mean(mine, "repeated")),
            "" if follow is None else f"{follow:.1g}", number(_mean(mine, "follow_correlation"), 3),
            number(_mean(mine, "ms_frame"), 1),
        ))  # fmt: skip
    return markdown_table(head, lines)


def _mean(rows: Sequence[Row], name: str) -> float | None:
    values = [row[name] for row in rows if row.get(name) is not None]
    return float(np.mean(values)) if values else None


def _broken_promises(rows: Sequence[Row]) -> list[str]:
    """Return a sentence for each carrier and motion in which it does not keep what its class states."""
    sentences = []
    for row in rows:
        kind, where = CARRIERS[row["carrier"]], f"{row['carrier']}, {row['motion']}, seed {row['seed']}"
        if kind.keeps_law and row["covariance_error"] > KEEPS_COVARIANCE:
            sentences.append(f"{where}: a covariance is off by {row['covariance_error']:.2g}")
        if kind.follows and (row["follow_error"] or 0) > FOLLOWS and row["motion"] == "shift":
            sentences.append(f"{where}: noise differs from that of its origin by {row['follow_error']:.2g}")
    return sentences
