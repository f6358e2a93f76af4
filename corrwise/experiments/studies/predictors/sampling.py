"""Several futures of each window: drawn, measured, and the residuals that a deterministic model gets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.experiments.studies.predictors.evaluation import RESIDUALS
from corrwise.mpc.futures import split_futures
from corrwise.mpc.sampling import generator
from corrwise.predictors.data import Batch, ClipWindows
from corrwise.predictors.interpolation.strided import StridedPredictor
from corrwise.predictors.models.residuals import WithResiduals
from corrwise.predictors.sample_metrics import TOGETHER, SampleMetrics
from corrwise.types import Context, Predictor, is_deterministic


def predict(
    model: Predictor, batch: Batch, context: int, generators: Sequence[Generator] | None = None
) -> Float[Tensor, "n T 3 h w"]:
    """Return what a model predicts from the first frames of each window and the actions.

    It runs on the device of its weights; the frames come back to the device of the batch.

    Args:
        model: the predictor.
        batch: windows.
        context: how many frames the model sees.
        generators: one for each window, to draw a future from; None for the prediction that draws nothing.
    """
    own = model.parameters() if isinstance(model, torch.nn.Module | StridedPredictor | WithResiduals) else ()
    weights = next(iter(own), None)
    there = batch if weights is None else batch.to(weights.device)
    seen = Context(there.frames[:, :context], there.actions[:, : context - 1], None)
    with torch.no_grad():
        frames = model(seen, there.actions[:, None, context - 1 :], generators=generators)
    return frames[:, 0].to(batch.frames.device)


def futures_of(
    model: Predictor, batch: Batch, context: int, generators: Sequence[Sequence[Generator]], together: int
) -> Float[Tensor, "n M T 3 h w"]:
    """Return futures of each window, one for each of its generators.

    Args:
        model: the predictor.
        batch: windows.
        context: how many frames the model sees.
        generators: M of each window.
        together: how many futures are predicted at a time, which bounds the memory.
    """
    count = len(generators[0])
    repeated = Batch(*(part.repeat_interleave(count, dim=0) for part in (batch.frames, batch.actions)))
    flat = [each for mine in generators for each in mine]
    parts = [
        predict(model, part, context, flat[i * together : (i + 1) * together])
        for i, part in enumerate(repeated.split(together))
    ]
    return torch.cat(parts).unflatten(0, (len(generators), count))


def window_generators(seed: int, window: int, samples: int) -> list[Generator]:
    """Return the generators of a window's futures, which depend on the seed, the window and their number alone."""
    (mine,) = split_futures([generator(seed, window)], samples)
    return mine


def sampled(
    model: Predictor, batch: Batch, context: int, generators: Sequence[Sequence[Generator]], together: int
) -> SampleMetrics:
    """Return the metrics of the futures of each window; a model that draws nothing has one.

    At most ``TOGETHER`` futures of a window, and of so many windows that ``together`` futures are exceeded by no more
    than one window's, are in memory.
    """
    metrics = SampleMetrics(batch.frames[:, context:])
    count = 1 if is_deterministic(model) else len(generators[0])
    for first in range(0, count, TOGETHER):
        some = [mine[first : min(first + TOGETHER, count)] for mine in generators]
        metrics.add(futures_of(model, batch, context, some, together))
    return metrics


def windows_together(samples: int, together: int) -> int:
    """Return how many windows' futures are measured at a time."""
    return max(1, together // min(max(1, samples), TOGETHER))


class Residuals:
    """True frames minus those that a model predicts, of different random windows.

    Args:
        model: the predictor.
        windows: of clips that it is not evaluated on.
        context: how many frames the model sees.
        count: how many windows, at most.
        seed: of the windows.
        together: how many windows are predicted at a time.
    """

    def __init__(
        self, model: Predictor, windows: ClipWindows, context: int, *, count: int, seed: int, together: int
    ) -> None:
        self._model, self._windows, self._context, self._together = model, windows, context, together
        self._chosen = np.random.default_rng((seed, 1)).permutation(len(windows))[:count]

    def __call__(self) -> Float[Tensor, "R T 3 h w"]:
        """Return them; they are computed once."""
        return self._frames

    @cached_property
    def _frames(self) -> Tensor:
        parts = []
        for first in range(0, len(self._chosen), self._together):
            batch = self._windows.windows(self._chosen[first : first + self._together])
            made = predict(self._model, batch, self._context)
            made = made.where(made.isfinite().flatten(2).all(2)[..., None, None, None], 0.0)
            parts.append(batch.frames[:, self._context :] - made)
        return torch.cat(parts)


def with_residuals(
    models: dict[str, tuple[str, Predictor]], windows: ClipWindows, context: int, **options: int
) -> dict[str, tuple[str, Predictor]]:
    """Return the models, and behind each that draws nothing the same with its residuals added."""
    arms: dict[str, tuple[str, Predictor]] = {}
    for name, (weights, model) in models.items():
        arms[name] = weights, model
        if is_deterministic(model):
            arms[name + RESIDUALS] = weights, WithResiduals(model, Residuals(model, windows, context, **options))
    return arms
