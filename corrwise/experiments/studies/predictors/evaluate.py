"""``corrwise evaluate``: predictions of trained models on unseen clips; rows, a table, curves and videos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from corrwise._files import reading
from corrwise._writing import RunFolderError, jsonable, write_bytes_atomic
from corrwise.envs.arrays import to_uint8
from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.report.table import write_table
from corrwise.experiments.report.video import label_panels, write_video
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.jobs import Job
from corrwise.experiments.runs.rows import COUNT, NUMBERS, TEXT_BY_NAME, Key, Row, RowKey, needed, six_digits
from corrwise.experiments.runs.settings import place
from corrwise.experiments.studies.predictors.apart import check_apart
from corrwise.experiments.studies.predictors.evaluation import (
    CURVES,
    FUTURES,
    STRIPS,
    broken_frames,
    draw_curves,
    draw_strips,
    evaluation_page,
    evaluation_table,
    without_residuals,
)
from corrwise.experiments.studies.predictors.sampled_tables import sampled_page, sampled_tables
from corrwise.experiments.studies.predictors.sampling import (
    futures_of,
    predict,
    sampled,
    window_generators,
    windows_together,
    with_residuals,
)
from corrwise.experiments.studies.predictors.subjects import subjects_of
from corrwise.predictors.data import Batch, ClipSource, ClipWindows
from corrwise.predictors.data.sources import open_clips
from corrwise.predictors.metrics import GRADIENT_ERROR, METRICS, PERCEPTUAL, frame_metrics
from corrwise.predictors.sample_metrics import SAMPLED
from corrwise.types import Predictor, is_deterministic

_SHOWN = 4  # futures of a model that are drawn
_OPTIONAL = (GRADIENT_ERROR, *PERCEPTUAL, *SAMPLED)  # which rows may lack


def _uneven(row: Row) -> str | None:
    """Return what is wrong with the metrics of a row."""
    steps = {name: len(row[name]) for name in (*METRICS, *_OPTIONAL) if row.get(name) is not None}
    return None if len(set(steps.values())) == 1 else f"expected as many steps of each metric, got {steps}"


KEY = Key(
    {"model": str, "weights": str, "window": int},
    {
        **dict.fromkeys(METRICS, needed(NUMBERS)),
        **dict.fromkeys(_OPTIONAL, NUMBERS),
        **{"clip": needed(COUNT), "broken": COUNT, "samples": COUNT, "broken_samples": COUNT, "versions": TEXT_BY_NAME},
    },
    also=_uneven,
)


def run_evaluate(config: EvaluateConfig) -> Path:
    """Measure what the folder does not hold yet, and return the path of the page that shows it.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, ValueError: models or clips that cannot be used, or do not fit each other.
        RuntimeError: a GPU is asked for, and there is none.
    """
    subjects = subjects_of(config)
    models, context, windows, chosen = subjects.models, subjects.context, subjects.windows, subjects.chosen
    settings = subjects.settings
    arms = models
    if config.residuals is not None:
        try:
            others = ClipWindows(open_clips(config.residuals), context + config.horizon)
        except ValueError as error:
            raise ValueError(f"{config.residuals}, for residuals: {error}") from None
        _check_alike(windows.source, others.source)
        check_apart(windows, others)
        arms = with_residuals(models, others, context, count=config.windows, seed=config.seed, together=config.batch)
        settings = settings.with_values({"residual_frames": sum(others.source.lengths)}, normal={"residuals": place})
    jobs = [
        Job(
            _setup,
            _Evaluated(name, weights, model, context, windows, chosen, config),
            {(name, weights, k): {} for k in range(config.windows)},
            together=config.batch,
            label=name,
        )
        for name, (weights, model) in arms.items()
    ]
    with RunFolder(config.out, settings, KEY) as folder:
        mine = folder.run(jobs, unit="window")
        videos = _videos(config, models, windows.windows(chosen[: config.videos]), context) if config.videos else []
        if videos and config.samples:
            _draw_futures(config, arms, windows.windows(chosen[:1]), context)
        page = config.out / "evaluation.html"
        with reading(folder.file, "holds rows that no table can be made of", RunFolderError):
            draw_curves(config.out / CURVES, mine)
            warnings = subjects.warnings + broken_frames(mine)
            html = evaluation_page(config, mine, videos, warnings, sampled_tables(mine))
            write_bytes_atomic(page, html.encode())
        write_table(config.out, lambda: (evaluation_table(without_residuals(mine)) + sampled_page(mine), warnings))
    return page


@dataclass(frozen=True, eq=False)
class _Evaluated:
    """One model, and the windows that it is evaluated on."""

    name: str
    weights: str
    model: Predictor
    context: int
    windows: ClipWindows
    chosen: np.ndarray
    config: EvaluateConfig


def _setup(job: _Evaluated, *, threads: int, progress: Callable[[], Any]) -> Callable[[Sequence[RowKey]], Any]:
    def rows(keys: Sequence[RowKey]) -> Iterator[Row]:
        """Yield a row for each window: every metric of every predicted frame, and how many frames are not finite."""
        numbers = [key[-1] for key in keys]
        batch = job.windows.windows(job.chosen[numbers])
        frames = predict(job.model, batch, job.context)
        metrics = frame_metrics(frames, batch.frames[:, job.context :], batch.frames[:, job.context - 1])
        futures = _sampled(job, numbers, batch)
        broken = (~frames.isfinite().flatten(2).all(dim=2)).sum(dim=1).tolist()
        for k, number in enumerate(numbers):
            clip = int(job.windows.clips(job.chosen[[number]])[0])
            values = {name: six_digits(jsonable(each[k].double())) for name, each in metrics.items()}
            about = {"model": job.name, "weights": job.weights, "clip": clip, "window": number}
            yield {**about, **values, "broken": broken[k], **futures[k]}
            progress()

    return rows


def _sampled(job: _Evaluated, numbers: Sequence[int], batch: Batch) -> list[Row]:
    """Return what is measured of the futures of each window; nothing of each where none are drawn."""
    samples, together = job.config.samples, job.config.batch
    if not samples:
        return [{} for _ in numbers]
    rows: list[Row] = []
    size = windows_together(samples, together)
    for first, part in zip(range(0, len(numbers), size), batch.split(size), strict=True):
        mine = [window_generators(job.config.seed, k, samples) for k in numbers[first : first + size]]
        metrics = sampled(job.model, part, job.context, mine, together)
        values = metrics.result()
        for k, broken in enumerate(metrics.broken.tolist()):
            each = {name: six_digits(jsonable(value[k])) for name, value in values.items()}
            rows.append({"samples": samples, **each, "broken_samples": broken})
    return rows


def _videos(config: EvaluateConfig, models: dict[str, tuple[str, Predictor]], batch: Batch, context: int) -> list[str]:
    """Draw the true frames beside the predictions of each model, also as videos, and return the videos' names."""
    panels = {"true": batch.frames}
    for name, (_, model) in models.items():
        frames = torch.cat([predict(model, part, context) for part in batch.split(config.batch)])
        panels[name] = torch.cat([batch.frames[:, :context], frames], dim=1)
    draw_strips(config.out / STRIPS, panels, context)
    names = [f"videos/window-{k}.mp4" for k in range(len(batch.frames))]
    for k, video in enumerate(names):
        write_video(config.out / video, label_panels({n: to_uint8(clips[k]) for n, clips in panels.items()}), fps=5)
    return names


def _check_alike(clips: ClipSource, others: ClipSource) -> None:
    """Refuse clips for residuals of another size or other actions than those that are scored."""
    for what, one, two in (("size", clips.size, others.size), ("actions", clips.action_dim, others.action_dim)):
        if one != two:
            raise ValueError(f"expected clips for residuals of the {what} {one} of --data, got {two}")


def _draw_futures(config: EvaluateConfig, arms: dict[str, tuple[str, Predictor]], batch: Batch, context: int) -> None:
    """Draw several futures of the first window by each model, below the true frames."""
    panels = {"true": batch.frames}
    for name, (_, model) in arms.items():
        count = 1 if is_deterministic(model) else min(config.samples, _SHOWN)
        mine = [window_generators(config.seed, 0, config.samples)[:count]]
        for i, future in enumerate(futures_of(model, batch, context, mine, config.batch).unbind(1)):
            panels[f"{name} {i + 1}" if count > 1 else name] = torch.cat([batch.frames[:, :context], future], dim=1)
    draw_strips(config.out / FUTURES, panels, context)
