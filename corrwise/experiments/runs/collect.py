"""``corrwise collect``: episodes of a task as clips, shard by shard, stoppable at any time."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from corrwise.envs import MujocoSimulator
from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.runs.named_tasks import named_task, task_source
from corrwise.experiments.runs.atomic import write_json_atomic
from corrwise.experiments.runs.lock import only_run
from corrwise.experiments.runs.rows import claim_folder
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.runs.behaviours import acted
from corrwise.experiments.runs.shards import kept_or_made
from corrwise.predictors.data.clip import Clip
from corrwise.predictors.data.folder import INDEX, read_index, shard_name
from corrwise.predictors.data.formats.shards import SHARD_CLIPS

__all__ = ["run_collect"]

_FREE = ("episodes", "threads")  # these never change a clip

Row = dict[str, Any]


def run_collect(config: CollectConfig) -> Path:
    """Collect what the folder does not hold yet, and return the index's path.

    A shard appears whole or not at all; one that cannot be read is made anew.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        ValueError: a task that cannot be had.
    """
    task = named_task(config.task)
    simulator = MujocoSimulator(task, size=config.size, supersample=config.supersample, threads=config.threads)
    with only_run(config.out):
        claim_folder(config.out, _jsonable(config), ignore=_FREE, begun=any(config.out.glob("shard-*.h5")))
        index = read_index(config.out)
        about = {"task": config.task, "frame_skip": task.frame_skip, "supersample": config.supersample}
        with tqdm(total=config.episodes, unit="episode", desc=config.out.name) as bar:
            for i in range(0, config.episodes, SHARD_CLIPS):
                numbers = range(i, min(i + SHARD_CLIPS, config.episodes))
                name = shard_name(i // SHARD_CLIPS)
                make = partial(_clips, config, simulator, numbers)
                index[name] = kept_or_made(config.out / name, numbers, make, about)
                write_json_atomic(config.out / INDEX, {"task": config.task, "shards": index})
                bar.update(len(numbers))
    return config.out / INDEX


def _clips(config: CollectConfig, simulator: MujocoSimulator, numbers: range) -> list[Clip]:
    return list(acted(config, simulator, numbers))


def _jsonable(config: CollectConfig) -> Row:
    """Return the configuration as it stands in config.json; a folder stays the same run wherever it is moved."""
    row = settings_of(config)
    return {**row, "task_source": task_source(config.task)}
