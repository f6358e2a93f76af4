"""The only room that opens every door: command line, episodes, training, rows, tables, reports."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corrwise.experiments.runs.trained_agent import load_agent

__all__ = ["load_agent"]


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is asked for: the command line answers without it."""
    if name == "load_agent":
        from corrwise.experiments.runs.trained_agent import load_agent

        return load_agent
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
