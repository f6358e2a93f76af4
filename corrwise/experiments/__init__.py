"""The only package that opens every door: command line, episodes, training, rows, tables, reports."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corrwise.experiments.runs.folder import Job, RunFolder
    from corrwise.experiments.runs.parts import load_agent

__all__ = ["Job", "RunFolder", "load_agent"]

_PLACES = {"Job": "runs.folder", "RunFolder": "runs.folder", "load_agent": "runs.parts"}


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is asked for: the command line answers without it."""
    if name in _PLACES:
        return getattr(import_module(f"corrwise.experiments.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
