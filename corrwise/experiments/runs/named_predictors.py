"""Predictors by name: the simulator, the floor, and trained models by their folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path

from corrwise._files import local_path
from corrwise.envs import MujocoSimulator
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs.device import model_on
from corrwise.experiments.runs.named_tasks import named_task
from corrwise.predictors import CopyLast, OraclePredictor
from corrwise.predictors.models.base import VideoPredictor
from corrwise.predictors.models.pretrained import CONFIG, WEIGHTS, about_model
from corrwise.predictors.models.registry import load_model
from corrwise.types import Predictor

__all__ = ["PREDICTORS", "context_of", "make_predictor", "model_folder", "weights_hash", "weights_of"]

PREDICTORS: dict[str, Callable[[MujocoSimulator], Predictor]] = {
    "oracle": OraclePredictor,
    "copy-last": lambda simulator: CopyLast(),
}


def make_predictor(config: MPCConfig, simulator: MujocoSimulator) -> Predictor:
    """Return the predictor that a configuration names.

    Raises:
        FileNotFoundError, ValueError: there is no such model, it is of another task or of other pictures, or it cannot
            be read.
    """
    if config.predictor in PREDICTORS:
        return PREDICTORS[config.predictor](simulator)
    return _model(config) if config.device == "cpu" else model_on(config.device, _model(config))


def context_of(config: MPCConfig) -> int:
    """Return how many frames the predictor sees: a trained model's own number, or what is asked for if that is more.

    Raises:
        FileNotFoundError, ValueError: see ``make_predictor``.
    """
    own = 1 if config.predictor in PREDICTORS else int(_model(config).config.context)
    return max(own, config.context_frames)


def weights_of(config: MPCConfig) -> str | None:
    """Return what tells the weights of a trained model from others; None where there are none.

    Raises:
        FileNotFoundError, ValueError: see ``make_predictor``.
    """
    if config.predictor in PREDICTORS:
        return None
    _model(config)
    return weights_hash(model_folder(config.predictor))


def model_folder(name: str) -> Path:
    """Return the folder of a trained model: the one named, or ``model`` inside the training run's that is named."""
    folder = local_path(name)
    return folder / "model" if (folder / "model" / CONFIG).is_file() else folder


def weights_hash(folder: Path) -> str:
    """Return what tells the weights in a model's folder from others."""
    return sha256((folder / WEIGHTS).read_bytes()).hexdigest()[:12]


def _model(config: MPCConfig) -> VideoPredictor:
    folder = model_folder(config.predictor)
    clips = about_model(folder)["about"].get("clips", {})
    if clips.get("task", config.task) != config.task:
        raise ValueError(f"{config.predictor} was trained on {clips['task']}, and the task here is {config.task}")
    model = _loaded(folder)
    if config.depth or model.config.channels != 3 * len(config.cameras):
        got = f"{len(config.cameras)} views{' with depth' if config.depth else ''}"
        raise ValueError(f"{config.predictor} predicts images of {model.config.channels} channels, got {got}")
    if model.config.action_dim != _actions(config.task):
        raise ValueError(
            f"{config.predictor} knows {model.config.action_dim} actions a step, and {config.task} has "
            f"{_actions(config.task)}"
        )
    rays = clips.get("supersample", config.supersample)
    if rays != config.supersample:
        raise ValueError(f"{config.predictor} was trained with supersample {rays}, got {config.supersample}")
    size = clips.get("size", [config.size] * 2)
    if list(size) != [config.size] * 2:
        raise ValueError(
            f"{config.predictor} was trained on pictures of {size[0]} x {size[1]} pixels, got size {config.size}"
        )
    return model


@cache
def _actions(task: str) -> int:
    return int(named_task(task).compile().nu)


@cache
def _loaded(folder: Path) -> VideoPredictor:
    return load_model(folder).requires_grad_(False)
