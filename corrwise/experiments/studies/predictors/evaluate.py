"""``corrwise evaluate``: predictions of trained models on clips they have never seen; rows, a table, curves, videos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from corrwise._files import reading
from corrwise._writing import RunFolderError, jsonable, write_aside, write_bytes_atomic
from corrwise.envs.arrays import to_uint8
from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.cli.mpc import run_name
from corrwise.experiments.cli.options import check_memory, device_named
from corrwise.experiments.report.summary import quoted, warn
from corrwise.experiments.report.video import label_panels, write_video
from corrwise.experiments.runs.folder import Job, RunFolder
from corrwise.experiments.runs.rows import COUNT, NUMBERS, TEXT_BY_NAME, Key, Row, RowKey, needed, six_digits
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.studies.predictors.evaluation import (
    CURVES,
    FLOOR,
    STRIPS,
    broken_frames,
    draw_curves,
    evaluation_page,
    evaluation_table,
)
from corrwise.predictors import CopyLast
from corrwise.predictors.data import Batch, ClipSource, ClipWindows
from corrwise.predictors.data.sources import open_clips
from corrwise.predictors.metrics import METRICS, frame_metrics
from corrwise.predictors.models.base import VideoPredictor
from corrwise.predictors.models.pretrained import about_model, model_folder, weights_hash
from corrwise.predictors.models.registry import load_model
from corrwise.types import Context, Predictor

__all__ = ["KEY", "draw_strips", "imagined", "moving_square", "run_evaluate"]

_WINDOWS, _COLUMNS = 6, 6  # windows, and predicted frames of each, that are shown at most
_ROWS = 24  # of frames in the picture, unless one window has more panels
_AROUND = 4  # px around what moves
_CHANGED = 12  # levels of 255 that are motion
_SIDE = 1.1  # inches of a frame


def draw_strips(path: Path, panels: Mapping[str, Float[Tensor, "n T 3 h w"]], context: int) -> None:
    """Draw frames of each panel for the first windows: the context's last, and some that are predicted.

    Args:
        path: of a PNG.
        panels: the true frames first; all begin with the same context.
        context: how many frames that is.
    """
    from matplotlib.figure import Figure

    frames = {name: to_uint8(panel) for name, panel in panels.items()}
    true = next(iter(frames.values()))
    ahead = true.shape[1] - context
    shown = np.unique(np.linspace(0, ahead, min(ahead, _COLUMNS) + 1).round().astype(int))
    windows = min(len(true), _WINDOWS, max(1, _ROWS // len(frames)))
    rows = [(name, window) for window in range(windows) for name in frames]
    figure = Figure(figsize=(_SIDE * len(shown) + 1.4, _SIDE * len(rows) + 0.3), layout="constrained")
    for line, (name, window) in zip(figure.subplots(len(rows), len(shown), squeeze=False), rows, strict=True):
        top, left, side = moving_square(true[window, context - 1 :])
        for axis, step in zip(line, shown, strict=True):
            frame = frames[name][window, context - 1 + step]
            axis.imshow(frame[top : top + side, left : left + side], interpolation="nearest")
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for axis, step in zip(figure.axes, shown, strict=False):
        axis.set_title(f"step {step}" if step else "last seen", fontsize=9)
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=80)


def moving_square(frames: UInt8[np.ndarray, "T h w 3"]) -> tuple[int, int, int]:
    """Return the top, left and side of the smallest square, inside the picture, around all that moves in a clip."""
    height, width = frames.shape[1:3]
    moved = (np.abs(frames.astype(int) - frames[0]).max(axis=(0, 3)) > _CHANGED).nonzero()
    if not len(moved[0]):
        return 0, 0, max(height, width)
    spans = [(int(where.min()) - _AROUND, int(where.max()) + 1 + _AROUND) for where in moved]
    side = min(height, width, max(end - begin for begin, end in spans))
    starts = ((begin + end - side) // 2 for begin, end in spans)
    top, left = (min(max(0, start), whole - side) for start, whole in zip(starts, (height, width), strict=True))
    return top, left, side


def _uneven(row: Row) -> str | None:
    """Return what is wrong with the metrics of a row."""
    steps = {name: len(row[name]) for name in (*METRICS, "lpips") if row.get(name) is not None}
    return None if len(set(steps.values())) == 1 else f"expected as many steps of each metric, got {steps}"


KEY = Key(
    {"model": str, "weights": str, "window": int},
    {
        **dict.fromkeys(METRICS, needed(NUMBERS)),
        **{"lpips": NUMBERS, "clip": needed(COUNT), "broken": COUNT, "versions": TEXT_BY_NAME},
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
    models = _models(config)
    context = max(model.config.context for _, model in models.values() if isinstance(model, VideoPredictor))
    clips = open_clips(config.data)
    shown = max(min(config.batch, config.windows), config.videos * (1 + len(models)))
    pixels = 12 * (context + config.horizon) * clips.size[0] * clips.size[1]
    check_memory(shown * pixels, "--batch, --horizon or --videos")
    for path in config.models:
        _check_clips(model_folder(str(path)), clips)
    for name, (_, model) in models.items():
        if isinstance(model, VideoPredictor) and model.config.action_dim != clips.action_dim:
            raise ValueError(
                f"expected clips with {model.config.action_dim} actions a step for {name}, got {clips.action_dim}"
            )
        imagined(model, _blank(clips, context), context)  # a model for other pictures says so
    windows = ClipWindows(clips, context + config.horizon)
    chosen = np.random.default_rng(config.seed).integers(len(windows), size=config.windows)
    settings = settings_of(config, "evaluate").with_values({"context": context, "frames": sum(clips.lengths)})
    jobs = [
        Job(
            _setup,
            _Evaluated(name, weights, model, context, windows, chosen),
            {(name, weights, k): {} for k in range(config.windows)},
            together=config.batch,
            label=name,
        )
        for name, (weights, model) in models.items()
    ]
    with RunFolder(config.out, settings, KEY) as folder:
        mine = folder.run(jobs, unit="window")
        videos = _videos(config, models, windows.windows(chosen[: config.videos]), context) if config.videos else []
        page = config.out / "evaluation.html"
        with reading(folder.file, "holds rows that no table can be made of", RunFolderError):
            draw_curves(config.out / CURVES, mine)
            broken = broken_frames(mine)
            write_bytes_atomic(config.out / "table.md", (quoted(broken) + evaluation_table(mine)).encode())
            write_bytes_atomic(page, evaluation_page(config, mine, videos).encode())
        warn(broken)
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


def _setup(job: _Evaluated, *, threads: int, progress: Callable[[], Any]) -> Callable[[Sequence[RowKey]], Any]:
    def rows(keys: Sequence[RowKey]) -> Iterator[Row]:
        numbers = [key[-1] for key in keys]
        for row in _rows(job.model, job.windows.windows(job.chosen[numbers]), job.context, numbers):
            clip = int(job.windows.clips(job.chosen[[row["window"]]])[0])
            yield {"model": job.name, "weights": job.weights, "clip": clip, **row}
            progress()

    return rows


def imagined(model: Predictor, batch: Batch, context: int) -> torch.Tensor:
    """Return what a model predicts after the first frames of each window, from the actions alone; (n, T, 3, h, w).

    It predicts where its weights are, and the frames come back to where the batch is.
    """
    weights = next(model.parameters(), None) if isinstance(model, torch.nn.Module) else None
    there = batch if weights is None else batch.to(weights.device)
    seen = Context(there.frames[:, :context], there.actions[:, : context - 1], None)
    with torch.no_grad():
        return model(seen, there.actions[:, None, context - 1 :])[:, 0].to(batch.frames.device)


def _blank(clips: ClipSource, context: int) -> Batch:
    """Return a black window of one frame more than the context."""
    plain: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}
    return Batch(
        torch.zeros(1, context + 1, 3, *clips.size, **plain), torch.zeros(1, context, clips.action_dim, **plain)
    )


def _models(config: EvaluateConfig) -> dict[str, tuple[str, Predictor]]:
    """Return each model's weights, as a short hash, and the model itself, by the name of its folder; the floor too."""
    found: dict[str, tuple[str, Predictor]] = {}
    device = device_named(config.device)
    for path in config.models:
        folder = model_folder(str(path))
        name = run_name(folder)
        if name in found or name == FLOOR:
            raise ValueError(f"expected models in folders of different names, got {name} twice")
        model = load_model(folder).requires_grad_(False)  # says what is wrong with it, if it cannot be read
        found[name] = weights_hash(folder), model.to(device)
    return {**found, FLOOR: ("", CopyLast())}


def _check_clips(folder: Path, clips: ClipSource) -> None:
    """Refuse a model that was trained on clips of another task or other pictures, where both tell."""
    theirs, ours = about_model(folder)["about"].get("clips", {}), getattr(clips, "about", {})
    for name in ("task", "frame_skip", "size", "supersample"):
        if name in theirs and name in ours and theirs[name] != ours[name]:
            raise ValueError(f"{folder} was trained on clips of {name} {theirs[name]}, and these are of {ours[name]}")


def _rows(model: Predictor, batch: Batch, context: int, numbers: Sequence[int]) -> list[Row]:
    """Return a row for each window: every metric of every predicted frame, and how many frames are not finite."""
    shown = imagined(model, batch, context)
    found = frame_metrics(shown, batch.frames[:, context:], batch.frames[:, context - 1])
    broken = (~shown.isfinite().flatten(2).all(dim=2)).sum(dim=1).tolist()
    return [
        {
            "window": number,
            **{name: six_digits(jsonable(values[k].double())) for name, values in found.items()},
            "broken": broken[k],
        }
        for k, number in enumerate(numbers)
    ]


def _videos(config: EvaluateConfig, models: dict[str, tuple[str, Predictor]], batch: Batch, context: int) -> list[str]:
    """Draw what came beside what each model predicted, and write the same as videos; return the files' names."""
    panels = {"true": batch.frames}
    for name, (_, model) in models.items():
        shown = torch.cat([imagined(model, part, context) for part in batch.split(config.batch)])
        panels[name] = torch.cat([batch.frames[:, :context], shown], dim=1)
    draw_strips(config.out / STRIPS, panels, context)
    names = []
    for k in range(len(batch.frames)):
        names.append(f"videos/window-{k}.mp4")
        write_video(config.out / names[-1], label_panels({n: to_uint8(clips[k]) for n, clips in panels.items()}), fps=5)
    return names
