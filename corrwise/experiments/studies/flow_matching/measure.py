"""The rows of ``corrwise table flow-matching``: the squared error of a denoiser's velocity at fixed times."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from corrwise._writing import jsonable
from corrwise.experiments.runs.executors import one_thread
from corrwise.experiments.runs.rows import COUNT, NUMBERS, TEXT, TEXT_BY_NAME, Key, Row, RowKey, needed
from corrwise.predictors.data import ClipWindows
from corrwise.predictors.data.sources import Joined, open_clips
from corrwise.predictors.generative import make_time_law, make_weight
from corrwise.predictors.generative.denoiser import Denoiser
from corrwise.predictors.models.pretrained import weights_hash
from corrwise.predictors.models.registry import load_model
from corrwise.predictors.training.flow_matching import TIMES, FlowMatching

__all__ = ["KEY", "Measured", "velocity_rows"]

KEY = Key(
    {"model": str, "window": int},
    {"velocity": needed(NUMBERS), "clip": needed(COUNT), "weights": TEXT, "frames": COUNT, "versions": TEXT_BY_NAME},
)


@dataclass(frozen=True)
class Measured:
    """A model, and the held-out clips that it is measured on.

    Attributes:
        folder: of the model.
        held: the clips.
        windows: how many windows of them; the same for all models.
    """

    folder: Path
    held: Path
    windows: int

    @property
    def stamp(self) -> Row:
        """What a row must have to be current."""
        return {"weights": weights_hash(self.folder), "frames": sum(open_clips(self.held).lengths)}


def velocity_rows(
    measured: Measured, *, threads: int, progress: Callable[[], Any]
) -> Callable[[Sequence[RowKey]], Iterator[Row]]:
    """Return what makes the rows of one denoiser: the mean squared error of its velocity at each of ``TIMES``.

    Each window has the noise of its own number, the same for all models.
    """
    one_thread()
    model = load_model(measured.folder)
    assert isinstance(model, Denoiser)
    clips = Joined([open_clips(measured.held)], actions=model.config.action_dim > 0)
    windows = ClipWindows(clips, model.config.context + 1)
    chosen = np.random.default_rng(0).integers(len(windows), size=measured.windows)
    objective = FlowMatching(model, make_weight("data"), make_time_law("uniform"), own_after=1, total=1)

    def rows(keys: Sequence[RowKey]) -> Iterator[Row]:
        for name, number in keys:
            batch, noise = windows.windows(chosen[[number]]), torch.Generator("cpu").manual_seed(number)
            with torch.no_grad():
                parts = objective.evaluate(batch, objective.networks, noise).parts
            velocity = [float(parts[f"velocity {t:g}"]) for t in TIMES]
            clip = int(windows.clips(chosen[[number]])[0])
            yield {"model": name, "window": number, "clip": clip, "velocity": jsonable(velocity)}
            progress()

    return rows
