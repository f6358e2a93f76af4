"""Predictors by name: the simulator, the floor, and trained models by their folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from corrwise._files import local_path
from corrwise.envs import MujocoSimulator
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs.named_tasks import named_task
from corrwise.predictors import CopyLast, OraclePredictor
from corrwise.predictors.models.base import VideoPredictor
from corrwise.predictors.models.pretrained import CONFIG, WEIGHTS, about_model
from corrwise.predictors.models.registry import load_model, model_config
from corrwise.types import Predictor

__all__ = [
    "PREDICTORS",
    "Trained",
    "context_of",
    "load_trained",
    "make_predictor",
    "model_folder",
    "weights_hash",
]

PREDICTORS: dict[str, Callable[[MujocoSimulator], Predictor]] = {
    "oracle": OraclePredictor,
    "copy-last": lambda simulator: CopyLast(),
}


@dataclass(frozen=True)
class Trained:
    """A trained predictor as it was read from its folder.

    Attributes:
        model: in evaluation mode, without gradients.
        weights: what tells its weights from others.
    """

    model: VideoPredictor
    weights: str


def make_predictor(config: MPCConfig, simulator: MujocoSimulator, trained: Trained | None = None) -> Predictor:
    """Return the predictor that a configuration names.

    Args:
        config: its name, and what it must fit.
        simulator: what an oracle asks.
        trained: the trained predictor, where it has been loaded already.

    Raises:
        FileNotFoundError, ValueError: see ``load_trained``.
    """
    if config.predictor in PREDICTORS:
        return PREDICTORS[config.predictor](simulator)
    trained = load_trained(config) if trained is None else trained
    assert trained is not None
    return trained.model


def context_of(config: MPCConfig) -> int:
    """Return how many frames the predictor sees: a trained model's own number, or what is asked for if that is more.

    Raises:
        FileNotFoundError, ValueError: there is no such model, or it cannot be read.
    """
    if config.predictor in PREDICTORS:
        return config.context_frames
    told = about_model(model_folder(config.predictor))
    return max(int(model_config(told["model"], **told["config"]).context), config.context_frames)


def load_trained(config: MPCConfig) -> Trained | None:
    """Return the trained predictor that a configuration names; None where it names none.

    Nothing is kept: a folder may hold another model the next time.

    Raises:
        FileNotFoundError, ValueError: there is no such model, it is of another task or of other images, it cannot be
            read, or it is written anew at this moment.
    """
    if config.predictor in PREDICTORS:
        return None
    folder = model_folder(config.predictor)
    _check_clips(config, folder)
    before = weights_hash(folder) if (folder / WEIGHTS).is_file() else ""
    model = load_model(folder).requires_grad_(False)
    if (after := weights_hash(folder)) != before:
        raise ValueError(f"{config.predictor} was written while it was read: weights {before} before and {after} after")
    actions = int(named_task(config.task).compile().nu)
    if model.config.action_dim != actions:
        raise ValueError(
            f"{config.predictor} knows {model.config.action_dim} actions a step, and {config.task} has {actions}"
        )
    return Trained(model, before)


def model_folder(name: str) -> Path:
    """Return the folder of a trained model: the one named, or ``model`` inside the training run's that is named."""
    folder = local_path(name)
    return folder / "model" if (folder / "model" / CONFIG).is_file() else folder


def weights_hash(folder: Path) -> str:
    """Return what tells the weights in a model's folder from others."""
    return sha256((folder / WEIGHTS).read_bytes()).hexdigest()[:12]


def _check_clips(config: MPCConfig, folder: Path) -> None:
    """Refuse a model that learned from clips of another task or other images."""
    clips = about_model(folder)["about"].get("clips", {})
    if clips.get("task", config.task) != config.task:
        raise ValueError(f"{config.predictor} was trained on {clips['task']}, and the task here is {config.task}")
    rays = clips.get("supersample", config.supersample)
    if rays != config.supersample:
        raise ValueError(f"{config.predictor} was trained with supersample {rays}, got {config.supersample}")
    size = clips.get("size", [config.size] * 2)
    if list(size) != [config.size] * 2:
        raise ValueError(
            f"{config.predictor} was trained on pictures of {size[0]} x {size[1]} pixels, got size {config.size}"
        )
