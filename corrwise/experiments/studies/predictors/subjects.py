"""What ``corrwise evaluate`` evaluates: models and the baseline, on windows of clips that fit them all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.cli.mpc import run_name
from corrwise.experiments.cli.options import check_memory, device_named
from corrwise.experiments.runs.sampling import asked, learned_by_flow_matching, not_taken, with_sampling
from corrwise.experiments.runs.settings import Settings, settings_of
from corrwise.experiments.studies.predictors.apart import differs, learned_from, listed, shared_clips
from corrwise.experiments.studies.predictors.evaluation import BASELINE
from corrwise.experiments.studies.predictors.sampling import predict
from corrwise.predictors import CopyLast
from corrwise.predictors.data import Batch, ClipSource, ClipWindows
from corrwise.predictors.data.sources import open_clips
from corrwise.predictors.interpolation.strided import ControlSteps, check_horizon
from corrwise.predictors.models.pretrained import about_model, model_folder, weights_hash
from corrwise.predictors.models.registry import load_model
from corrwise.predictors.sample_metrics import TOGETHER
from corrwise.types import Predictor

__all__ = ["Subjects", "subjects_of"]


@dataclass(frozen=True, eq=False)
class Subjects:
    """Models, and the windows that they are evaluated on.

    Attributes:
        models: a short hash of the weights and the model, by the name of its folder; the baseline comes last.
        context: frames that all models see.
        windows: of the context and the horizon, in all clips.
        chosen: numbers of the windows that count, one for each of ``--windows``.
        settings: what rows of these models depend on.
        warnings: sentences about clips that models learned from, and how they do not sample.
    """

    models: dict[str, tuple[str, Predictor]]
    context: int
    windows: ClipWindows
    chosen: np.ndarray
    settings: Settings
    warnings: list[str]


def subjects_of(config: EvaluateConfig) -> Subjects:
    """Return the models of a configuration and the windows of its clips, after all checks of whether they fit.

    Raises:
        FileNotFoundError, ValueError: models or clips that cannot be used, or do not fit each other.
        RuntimeError: a GPU is asked for, and there is none.
    """
    models, unused = _models(config)
    steps = {name: ControlSteps.of(model_folder(str(path))) for name, path in zip(models, config.models, strict=False)}
    context = max(each.context for each in steps.values())
    clips = open_clips(config.data)
    together = max(min(config.batch, config.windows), config.videos * (1 + len(models)), min(config.samples, TOGETHER))
    together += config.windows if config.residuals is not None else 0
    pixels = 12 * (context + config.horizon) * clips.size[0] * clips.size[1]
    check_memory(together * pixels, "--batch, --horizon, --videos or --windows")
    for path in config.models:
        _check_clips(model_folder(str(path)), clips)
    for name, each in steps.items():
        if each.action_dim not in (0, clips.action_dim):  # without actions a model predicts any clips
            raise ValueError(f"expected clips with {each.action_dim} actions a step for {name}, got {clips.action_dim}")
        check_horizon(config.horizon, each.stride)
        predict(models[name][1], _blank(clips, context, each.stride), context)  # a model for other images raises here
    windows = ClipWindows(clips, context + config.horizon)
    chosen = np.random.default_rng(config.seed).integers(len(windows), size=config.windows)
    settings = settings_of(config, "evaluate").with_values({"context": context, "frames": sum(clips.lengths)})
    learned = {name: learned_from(model_folder(str(path))) for name, path in zip(models, config.models, strict=False)}
    shared = shared_clips(learned, config.data, clips, windows.frames)
    return Subjects(models, context, windows, chosen, settings, shared + unused)


def _blank(clips: ClipSource, context: int, stride: int) -> Batch:
    """Return a black window of one stride more than the context."""
    plain: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}
    frames = context + stride
    return Batch(torch.zeros(1, frames, 3, *clips.size, **plain), torch.zeros(1, frames - 1, clips.action_dim, **plain))


def _models(config: EvaluateConfig) -> tuple[dict[str, tuple[str, Predictor]], list[str]]:
    """Return a short hash of the weights and the model, by the name of its folder; the baseline too.

    With them come sentences about few-step students, which sample in ways that ``--sampling`` cannot change.
    """
    models: dict[str, tuple[str, Predictor]] = {}
    device, several, left_out = device_named(config.device), False, dict[str, list[str]]()
    for path in config.models:
        if str(path) == BASELINE and not path.exists():
            raise ValueError(f"expected folders of trained models, got {BASELINE}, which is always evaluated")
        folder = model_folder(str(path))
        name = run_name(folder)
        if name in models or name == BASELINE:
            raise ValueError(f"expected models in folders of different names, got {name} twice")
        model = load_model(folder).requires_grad_(False)  # raises if it cannot be read
        if learned_by_flow_matching(model, folder):
            left_out[name] = not_taken(model, config.sampling)
            mine = [pair for pair in config.sampling if pair not in left_out[name]]
            model, several = with_sampling(model, folder, config.nfe, mine), True
        models[name] = (
            weights_hash(folder),
            ControlSteps.of(folder).predictor(model.to(device), config.stride_interpolator),
        )
    if (config.nfe is not None or config.sampling) and not several:
        what = asked(config.nfe, config.sampling)
        raise ValueError(f"expected a denoiser trained by flow matching for {what}, got none")
    if nowhere := [pair for pair in config.sampling if all(pair in pairs for pairs in left_out.values())]:
        wanted = f"expected a denoiser that takes {' '.join(nowhere)}"
        raise ValueError(f"{wanted}, got few-step students, which have times of their own and fresh noise")
    students = [name for name, pairs in left_out.items() if pairs]  # all without the same pairs
    sentences = [f"{listed(students)}: a few-step student takes no {' '.join(left_out[name])}" for name in students[:1]]
    return {**models, BASELINE: ("", CopyLast())}, sentences


def _check_clips(folder: Path, clips: ClipSource) -> None:
    """Refuse a model that was trained on clips of another task or other images, where both are known."""
    trained, given = about_model(folder)["about"].get("clips", {}), getattr(clips, "about", {})
    if (name := differs(trained, given)) is not None:
        raise ValueError(f"{folder} was trained on clips of {name} {trained[name]}, and these are of {given[name]}")
