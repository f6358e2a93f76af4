"""Which command a run folder belongs to, by the names of the options in its config.json."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from pathlib import Path

from corrwise._files import read_json
from corrwise._writing import RunFolderError

__all__ = ["owner_of", "refuse_other"]

_ALIKE = 0.7  # least share of all names that options and settings have in common; another command's have 0.6 at most
_GRID = {"manifests", "cells"}  # of all tables whose rows are planned episodes


def owner_of(names: Collection[str]) -> str:
    """Return the command whose settings have these names, as ``corrwise restore``; empty where it is not known."""
    from corrwise.experiments.cli import commands

    names = set(names)
    if names >= _GRID:
        return "a corrwise table of plans"
    options = {name: {each.name for each in fields(made.config)} - {"out"} for name, made in commands().items()}
    alike = {name: len(mine & names) / len(mine | names) for name, mine in options.items() if mine}
    best = max(alike, key=lambda name: alike[name])
    return f"corrwise {best}" if alike[best] >= _ALIKE else ""


def refuse_other(out: Path, mine: str, advice: str) -> None:
    """Refuse a folder that another command has written.

    Args:
        out: the folder.
        mine: this command, as ``owner_of`` returns it.
        advice: how the sentence ends.

    Raises:
        RunFolderError: the folder is another command's.
    """
    try:
        config = read_json(out / "config.json")
    except (OSError, ValueError):  # the reader of the settings says so
        return
    there = owner_of(config) if isinstance(config, dict) else ""
    if there not in ("", mine):
        raise RunFolderError(f"{out} is the folder of {there}; {advice}")
