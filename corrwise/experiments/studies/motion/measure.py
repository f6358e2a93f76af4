"""The rows of ``corrwise evaluate --motion``: how the futures of a window move."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise._writing import jsonable
from corrwise.costs.flow import FLOWS
from corrwise.costs.flow.networks import network_hash
from corrwise.costs.motion.score import (
    LEVELS,
    accelerations,
    dynamic,
    forward_flows,
    largest_lengths,
    lengths,
    level_means,
    smoothness,
)
from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.cli.options import device_named
from corrwise.experiments.runs.interpolators import interpolator_of, weights_of
from corrwise.experiments.runs.rows import (
    COUNT,
    NUMBER,
    NUMBERS,
    SHARE,
    TEXT,
    TEXT_BY_NAME,
    Key,
    Row,
    RowKey,
    needed,
    six_digits,
)
from corrwise.experiments.studies.predictors.sampling import futures_of, window_generators, windows_together
from corrwise.experiments.studies.predictors.subjects import Subjects
from corrwise.predictors.data import Batch
from corrwise.predictors.sample_metrics import TOGETHER, SampleMetrics
from corrwise.types import Flow, Interpolator, Predictor, is_deterministic

__all__ = ["ACCELERATIONS", "KEY", "LENGTHS", "REAL", "Estimators", "Measured", "motion_rows", "videos"]

REAL = "true"  # the frames that came, in the place of a model
LENGTHS, ACCELERATIONS = "flow_lengths", "accelerations"


def _levels(row: Row) -> str | None:
    """Return what is wrong with the distributions of a row."""
    wrong = {name: len(row[name]) for name in (LENGTHS, ACCELERATIONS) if len(row[name]) != LEVELS or None in row[name]}
    return f"expected {LEVELS} numbers of each distribution, got {wrong}" if wrong else None


KEY = Key(
    {"model": str, "weights": str, "window": int},
    {
        **dict.fromkeys(("smoothness", "dynamic"), needed(SHARE)),
        "largest": needed(NUMBER),
        **dict.fromkeys((LENGTHS, ACCELERATIONS), needed(NUMBERS)),
        **{"energy": NUMBERS, "clip": needed(COUNT), "samples": COUNT, "broken_samples": COUNT},
        **{"network": TEXT, "interpolator_weights": TEXT, "versions": TEXT_BY_NAME},
    },
    also=_levels,
)


class Estimators:
    """The flow and the interpolator that measure motion, the same for all models.

    Args:
        config: names them.

    Attributes:
        flow: between consecutive frames.
        interpolator: of every second frame.
        stamp: hashes of their weights, which a row must have to be current.

    Raises:
        FileNotFoundError, RuntimeError, ValueError: they cannot be made.
    """

    def __init__(self, config: EvaluateConfig) -> None:
        self._device = device_named(config.device)
        self._every = config.every_frame
        self.flow: Flow = FLOWS[config.motion_flow]()
        self.interpolator: Interpolator = interpolator_of(config.motion_interpolator, device=config.device)
        weights = weights_of(config.motion_interpolator, self.interpolator)
        self.stamp: Row = {"network": network_hash(self.flow), "interpolator_weights": weights}

    def flows(self, videos: Float[Tensor, "n T 3 h w"]) -> Float[Tensor, "n t 2 h w"]:
        """Return the flow from each frame to the next, on the CPU.

        Raises:
            FloatingPointError: it is not finite.
        """
        with torch.no_grad():
            return forward_flows(self.flow, videos.clamp(0, 1).to(self._device)).cpu()

    def measure(self, videos: Float[Tensor, "n T 3 h w"]) -> dict[str, Tensor]:
        """Return what a row has of each video; of the distributions all values, (n, pixels)."""
        flows = self.flows(videos)
        kept = flows if self._every == 1 else self.flows(videos[:, :: self._every])
        with torch.no_grad():
            smooth = smoothness(videos.to(self._device), self.interpolator).cpu()
        return {
            "smoothness": smooth,
            "dynamic": dynamic(kept).float(),
            "largest": largest_lengths(flows).mean(dim=1),
            LENGTHS: lengths(flows).flatten(1),
            ACCELERATIONS: accelerations(flows).flatten(1),
        }


@dataclass(frozen=True, eq=False)
class Measured:
    """One model, or the true frames, and what measures them.

    Attributes:
        name: in rows.
        weights: hash of its weights.
        model: the predictor; None for the true frames.
        subjects: the windows.
        estimators: flow and interpolator.
        config: samples, seed and how many futures are made at a time.
    """

    name: str
    weights: str
    model: Predictor | None
    subjects: Subjects
    estimators: Estimators
    config: EvaluateConfig

    @property
    def samples(self) -> int:
        """How many futures of a window are measured: one of a model that draws nothing."""
        return 1 if self.model is None or is_deterministic(self.model) else self.config.samples


def motion_rows(job: Measured, *, threads: int, progress: Callable[[], Any]) -> Callable[[Sequence[RowKey]], Any]:
    """Return what makes the rows of a model."""
    size = windows_together(job.samples, job.config.batch)

    def rows(keys: Sequence[RowKey]) -> Iterator[Row]:
        for first in range(0, len(keys), size):
            numbers = [key[-1] for key in keys[first : first + size]]
            chosen = job.subjects.chosen[numbers]
            batch, clips = job.subjects.windows.windows(chosen), job.subjects.windows.clips(chosen)
            measured = _true(job, batch) if job.model is None else _made(job, batch, numbers)
            for number, clip, values in zip(numbers, clips, measured, strict=True):
                about = {"model": job.name, "weights": job.weights, "window": number, "clip": int(clip)}
                yield {**about, "samples": job.samples, **values}
                progress()

    return rows


def _true(job: Measured, batch: Batch) -> Iterator[Row]:
    """Yield what is measured of the frames that came, beginning with the last one that the models see."""
    return _summaries([job.estimators.measure(batch.frames[:, job.subjects.context - 1 :])], len(batch.frames))


def _made(job: Measured, batch: Batch, numbers: Sequence[int]) -> Iterator[Row]:
    """Yield what is measured of the futures of each window, at most ``TOGETHER`` of them at a time."""
    assert job.model is not None
    context, seed = job.subjects.context, job.config.seed
    metrics, measured = SampleMetrics(batch.frames[:, context:]), []
    generators = [window_generators(seed, number, job.config.samples)[: job.samples] for number in numbers]
    for first in range(0, job.samples, TOGETHER):
        some = [mine[first : first + TOGETHER] for mine in generators]
        futures = futures_of(job.model, batch, context, some, job.config.batch)
        metrics.add(futures)
        measured.append(job.estimators.measure(videos(batch.frames[:, context - 1], futures).flatten(0, 1)))
    energy = metrics.result()["energy"]
    for k, row in enumerate(_summaries(measured, len(numbers))):
        yield {**row, "energy": six_digits(jsonable(energy[k])), "broken_samples": int(metrics.broken[k])}


def videos(seen: Float[Tensor, "n 3 h w"], futures: Float[Tensor, "n S T 3 h w"]) -> Float[Tensor, "n S 1+T 3 h w"]:
    """Return futures behind the last frame that was seen; a frame that is not finite is black."""
    futures = futures.where(futures.isfinite().flatten(3).all(dim=3)[..., None, None, None], 0.0)
    return torch.cat([seen[:, None, None].expand(-1, futures.shape[1], 1, -1, -1, -1), futures], dim=2)


def _summaries(measured: Sequence[dict[str, Tensor]], windows: int) -> Iterator[Row]:
    """Yield the fields of each window's row: over all its futures, which come in chunks."""
    every = {
        name: torch.cat([each[name].unflatten(0, (windows, -1)) for each in measured], dim=1) for name in measured[0]
    }
    for k in range(windows):
        row: Row = {name: float(every[name][k].mean()) for name in ("smoothness", "dynamic", "largest")}
        for name in (LENGTHS, ACCELERATIONS):
            row[name] = level_means(every[name][k].reshape(1, -1))[0].tolist()
        yield {name: six_digits(value) for name, value in row.items()}
