"""TensorBoard logs of a training run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from corrwise._writing import RunFolderError

__all__ = ["Log"]


class Log:
    """Numbers and images in a folder. A resumed run removes what was logged after its checkpoint.

    Raises:
        RuntimeError: tensorboard is not installed.
        RunFolderError: the logs cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def begin(self, step: int) -> None:
        """Log from this step on."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise RuntimeError("training needs tensorboard: pip install 'corrwise[train]'") from error
        with self._written():
            self._writer = SummaryWriter(str(self._folder), purge_step=step + 1)

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Log numbers by name."""
        with self._written():
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def image(self, name: str, image: Tensor, step: int) -> None:
        """Log an image, and write it immediately."""
        with self._written():
            self._writer.add_image(name, image, step)
            self._writer.flush()

    def histogram(self, name: str, values: Tensor, step: int) -> None:
        """Log the distribution of values of any shape."""
        with self._written():
            self._writer.add_histogram(name, values, step)

    def close(self) -> None:
        """Write what is buffered."""
        with self._written():
            self._writer.close()

    @contextmanager
    def _written(self) -> Iterator[None]:
        """Name the folder in errors of writing, which tensorboard raises from its own thread."""
        try:
            yield
        except OSError as error:
            raise RunFolderError(f"cannot write to {self._folder}: {error.strerror or error}") from error
