"""HDF5 files that are written to a disk that may be full: its library crashes the process when a write fails."""

from __future__ import annotations

import io
from os import PathLike
from types import TracebackType
from typing import Any

import h5py

__all__ = ["WrittenHDF5"]


class WrittenHDF5:
    """A new HDF5 file; a context manager, whose end raises the first error of writing.

    HDF5 keeps what is written for a while, so an error may come when a file is closed, where h5py ignores it and HDF5
    1.14 ends with a segmentation fault. Here HDF5 never sees it.

    Args:
        path: the file; what is there is replaced.

    Attributes:
        file: to write to.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self._disk = _Disk(path)
        self.file = h5py.File(self._disk, "w")

    def __enter__(self) -> WrittenHDF5:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.file.close()
        except (OSError, RuntimeError):
            if self._disk.error is None:
                raise
        finally:
            self._disk.close()
        if error is None or isinstance(error, Exception):
            self.check()  # what follows from it is no news

    def check(self) -> None:
        """Raise the first error of writing so far, if there was one."""
        if self._disk.error is not None:
            raise self._disk.error


class _Disk(io.FileIO):
    """A file that keeps its first error of writing, and takes all further writes for done."""

    def __init__(self, path: str | PathLike[str]) -> None:
        super().__init__(path, "w+")
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of the data, or nothing more after an error."""
        rest = memoryview(data).cast("B")
        length = len(rest)
        try:
            while len(rest) and self.error is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return length

    def truncate(self, size: int | None = None) -> int:
        """Change the length, unless that fails."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0
