"""``corrwise report``."""

from __future__ import annotations

from pathlib import Path

import tyro

from corrwise.validation import validated

NAME = "report"


@validated
class ReportConfig:
    """Write report.html of a run folder again, from its rows and images alone."""

    out: tyro.conf.Positional[Path]
    """The run folder."""


def run(config: ReportConfig) -> Path:
    """Write the report and return its path."""
    from corrwise.experiments.report.page import run_report

    return run_report(config)
