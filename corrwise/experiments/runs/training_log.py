"""TensorBoard logs of a training run: losses, and strips of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise._writing import RunFolderError
from corrwise.predictors.training.fit import Loss

__all__ = ["Log", "strips"]

_STRIPS = 4


class Log:
    """Scalars and pictures in a folder's ``logs``; a run that goes on takes back what it logged beyond its checkpoint.

    Raises:
        RuntimeError: tensorboard is not installed.
        RunFolderError: the logs cannot be written.
    """

    def __init__(self, out: Path) -> None:
        self._folder = out / "logs"
        self._writer: Any = None

    def begin(self, step: int) -> None:
        """Log from this step on."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise RuntimeError("training needs tensorboard: pip install 'corrwise[train]'") from error
        with self._written():
            self._writer = SummaryWriter(str(self._folder), purge_step=step + 1)

    def loss(self, name: str, step: int, loss: Loss) -> None:
        """Log the loss, and the distance of each predicted step."""
        with self._written():
            self._writer.add_scalar(f"{name}/loss", float(loss.total.detach()), step)
            self._writer.add_scalar(f"{name}/penalty", float(loss.penalty), step)
            for t, value in enumerate(loss.distances.tolist()):
                self._writer.add_scalar(f"{name}/step {t + 1}", value, step)

    def pictures(self, step: int, frames: Tensor, shown: Tensor) -> None:
        """Log some windows: what there was, above what was predicted."""
        with self._written():
            self._writer.add_image("held out", strips(frames[:_STRIPS], shown[:_STRIPS]), step)
            self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        with self._written():
            self._writer.close()

    @contextmanager
    def _written(self) -> Iterator[None]:
        """Name the folder where tensorboard cannot write, which it does in a thread of its own."""
        try:
            yield
        except OSError as error:
            raise RunFolderError(f"cannot write to {self._folder}: {error.strerror or error}") from error


def strips(frames: Float[Tensor, "n T 3 h w"], shown: Float[Tensor, "n t 3 h w"]) -> Float[Tensor, "3 H W"]:
    """Return one picture: for each window a row of true frames, and under the last of them the predicted ones."""
    blank = torch.zeros_like(frames[:, : frames.shape[1] - shown.shape[1]])
    rows = torch.stack([frames, torch.cat([blank, shown.to(frames)], dim=1)], dim=1)
    n, two, columns, channels, height, width = rows.shape
    return rows.permute(3, 0, 1, 4, 2, 5).reshape(channels, n * two * height, columns * width)
