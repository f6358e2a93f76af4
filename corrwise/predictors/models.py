"""The learned predictors by name."""

from __future__ import annotations

from os import PathLike
from typing import Any

from corrwise.predictors.pretrained import about_model
from corrwise.predictors.resnet3d import ResNet3D
from corrwise.predictors.svg import SVG
from corrwise.predictors.svg_prime import SVGPrime
from corrwise.predictors.video_predictor import VideoPredictor

__all__ = ["MODELS", "load_model", "make_model"]

MODELS: dict[str, type[VideoPredictor]] = {kind.name: kind for kind in (ResNet3D, SVG, SVGPrime)}


def make_model(name: str, **options: Any) -> VideoPredictor:
    """Return a fresh model by name, its weights drawn from torch's global generator.

    Raises:
        ValueError: an unknown name, or options that make no model.
    """
    kind = _kind(name)
    try:
        config = kind.config_type(**options)
    except TypeError as error:
        raise ValueError(f"{name} has no such options: {error}") from error
    return kind(config)


def load_model(folder: str | PathLike[str]) -> VideoPredictor:
    """Return the model that a folder holds, whichever it is, in evaluation mode.

    Raises:
        FileNotFoundError, ValueError: see ``Pretrained.from_pretrained``.
    """
    return _kind(about_model(folder)["model"]).from_pretrained(folder)


def _kind(name: str) -> type[VideoPredictor]:
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; there are {', '.join(MODELS)}")
    return MODELS[name]
