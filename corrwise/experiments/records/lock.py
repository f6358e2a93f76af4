"""One run at a time in a folder; the system lets go of it however the run ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from corrwise.experiments.records.atomic import RunFolderError, refuse_file


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Make the folder and hold its lock for the block.

    Raises:
        RunFolderError: another process holds it, or the folder cannot be made.
    """
    refuse_file(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise RunFolderError(f"cannot write to the output folder {folder}: {error.strerror or error}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunFolderError(f"another run is writing to {folder}; wait for it or choose another one") from error
        yield
