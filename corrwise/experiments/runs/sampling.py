"""How a trained denoiser samples its frames, other than its own configuration states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from corrwise.experiments.cli.options import SAMPLING, option_values
from corrwise.experiments.cli.train import FLOW_MATCHING
from corrwise.predictors.generative.denoiser import Denoiser
from corrwise.predictors.models.base import VideoPredictor
from corrwise.predictors.models.pretrained import about_model

__all__ = ["asked", "learned_by_flow_matching", "not_taken", "with_sampling"]

_NOT_OF_STUDENTS = ("solver", "time_grid", "correlation")  # a few-step student has times of its own and fresh noise


def learned_by_flow_matching(model: VideoPredictor, folder: Path) -> bool:
    """Return whether the model in a folder is a denoiser that may take any number of evaluations for a frame.

    A denoiser by regression may not. It has no times of its own, which a few-step student has, trained or not.
    """
    loss = about_model(folder)["about"].get("loss", FLOW_MATCHING)
    return isinstance(model, Denoiser) and (bool(model.config.sample_at) or loss == FLOW_MATCHING)


def asked(nfe: int | None, sampling: Sequence[str]) -> str:
    """Return in words how a model is to sample."""
    return ", ".join([*([] if nfe is None else [f"{nfe} evaluations a frame"]), *sampling])


def not_taken(model: VideoPredictor, sampling: Sequence[str]) -> list[str]:
    """Return those pairs that a few-step student does not take; none of any other denoiser."""
    student = isinstance(model, Denoiser) and model.config.sample_at
    return [pair for pair in sampling if student and pair.partition("=")[0] in _NOT_OF_STUDENTS]


def with_sampling(model: VideoPredictor, folder: Path, nfe: int | None, sampling: Sequence[str] = ()) -> VideoPredictor:
    """Return a model that samples its frames in another way; without any it is left as it is.

    Args:
        model: the model in the folder.
        folder: of the model.
        nfe: largest number of evaluations of the network for a frame (NFE); None leaves its own.
        sampling: pairs such as ``temperature=1.2``, of the names in ``corrwise.experiments.cli.options.SAMPLING``.

    Raises:
        ValueError: a model that was not trained by flow matching, and knows one evaluation alone; an unknown name, one
            that is given twice or that a few-step student does not use, or a value out of range.
    """
    if nfe is None and not sampling:
        return model
    if not learned_by_flow_matching(model, folder):
        raise ValueError(f"expected a denoiser trained by flow matching for {asked(nfe, sampling)}, got {folder}")
    changed: dict[str, Any] = option_values(sampling)
    unknown = [name for name in changed if name not in SAMPLING]
    if unknown:
        raise ValueError(f"expected of a sample {', '.join(SAMPLING)}, got {', '.join(unknown)}")
    if len(changed) < len(sampling):
        raise ValueError(f"expected each option of a sample once, got {' '.join(sampling)}")
    if unused := not_taken(model, sampling):
        wanted = f"expected no {' '.join(unused)} for a few-step student, which has times of its own and fresh noise"
        raise ValueError(f"{wanted}, got {folder}")
    if nfe is not None:
        most = len(model.config.sample_at) or nfe  # a few-step student has no more times
        changed["evaluations"] = min(nfe, most)
    model.config = replace(model.config, **changed)
    return model
