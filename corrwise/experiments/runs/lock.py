"""One run at a time in a folder; the system lets go of it however the run ends."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from corrwise._writing import RunFolderError, open_plain, refuse_file

_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}  # all else says that the disk has no locks


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Make the folder and hold its lock for the block; where the disk has no locks, warn and go on without one.

    Raises:
        RunFolderError: another process holds it, or the folder cannot be made.
    """
    refuse_file(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = open_plain(folder / ".lock", os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise RunFolderError(f"cannot write to the output folder {folder}: {error.strerror or error}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                held = f"another run is writing to {folder}; wait for it or choose another one"
                raise RunFolderError(held) from error
            _warn(folder, error)
        yield
    finally:
        os.close(handle)


def _warn(folder: Path, error: OSError) -> None:
    print(
        f"corrwise: warning: {folder} cannot be locked ({error.strerror or error}); start no second run in it",
        file=sys.stderr,
    )
