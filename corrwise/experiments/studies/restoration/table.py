"""``corrwise table restoration``: rows, a table for each flow, and frames of each noise carrier."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np

from corrwise.experiments.cli.mpc import run_name
from corrwise.experiments.cli.restore import FIXED, RESAMPLE
from corrwise.experiments.cli.table_restoration import GROUND_TRUTH, RestorationTableConfig, noises_of
from corrwise.experiments.report.statistics import Estimate, mean_and_error, paired_difference, paired_ratio
from corrwise.experiments.report.table import markdown_table, number, percent, with_error, write_table
from corrwise.experiments.runs.executors import Local
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.jobs import Job
from corrwise.experiments.runs.rows import Row, RowKey
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.studies.restoration.drawings import draw_frames
from corrwise.experiments.studies.restoration.measure import (
    GUESS,
    KEY,
    NO_FLOW,
    TRUE,
    RestoredBy,
    follows,
    restored_rows,
)
from corrwise.experiments.studies.restoration.videos import HeldVideos
from corrwise.predictors.models.pretrained import model_folder, weights_hash
from corrwise.predictors.restoration import RestorationModel, make_damage

__all__ = ["restoration_tables", "run_restoration_table"]

FIGURE = "frames.png"
PUBLISHED = """### Published

Warped Diffusion (Daras et al., NeurIPS 2024), Stable Diffusion XL at 1024 px. Its measure is not
defined precisely: compare ratios.

| task | carrier | warping error | ratio |
|---|---|---|---|
| inpainting, videos of integer shifts | fixed | 0.129 | 1 |
| | Gaussian process | 0.061 | 0.473 |
| | how I warped your noise | 0.046 | 0.357 |
| | Gaussian process with guidance | 0.001 | 0.008 |
| super-resolution 8 x, videos | resample | 0.934 | 1 |
| | Gaussian process | 0.812 | 0.869 |
| | Gaussian process with guidance | 0.649 | 0.695 |
"""

Arm = tuple[str, str]  # the carrier, with +guidance or without, and the noise of the models
Rows = Sequence[Row]


def run_restoration_table(config: RestorationTableConfig) -> Path:
    """Restore what the folder does not hold yet, draw the frames, and return the path of the table.

    Rows of a model whose weights have changed, and of clips that have grown, are made anew.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, ValueError: models or clips that cannot be used, or do not fit each other.
    """
    held = HeldVideos(config)
    held.video(0)  # what cannot be read fails before anything is written
    noises = {**dict.fromkeys(config.models, "gp"), **dict.fromkeys(config.white_models, "white")}
    warnings = [text for path, noise in noises.items() if (text := _checked(path, noise, config))]
    if repeated := held.repeated():
        warnings.append(
            f"{repeated} of the {config.videos} videos show frames of another one: intervals take them for independent"
        )
    moved = any(follows(carrier) for carrier in config.carriers)
    if moved and GROUND_TRUTH in config.flows and held.no_truth:
        raise ValueError(f"{config.data} has no ground-truth flow: {held.no_truth}; choose other --flows")
    subjects = [RestoredBy(each, NO_FLOW, None, "", config) for each in (TRUE, GUESS)]
    for carrier, (path, noise) in product(config.carriers, noises.items()):
        if noise in noises_of(carrier):
            flows = config.flows if follows(carrier) else (NO_FLOW,)
            subjects += [RestoredBy(carrier, flow, path, run_name(path), config) for flow in flows]
    jobs = []
    for each in subjects:
        stamp = {
            "weights": None if each.model is None else weights_hash(model_folder(each.model)),
            "frames": held.count,
        }
        key = (each.carrier, each.flow, each.name)
        rows: dict[RowKey, Row] = {(*key, number): stamp for number in range(config.videos)}
        jobs.append(Job(restored_rows, each, rows, label=" ".join(filter(None, key))))
    with RunFolder(config.out, settings_of(config, "restoration"), KEY, newest=True, digits=True) as folder:
        made = folder.run(jobs, Local(config.processes), unit="video")

        def page() -> tuple[str, list[str]]:
            draw_frames(config.out / FIGURE, config, made)
            return restoration_tables(made, passes=config.passes) + PUBLISHED, warnings

        return write_table(config.out, page)


def _checked(path: Path, noise: str, config: RestorationTableConfig) -> str:
    """Refuse a model of other noise or another damage; return a warning of other options of the damage, or nothing."""
    model = RestorationModel.from_pretrained(model_folder(path)).config
    if model.noise != noise:
        option = "--models" if noise == "gp" else "--white-models"
        raise ValueError(f"expected {option} of noise={noise}, got one of noise={model.noise} in {path}")
    damage, trained = make_damage(config.damage), [make_damage(text) for text in model.damages]
    if type(damage) not in map(type, trained):
        raise ValueError(
            f"expected a model that is trained for {damage}, got one for {_words(model.damages)} in {path}"
        )
    if damage in trained:
        return ""
    return f"{run_name(path)} is trained for {_words(model.damages)}, and restores {damage}"


def _words(damages: Iterable[str]) -> str:
    return ", ".join(damages)


def restoration_tables(rows: Iterable[Row], *, passes: int = 1) -> str:
    """Return a table for each flow, with what does not depend on it in each.

    Numbers are means over videos, each the mean over the models of a noise. Ratios and differences are paired by video,
    with 95 % bootstrap intervals over videos, and compare carriers of the same noise.

    Args:
        rows: of restored videos.
        passes: how often videos were restored along flow that is estimated.
    """
    rows = list(rows)
    flows = list(dict.fromkeys(row["flow"] for row in rows if row["flow"] != NO_FLOW)) or [NO_FLOW]
    parts = []
    for flow in flows:
        arms = _arms(row for row in rows if row["flow"] in (flow, NO_FLOW))
        title = "Without flow" if flow == NO_FLOW else f"Followed by {flow}"
        title += f" in {passes} passes" if passes > 1 and flow not in (NO_FLOW, GROUND_TRUTH) else ""
        parts.append(f"### {title}\n\n{_table(arms)}")
    visible, traced = (float(np.mean([row[name] for row in rows])) for name in ("visible", "traced"))
    shares = f"{percent(visible)} of the pixels with the frame before, {percent(traced)} with the first frame"
    parts.append(
        "Warping error: mean squared difference of a pixel, in [0, 1], from its point in the other frame, times 1000. "
        f"Pixels that both frames show are compared: {shares}; where it moves are those that have moved by more than "
        f"half a pixel. {_carried(rows)}In brackets 95 % intervals over videos.\n"
    )
    if all(row.get("st_lpips") is None for row in rows):
        parts.append("ST-LPIPS was not measured: it needs stlpips-pytorch, and images of 21 pixels or more.\n")
    return "\n".join(parts) + "\n"


def _carried(rows: Rows) -> str:
    """Return a sentence of how much of the noise is that of the first frame, by each flow; empty without flow."""
    flows: dict[str, list[float]] = {}
    for row in rows:
        if row.get("carried") is not None:
            flows.setdefault(row["flow"], []).append(row["carried"])
    shares = ", ".join(f"{percent(float(np.mean(values)))} by {flow}" for flow, values in flows.items())
    return f"Pixels that are followed from the first frame on, or from outside of it: {shares}. " if flows else ""


def _arms(rows: Iterable[Row]) -> dict[Arm, list[Row]]:
    arms: dict[Arm, list[Row]] = {}
    for row in rows:
        arms.setdefault((row["carrier"], row.get("noise") or ""), []).append(row)
    return arms


def _table(arms: Mapping[Arm, Rows]) -> str:
    lines = []
    for (carrier, noise), rows in arms.items():
        fixed, resample = (arms.get((name, noise), ()) if noise else () for name in (FIXED, RESAMPLE))
        cells = [f"`{carrier}`" if noise else carrier, noise]
        cells += [str(len({row["model"] for row in rows})) if noise else "", str(len({row["video"] for row in rows}))]
        for name in ("warping_previous", "warping_moving", "warping_first"):
            mean, error = _mean(rows, name)
            cells.append(with_error(1000 * mean, 1000 * error, 3))
            cells += [_ratio(rows, base, name) for base in (fixed, resample)]
        cells += [number(_mean(rows, "psnr")[0], 2), _minus(rows, resample, "psnr", "+.2f")]
        cells += [number(_mean(rows, "ssim")[0], 4), number(_mean(rows, "st_lpips")[0], 4)]
        cells.append(number(_mean(rows, "seconds_frame")[0], 2))
        lines.append(cells)
    head = ["carrier", "noise", "models", "videos", "warping error, frame before", "of fixed's", "of resample's"]
    head += ["where it moves", "of fixed's", "of resample's", "first frame", "of fixed's", "of resample's"]
    head += ["PSNR, dB", "minus resample's", "SSIM", "ST-LPIPS"]
    return markdown_table([*head, "CPU s a frame"], lines)


def _of_videos(rows: Rows, name: str) -> dict[int, float]:
    """Return a field of each video, the mean over models; without videos that a model has no value for."""
    videos: dict[int, list[float | None]] = {}
    for row in rows:
        videos.setdefault(row["video"], []).append(row.get(name))
    known = {video: [each for each in values if each is not None] for video, values in videos.items()}
    return {video: float(np.mean(known[video])) for video in sorted(known) if len(known[video]) == len(videos[video])}


def _mean(rows: Rows, name: str) -> tuple[float, float]:
    return mean_and_error(list(_of_videos(rows, name).values()))


def _pairs(rows: Rows, base: Rows, name: str) -> tuple[list[float], list[float]]:
    one, two = _of_videos(rows, name), _of_videos(base, name)
    videos = [video for video in one if video in two]
    return [one[video] for video in videos], [two[video] for video in videos]


def _ratio(rows: Rows, base: Rows, name: str) -> str:
    return _text(rows, base, paired_ratio(*_pairs(rows, base, name)), ".3f")


def _minus(rows: Rows, base: Rows, name: str, form: str) -> str:
    return _text(rows, base, paired_difference(*_pairs(rows, base, name)), form)


def _text(rows: Rows, base: Rows, estimate: Estimate, form: str) -> str:
    return "" if rows is base else estimate.text(form)
