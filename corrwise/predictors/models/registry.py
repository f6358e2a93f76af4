"""The learned predictors by name."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from corrwise._files import reading
from corrwise._network_size import check_network
from corrwise.predictors.generative.denoiser import Denoiser
from corrwise.predictors.models.base import VideoPredictor
from corrwise.predictors.models.pretrained import CONFIG, about_model, typed_config
from corrwise.predictors.models.resnet3d import ResNet3D
from corrwise.predictors.models.svg import SVG
from corrwise.predictors.models.svg_prime import SVGPrime

__all__ = ["MODELS", "load_model", "make_model", "model_config"]

_OTHERS = {"restoration": "corrwise restore and corrwise mpc --restore", "flavr": "corrwise interpolate"}

MODELS: dict[str, type[VideoPredictor]] = {kind.name: kind for kind in (ResNet3D, SVG, SVGPrime, Denoiser)}


def make_model(name: str, **options: Any) -> VideoPredictor:
    """Return a new model by name, with weights from torch's global generator.

    Raises:
        ValueError: see ``model_config``, or a model that is too large (``check_network``).
    """
    kind, config = _kind(name), model_config(name, **options)
    check_network(lambda: kind(config))
    return kind(config)


def model_config(name: str, **options: Any) -> Any:
    """Return the configuration of a model by name.

    Raises:
        ValueError: an unknown name, unknown options, or values of the wrong type.
    """
    return typed_config(_kind(name).config_type, name, options)


def load_model(folder: str | PathLike[str]) -> VideoPredictor:
    """Return the model in a folder, of any kind, in evaluation mode.

    Raises:
        FileNotFoundError, ValueError: see ``Pretrained.from_pretrained``; or a model that predicts no frames.
    """
    name = about_model(folder)["model"]
    if name in _OTHERS:
        raise ValueError(f"{folder} holds a model {name!r}, which predicts no frames; {_OTHERS[name]} can use it")
    with reading(Path(folder) / CONFIG, "does not describe a model"):
        kind = _kind(name)
    return kind.from_pretrained(folder)


def _kind(name: str) -> type[VideoPredictor]:
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; there are {', '.join(MODELS)}")
    return MODELS[name]
