"""The model that a training run begins with."""

from __future__ import annotations

from corrwise.experiments.cli.train import TrainConfig
from corrwise.experiments.runs.named_predictors import model_folder
from corrwise.predictors.models.base import VideoPredictor
from corrwise.predictors.models.registry import load_model, make_model, model_config

__all__ = ["starting_model"]


def starting_model(config: TrainConfig, action_dim: int, size: tuple[int, int]) -> VideoPredictor:
    """Return a fresh model, its weights drawn from torch's global generator, or the one that is to be gone on from.

    Args:
        config: of the run.
        action_dim: of the clips.
        size: (H, W) of the clips.

    Raises:
        FileNotFoundError: there is no model to go on from.
        ValueError: options that make no model, or of another one than that.
    """
    sized = {"size": size[0]} if config.model == "svg" else {}
    options = {**config.model_options, **sized, "context": config.context, "action_dim": action_dim}
    if not config.start:
        return make_model(config.model, **options)
    wanted = model_config(config.model, **options)
    model = load_model(model_folder(config.start)).requires_grad_(True)
    if model.config != wanted:
        raise ValueError(f"expected a model {wanted} in {config.start} to start from, got {model.config}")
    return model
