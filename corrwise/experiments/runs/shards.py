"""Shards in a run's folder: those that are there and whole are kept, all others are made anew."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from corrwise.experiments.runs.atomic import write_aside
from corrwise.experiments.runs.versions import versions
from corrwise.predictors.data.clip import Clip
from corrwise.predictors.data.formats.shards import BrokenShard, shard_about
from corrwise.predictors.data.formats.shard_writer import write_shard

__all__ = ["kept_or_made"]

Row = dict[str, Any]


def kept_or_made(
    path: Path,
    episodes: Sequence[int],
    make: Callable[[], Sequence[Clip]],
    about: Mapping[str, Any],
) -> Row:
    """Return what a shard of these episodes tells of itself, after making it if it is not there, broken or of others.

    Args:
        path: the shard.
        episodes: the numbers of its clips.
        make: returns the clips.
        about: what else is known about all of them.

    Raises:
        RunFolderError: it cannot be written.
        ValueError: the clips do not fit each other.
    """
    try:
        there = shard_about(path) if path.exists() else {}
    except BrokenShard as error:
        tqdm.write(f"{error}; it is made anew", file=sys.stderr)
        there = {}
    if there.get("episodes", [])[: len(episodes)] == list(episodes):
        return there  # more are there when fewer are asked for
    clips = make()
    with write_aside(path) as aside:
        write_shard(aside, clips, {**about, "episodes": list(episodes), "versions": versions()})
    return shard_about(path)
