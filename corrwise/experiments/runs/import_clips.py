"""``corrwise import``: videos, images and Minari datasets as clips, shard by shard, stoppable at any time."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from corrwise._files import local_path
from corrwise.experiments.cli.import_clips import ImportConfig
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.settings import Settings, settings_of, versions
from corrwise.predictors.data.clip import BrokenClip
from corrwise.predictors.data.folder import INDEX
from corrwise.predictors.data.formats.media import MediaClips
from corrwise.predictors.data.formats.minari import MinariClips, minari_file
from corrwise.predictors.data.import_shards import ImportShards

Row = dict[str, Any]
_LINES = 20  # of clips that were skipped, on the terminal


def run_import(config: ImportConfig) -> Path:
    """Import what the folder does not hold yet, and return the index's path.

    A shard is written atomically and keeps its clips (see ``ImportShards``). Frames are written as they are decoded. If
    nothing could be imported, no folder is left. A summary of imported and skipped clips is printed and stored in the
    index.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, ValueError: a source that cannot be used.
        BrokenClip: a clip cannot be used and ``skip_broken`` is off, or no clip can be used.
    """
    config = replace(config, source=local_path(config.source), out=local_path(config.out))
    try:
        clips = _opened(config)
        fresh = not config.out.exists()
        with RunFolder(config.out, _settings(config), begun=_begun):
            try:
                _imported(config, clips)
            except Exception:
                if fresh and not _begun(config.out):
                    shutil.rmtree(config.out, ignore_errors=True)
                raise
    except BrokenClip as error:
        if config.skip_broken:
            raise
        raise BrokenClip(f"{error}; --skip-broken imports the others") from error
    return config.out / INDEX


def _opened(config: ImportConfig) -> MediaClips | MinariClips:
    scale, skip = (config.low, config.high), config.skip_broken
    if minari_file(config.source) is None:
        return MediaClips(
            config.source, config.size, every=config.every, scale=scale, white=config.white, skip_broken=skip
        )
    if config.every > 1:
        raise ValueError(
            f"expected every frame of a Minari dataset to be kept, because of its actions, got every = {config.every}"
        )
    if config.white is not None:
        raise ValueError(
            f"expected no white for a Minari dataset, whose images have 8 bits, got white = {config.white}"
        )
    return MinariClips(config.source, config.size, key=config.key, scale=scale, skip_broken=skip)


def _imported(config: ImportConfig, clips: MediaClips | MinariClips) -> None:
    """Bring the shards and the index up to date, and print the summary."""
    for leftover in config.out.glob(".shard-*.h5"):  # of an import that was killed
        leftover.unlink(missing_ok=True)
    size, about = (config.size, config.size), {"source": _text(config.source)}
    shards = ImportShards(config.out, clips, size, about, versions(), skip_broken=config.skip_broken)
    shards.update()
    if not shards.index:
        raise BrokenClip(f"none of the {len(shards.skipped)} clips can be used: {next(iter(shards.skipped.values()))}")
    lengths = [length for shard in shards.index.values() for length in shard["lengths"]]
    skipped = dict(sorted(shards.skipped.items()))
    summary = {"clips": len(lengths), "frames": sum(lengths), "skipped": skipped, "left": clips.left}
    shards.write_index(summary=summary)
    for line in _summary(summary, shards.new, shards.removed):
        tqdm.write(line, file=sys.stderr)


def _summary(summary: Row, new: int, removed: int) -> list[str]:
    changes = f"{new} read now" + (f", {removed} removed because the source no longer has them" if removed else "")
    clips = "1 clip" if summary["clips"] == 1 else f"{summary['clips']} clips"
    lines = [f"imported {clips}, {summary['frames']} frames ({changes})"]
    skipped = [f"skipped {name}: {why}" for name, why in summary["skipped"].items()]
    lines += skipped[:_LINES]
    if len(skipped) > _LINES:
        lines.append(f"skipped {len(skipped) - _LINES} more, listed in {INDEX}")
    if left := summary["left"]:
        lines.append("left alone: " + ", ".join(f"{why} ({count})" for why, count in left.items()))
    return [_printable(line) for line in lines]


def _printable(text: str) -> str:
    """Return text in which names of files cannot break the line or write control characters to a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _text(path: Path) -> str:
    """Return a path as JSON can hold it; a name may be any bytes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _begun(out: Path) -> bool:
    return any(out.glob("shard-*.h5"))


def _settings(config: ImportConfig) -> Settings:
    return settings_of(config, "import").with_values({"source": _text(config.source.resolve())})
