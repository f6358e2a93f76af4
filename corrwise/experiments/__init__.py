"""The package that uses all others: command line, episodes, training, rows, tables, reports."""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from corrwise._files import local_path
from corrwise.validation import check_that, did_you_mean

if TYPE_CHECKING:
    from corrwise.experiments.runs.folder import RunFolder
    from corrwise.experiments.runs.jobs import Job
    from corrwise.experiments.runs.parts import load_agent

__all__ = ["Job", "Plan", "RunFolder", "load_agent", "plan"]

_PLACES = {"Job": "runs.jobs", "RunFolder": "runs.folder", "load_agent": "runs.parts"}


@dataclass(frozen=True)
class Plan:
    """Planned episodes, as ``plan`` returns them.

    Attributes:
        out: the run folder, with rows, images and, after ``report``, the report.
        rows: one for each cost and episode (docs/rows.md).
    """

    out: Path
    rows: list[dict[str, Any]]

    def table(self) -> str:
        """Return the report's table in Markdown, one line per cost."""
        from corrwise.experiments.report.page import run_table

        return run_table(self.rows)

    def report(self) -> Path:
        """Write the folder's report and return its path."""
        from corrwise.experiments.report.page import write_report

        return write_report(self.out)


def plan(*, out: str | Path | None = None, **options: Any) -> Plan:
    """Plan episodes with several costs on the same starts and goals, as ``corrwise mpc`` does.

    Args:
        out: the run folder; rows that it holds are not made again. None makes a temporary folder.
        options: those of ``corrwise mpc``, with underscores: ``task``, ``costs``, ``episodes``, ``planner`` and others.

    Raises:
        ConfigError: an option that is unknown or cannot be used.
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, RuntimeError, ValueError: a task, camera or weights are missing.
    """
    from corrwise.experiments.cli import plain_warnings
    from corrwise.experiments.cli.mpc import MPCConfig
    from corrwise.experiments.runs.mpc import plan_rows

    known = [each.name for each in fields(MPCConfig)]
    for name in options:
        near = did_you_mean(name, known)
        check_that(name in known, f"plan has no option {name!r}{near}; corrwise mpc --help lists them")
    folder = Path(mkdtemp(prefix="corrwise-")) if out is None else local_path(out)
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in options.items()
    }
    with plain_warnings():  # as the command shows them
        return Plan(folder, plan_rows(MPCConfig(out=folder, **values)))


def __getattr__(name: str) -> Any:
    """Import what needs torch at its first use: the command line answers without it."""
    if name in _PLACES:
        return getattr(import_module(f"corrwise.experiments.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
