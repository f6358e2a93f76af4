"""``corrwise import``: videos, images and Minari datasets as clips, shard by shard, stoppable at any time."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from corrwise.experiments.options.import_clips import ImportConfig
from corrwise.experiments.records.atomic import RunFolderError, write_json_atomic
from corrwise.experiments.records.lock import only_run
from corrwise.experiments.records.rows import claim_folder
from corrwise.experiments.records.settings import settings_of
from corrwise.experiments.video.shards import kept_or_made
from corrwise.predictors.clips.clip import Clip
from corrwise.predictors.clips.folder import INDEX, shard_name
from corrwise.predictors.clips.media import MediaClips
from corrwise.predictors.clips.minari import MinariClips, minari_file
from corrwise.predictors.clips.shard import SHARD_CLIPS

__all__ = ["run_import"]

Row = dict[str, Any]


def run_import(config: ImportConfig) -> Path:
    """Import what the folder does not hold yet, and return the index's path.

    A shard appears whole or not at all; one that cannot be read, or holds other clips than the source now has, or clips
    whose files have changed since, is made anew. Where nothing could be imported, no folder is left.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, ValueError: a source that cannot be used.
    """
    clips = _opened(config)
    fresh = not config.out.exists()
    with only_run(config.out):
        try:
            claim_folder(config.out, _jsonable(config), begun=any(config.out.glob("shard-*.h5")))
            _imported(config, clips)
        except Exception:
            if fresh and not any(config.out.glob("shard-*.h5")):
                shutil.rmtree(config.out, ignore_errors=True)
            raise
    return config.out / INDEX


def _opened(config: ImportConfig) -> MediaClips | MinariClips:
    scale = (config.low, config.high)
    if minari_file(config.source) is None:
        return MediaClips(config.source, config.size, every=config.every, scale=scale)
    if config.every > 1:
        raise ValueError(
            f"expected every frame of a Minari dataset to be kept, because of its actions, got every = {config.every}"
        )
    return MinariClips(config.source, config.size, key=config.key, scale=scale)


def _imported(config: ImportConfig, clips: MediaClips | MinariClips) -> None:
    """Make the shards that are not there, and the index."""
    starts = range(0, len(clips), SHARD_CLIPS)
    parts = {shard_name(i // SHARD_CLIPS): range(i, min(i + SHARD_CLIPS, len(clips))) for i in starts}
    more = sorted(path.name for path in config.out.glob("shard-*.h5") if path.name not in parts)
    if more:
        raise RunFolderError(
            f"{config.out} holds {', '.join(more)}, and {config.source} now has {len(clips)} clips, which make no more "
            f"than {len(parts)} shards; choose another output folder"
        )
    index: dict[str, Row] = {}
    with tqdm(total=len(clips), unit="clip", desc=config.out.name) as bar:
        for name, numbers in parts.items():
            names = [clips.names[i] for i in numbers]
            make, stamps = partial(_read, clips, numbers), [clips.stamp(i) for i in numbers]
            index[name] = kept_or_made(config.out / name, names, make, {"source": str(config.source)}, stamps=stamps)
            write_json_atomic(config.out / INDEX, {"source": str(config.source), "shards": index})
            bar.update(len(numbers))


def _read(clips: MediaClips | MinariClips, numbers: range) -> list[Clip]:
    return [clips[i] for i in numbers]


def _jsonable(config: ImportConfig) -> Row:
    """Return the configuration as it stands in config.json; a folder stays the same import wherever it is moved."""
    row = settings_of(config)
    return {**row, "source": str(config.source.resolve())}
