"""What a training run optimises: the model, the loss, the objective, and the trainer that they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from corrwise.experiments.cli.options import device_named, spec_of
from corrwise.experiments.cli.train import DISTILLING, TrainConfig
from corrwise.experiments.runs.distances import make_distance
from corrwise.experiments.runs.students import distillation, learning_of
from corrwise.predictors.data import Batch
from corrwise.predictors.generative import make_time_law, make_weight
from corrwise.predictors.generative.denoiser import Denoiser
from corrwise.predictors.interpolation.flavr import FLAVR
from corrwise.predictors.interpolation.registry import (
    interpolation_config,
    load_interpolator,
    make_interpolation_model,
)
from corrwise.predictors.models.base import VideoPredictor
from corrwise.predictors.models.pretrained import check_start, model_folder
from corrwise.predictors.models.registry import load_model, make_model, model_config
from corrwise.predictors.restoration.model import RestorationModel, make_restoration_model
from corrwise.predictors.training import (
    Augmentation,
    FlowMatching,
    FrameInterpolation,
    FramePrediction,
    Learning,
    Objective,
    Restoration,
    Trainer,
    TrainerConfig,
    WarmStart,
)
from corrwise.predictors.training.trainer import CHECKPOINT
from corrwise.types import Distance

__all__ = ["Model", "make_loss", "make_trainer", "starting_model"]

Model = VideoPredictor | FLAVR | RestorationModel

_WITHOUT_WEIGHTS = ("damages", "noise", "length_scale", "evaluations", "time_grid")  # options of a restoring model


def make_loss(config: TrainConfig) -> Distance:
    """Return the distance to train with; with a regulariser its flow has gradients.

    Raises:
        FileNotFoundError, RuntimeError, ValueError: weights are missing, or a regulariser needs gradients that the flow
            does not have.
    """
    return make_distance(config.loss, optimized=True)


def make_trainer(
    config: TrainConfig, action_dim: int, size: tuple[int, int], distance: Distance | None
) -> Trainer[Batch]:
    """Return the trainer of a run, with fresh weights or those to begin with.

    A sum of two directions counts half. Where nothing moves it is then its pixel-wise twin, so that gradients are
    clipped, and a model's own penalty weighs, as with that.

    Args:
        config: what to train.
        action_dim: of the clips, whose steps are strides.
        size: (H, W) of the clips.
        distance: what to train with; None for flow matching and restoration, which have losses of their own.

    Raises:
        FileNotFoundError, ValueError: options that make no model, no such model to begin with, or a batch that the
            processes cannot share.
        RuntimeError: lightning-fabric is not installed, or a GPU is asked for and there is none.
    """
    device = device_named(config.device)
    precision = ("bf16-mixed" if device == "cuda" else "32-true") if config.precision == "auto" else config.precision
    learning = Learning(config.lr, max_grad_norm=config.max_grad_norm, ema=config.ema)
    each: Learning | dict[str, Learning] = learning
    objective: Objective[Batch]
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        if config.objective in DISTILLING:
            each, objective = learning_of(config), distillation(config, action_dim, size)
        else:
            objective = _objective(config, starting_model(config, action_dim, size), distance)
    trainer = Trainer(
        objective,
        TrainerConfig(config.out, config.steps, each, config.seed, config.checkpoint_every, device, precision),
    )
    if config.batch % trainer.fabric.world_size:
        raise ValueError(f"expected a batch that {trainer.fabric.world_size} processes can share, got {config.batch}")
    return trainer


def _objective(config: TrainConfig, model: Model, distance: Distance | None) -> Objective[Batch]:
    """Return what a run minimises; where it has a warm start, first the base distance of pixels at the same place."""
    if distance is None:
        weight, law = make_weight(config.time_weight), make_time_law(config.time_law)
        if isinstance(model, RestorationModel):
            return Restoration(model, weight, law)
        assert isinstance(model, Denoiser)
        return FlowMatching(model, weight, law, own_after=config.own_frames_after, total=config.steps)

    assert not isinstance(model, RestorationModel)

    def by(distance: Distance, scale: float) -> FramePrediction | FrameInterpolation:
        if isinstance(model, FLAVR):
            return FrameInterpolation(model, distance, scale=scale, augmentation=Augmentation(), gaps=config.gap)
        return FramePrediction(model, distance, scale=scale)

    spec = spec_of(config.loss)
    scale = 0.5 if spec is not None and spec.matched and spec.directions == 2 else 1.0
    if not config.warm_start or spec is None:
        return by(distance, scale)
    base = replace(spec, flow="", form="scaled", directions=2, options=()).build()
    return WarmStart(by(base, 1.0), by(distance, scale), steps=config.warm_start, total=config.steps)


def starting_model(config: TrainConfig, action_dim: int, size: tuple[int, int]) -> Model:
    """Return a fresh model, its weights drawn from torch's global generator, or the model of ``--init-from``.

    A run that has a checkpoint does not need ``--init-from``: its weights are read later.

    Args:
        config: of the run.
        action_dim: of the clips.
        size: (H, W) of the clips.

    Raises:
        FileNotFoundError: ``--init-from`` holds no model.
        ValueError: options that make no model, or another model than that of ``--init-from``.
    """
    if config.objective == "restore":
        return _starting_restorer(config)
    sized = {"size": size[0]} if config.model == "svg" else {}
    options = {**config.model_options, **sized, "context": config.context}
    make: Callable[..., Model] = make_interpolation_model
    load: Callable[..., Model] = load_interpolator
    configured = interpolation_config
    if config.objective != "interpolate":
        make, load, configured = make_model, load_model, model_config
        options["action_dim"] = action_dim
    if not config.init_from or (config.out / CHECKPOINT).exists():
        return make(config.model, **options)
    wanted = configured(config.model, **options)
    model = load(model_folder(config.init_from)).requires_grad_(True)
    check_start(model, config.model, wanted, config.init_from)
    return model


def _starting_restorer(config: TrainConfig) -> RestorationModel:
    """Return a fresh restoring model, or one with the weights of ``--init-from``, perhaps of other noise or damages."""
    model = make_restoration_model(**config.model_options, damages=config.damages)
    if not config.init_from or (config.out / CHECKPOINT).exists():
        return model
    trained = RestorationModel.from_pretrained(model_folder(config.init_from))
    check_start(trained, model.name, model.config, config.init_from, free=_WITHOUT_WEIGHTS)
    model.load_state_dict(trained.state_dict())
    return model
