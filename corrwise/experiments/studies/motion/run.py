"""``corrwise evaluate --motion``: rows of how futures move, tables, distributions, and videos beside their flow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from corrwise._files import reading
from corrwise._writing import RunFolderError, write_bytes_atomic
from corrwise.costs.flow_colors import flow_wheel
from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.report.flows import flow_frames
from corrwise.experiments.report.page import template
from corrwise.experiments.report.strip import embedded, png_bytes
from corrwise.experiments.report.table import write_table
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.jobs import Job
from corrwise.experiments.runs.rows import Row
from corrwise.experiments.studies.motion.blind import BLIND_PAGE, write_blind
from corrwise.experiments.studies.motion.drawings import (
    draw_distributions,
    with_flow,
    write_flow_video,
)
from corrwise.experiments.studies.motion.losses import check_losses, draw_losses, held_losses, loss_table
from corrwise.experiments.studies.motion.measure import KEY, REAL, Estimators, Measured, motion_rows, videos
from corrwise.experiments.studies.motion.table import motion_page, motion_tables
from corrwise.experiments.studies.predictors.evaluation import STRIPS, by_model, draw_strips
from corrwise.experiments.studies.predictors.sampling import futures_of, window_generators
from corrwise.experiments.studies.predictors.subjects import Subjects, subjects_of

__all__ = ["run_motion"]

PAGE, DISTRIBUTIONS, LOSSES = "motion.html", "distributions.png", "losses.png"


def run_motion(config: EvaluateConfig) -> Path:
    """Measure what the folder does not hold yet, and return the path of the page that shows it.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, ValueError: models, clips, a flow or an interpolator that cannot be used, or do not fit each
            other.
        RuntimeError: a GPU is asked for, and there is none.
    """
    subjects, estimators = subjects_of(config), Estimators(config)
    if REAL in subjects.models:
        raise ValueError(f"expected models in folders that are not named {REAL}, as the true frames are in rows")
    losses: dict[str, float] = {}
    if config.losses is not None:
        losses = held_losses(config.losses)
        check_losses(losses, [weights for weights, _ in subjects.models.values()])
    arms = {REAL: ("", None), **subjects.models}
    clips = subjects.windows.clips(subjects.chosen).tolist()
    jobs = [
        Job(
            motion_rows,
            Measured(name, weights, model, subjects, estimators, config),
            {(name, weights, k): {**estimators.stamp, "clip": clip} for k, clip in enumerate(clips)},
            together=config.batch,
            label=name,
        )
        for name, (weights, model) in arms.items()
    ]
    with RunFolder(config.out, subjects.settings, KEY, newest=True) as folder:
        rows = folder.run(jobs, unit="window")
        shown = _draw_videos(config, subjects, estimators) if config.videos else []
        with reading(folder.file, "holds rows that no table can be made of", RunFolderError):
            draw_distributions(config.out / DISTRIBUTIONS, rows)
            tables = motion_tables(rows, flow=config.motion_flow, interpolator=config.motion_interpolator)
            if losses:
                tables.append(loss_table(rows, losses))
                draw_losses(config.out / LOSSES, rows, losses)
        if config.blind:
            write_blind(config, shown_futures(config, subjects, config.blind))
        warnings = subjects.warnings + broken_futures(rows)
        write_bytes_atomic(config.out / PAGE, _page(config, rows, tables, warnings, shown).encode())
        write_table(config.out, lambda: (motion_page(tables), warnings))
    return config.out / PAGE


def broken_futures(rows: Sequence[Row]) -> list[str]:
    """Return a sentence about each model whose futures have frames that are not finite."""
    sentences = []
    for name, mine in by_model(rows).items():
        count = sum(row.get("broken_samples") or 0 for row in mine)
        drawn = sum((row.get("samples") or 0) * len(row.get("energy") or ()) for row in mine)
        if count:
            end = "; its numbers are no result" if count == drawn else ""
            sentences.append(f"{name}: {count} of {drawn} sampled frames are not finite and count as black{end}")
    return sentences


def shown_futures(config: EvaluateConfig, subjects: Subjects, windows: int) -> dict[str, Float[Tensor, "n T 3 h w"]]:
    """Return the true frames of the first windows and one future by each model, from the last frame that is seen on."""
    batch, before = subjects.windows.windows(subjects.chosen[:windows]), subjects.context - 1
    shown = {REAL: batch.frames[:, before:]}
    generators = [window_generators(config.seed, k, config.samples)[:1] for k in range(len(batch.frames))]
    for name, (_, model) in subjects.models.items():
        made = futures_of(model, batch, subjects.context, generators, config.batch)
        shown[name] = videos(batch.frames[:, before], made)[:, 0]
    return shown


def _draw_videos(config: EvaluateConfig, subjects: Subjects, estimators: Estimators) -> list[str]:
    """Draw one future of some windows beside the true frames, each above its flow; return the videos' names."""
    shown = shown_futures(config, subjects, config.videos)
    flows = {name: estimators.flows(frames) for name, frames in shown.items()}
    colours = {name: flow_frames(flow, flows[REAL]) for name, flow in flows.items()}
    draw_strips(config.out / STRIPS, with_flow(shown, colours), context=1)
    names = [f"videos/window-{k}.mp4" for k in range(len(shown[REAL]))]
    for k, video in enumerate(names):
        write_flow_video(
            config.out / video, {n: mine[k] for n, mine in shown.items()}, {n: mine[k] for n, mine in colours.items()}
        )
    return names


def _page(
    config: EvaluateConfig, rows: Sequence[Row], tables: Sequence[object], warnings: Sequence[str], shown: Sequence[str]
) -> str:
    """Return a page that opens from disk: the tables, the distributions, and the videos beside it."""
    return str(
        template("motion.html").render(
            facts={
                "clips": str(config.data),
                **{name: getattr(config, name) for name in ("windows", "horizon", "samples", "seed")},
                "flow": config.motion_flow,
                "interpolator": config.motion_interpolator,
            },
            warnings=warnings,
            tables=tables,
            losses=embedded((config.out / LOSSES).read_bytes()) if config.losses else "",
            blind=BLIND_PAGE if config.blind else "",
            distributions=embedded((config.out / DISTRIBUTIONS).read_bytes()),
            strips=embedded((config.out / STRIPS).read_bytes()) if shown else "",
            wheel=embedded(png_bytes(flow_wheel(72))),
            videos=shown,
            versions=(rows[-1].get("versions") or {}) if rows else {},
        )
    )
