"""``corrwise train``: fit a video predictor to clips, stoppable at any step."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from tqdm import tqdm

from corrwise.experiments.cli.sizes import check_memory
from corrwise.experiments.cli.train import FREE, TrainConfig
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.losses import make_loss
from corrwise.experiments.runs.settings import settings_of, versions
from corrwise.experiments.runs.sources import Part, open_clips
from corrwise.experiments.runs.trainer import CHECKPOINT, Trainer
from corrwise.experiments.runs.training_log import Log
from corrwise.predictors.data import Batch, ClipSource, ClipWindows
from corrwise.predictors.models.pretrained import about_model

__all__ = ["MODEL", "run_train"]

MODEL = "model"  # folder of the trained predictor inside a run's
GOOD = "last-good"  # the same of a run that a loss that is not finite has stopped
_SHOWN = 32  # held-out windows that are logged
_LARGE = 5_000_000  # weights that a CPU does not train in an evening

Row = dict[str, Any]


def run_train(config: TrainConfig) -> Path:
    """Train, or go on training, and return the folder of the trained predictor.

    A checkpoint is written every few steps as a whole; a run that is killed loses the steps since, takes them again
    with the same windows, and ends with the same weights.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, ValueError: clips, weights or options that cannot be used.
        FloatingPointError: the loss is not finite; the weights of the last checkpoint are in the folder ``last-good``.
        RuntimeError: the extra ``train`` is not installed, or there is no GPU that was asked for.
    """
    clips = open_clips(config.data)
    seen, held = Part.split(clips, config.held)
    length, flip = config.context + config.horizon, not clips.action_dim
    pixels = config.crop**2 or clips.size[0] * clips.size[1]
    check_memory(12 * config.batch * length * pixels, "--batch, --context, --horizon or --crop")
    windows = ClipWindows(seen, length, seed=config.seed, flip=flip, crop=config.crop)
    trainer = Trainer(config, clips.action_dim, clips.size, make_loss(config))
    trainer.check(windows.batch(0, 2))
    if config.crop:  # held-out pictures, and those of plans, are whole
        trainer.check(windows.windows(np.array([0])))
    _warn_of_size(trainer)
    if not trainer.fabric.is_global_zero:  # the others only learn; files are one process's
        return _learn(trainer, config, windows, None, None, {})
    frames = {"frames": sum(clips.lengths)}  # clips that grew would be another run's
    settings = settings_of(config).with_values(frames, free=FREE)
    with RunFolder(config.out, settings, begun=lambda out: (out / CHECKPOINT).exists()):
        return _learn(trainer, config, windows, _held_batch(held, config), Log(config.out), _told(clips))


def _warn_of_size(trainer: Trainer) -> None:
    numbers = sum(weights.numel() for weights in trainer.kept.parameters())
    if trainer.fabric.device.type == "cpu" and trainer.fabric.is_global_zero and numbers > _LARGE:
        tqdm.write(f"{numbers / 1e6:.0f} million weights on a CPU take days; --options small is made for one")


def _learn(
    trainer: Trainer, config: TrainConfig, windows: ClipWindows, held: Batch | None, log: Log | None, told: Row
) -> Path:
    checkpoint, model = config.out / CHECKPOINT, config.out / MODEL
    if checkpoint.exists():
        trainer.load(checkpoint)
    if trainer.step >= config.steps and _steps_of(model) == trainer.step:
        return model  # which says what it was trained with
    if log is not None:
        log.begin(trainer.step)
    bar = tqdm(total=config.steps, initial=trainer.step, unit="step", desc=config.out.name, disable=log is None)
    with bar, trainer.batches(windows) as batches:
        while trainer.step < config.steps:
            began = perf_counter()
            try:
                loss = trainer.learn(batches)
            except FloatingPointError as error:
                if log is None:
                    raise
                log.close()
                raise FloatingPointError(f"{error}; {_way_out(trainer, config, told)}") from error
            trainer.seconds += perf_counter() - began
            bar.update()
            bar.set_postfix(loss=f"{trainer.losses[-1]:.3f}", refresh=False)
            if log is None:
                continue
            log.loss("train", trainer.step, loss)
            if trainer.step % config.every == 0 or trainer.step == config.steps:
                trainer.save(checkpoint)
                if held is not None:
                    found = trainer.held_out(held)
                    log.loss("held out", trainer.step, found)
                    log.pictures(trainer.step, held.frames, found.frames)
    if log is not None:
        log.close()
        _keep(trainer, config, model, told)
    return model


def _way_out(trainer: Trainer, config: TrainConfig, told: Row) -> str:
    """Keep the weights of the last checkpoint as a model, and return how to go on from them."""
    checkpoint, good = config.out / CHECKPOINT, config.out / GOOD
    if not checkpoint.exists():
        return "there is none yet: a lower --rate may help"
    trainer.load(checkpoint)  # a network that has seen what is not finite may keep that in its running means
    _keep(trainer, config, good, told)
    return f"--start {good} with another --rate and --out goes on from its weights, those of step {trainer.step}"


def _keep(trainer: Trainer, config: TrainConfig, folder: Path, told: Row) -> None:
    about = {"data": str(config.data), "loss": config.loss, "steps": trainer.step, "versions": versions()}
    trainer.kept.save_pretrained(folder, {**about, "clips": told, "seconds": trainer.seconds})


def _steps_of(model: Path) -> int | None:
    """Return how many steps the model in a folder was trained for; None where there is none."""
    try:
        return int(about_model(model)["about"]["steps"])
    except (FileNotFoundError, ValueError, KeyError, TypeError, OverflowError):
        return None


def _held_batch(held: Part, config: TrainConfig) -> Batch | None:
    """Return windows at equal distances over the held-out clips; None where they are too short for one."""
    length = config.context + config.horizon
    if max(held.lengths, default=0) < length:
        return None
    windows = ClipWindows(held, length)
    return windows.windows(np.linspace(0, len(windows) - 1, min(_SHOWN, len(windows))).astype(int))


def _told(clips: ClipSource) -> Row:
    """Return what the clips say of themselves: the task, above all."""
    about = getattr(clips, "about", {})
    return {name: about[name] for name in ("task", "frame_skip", "size", "supersample", "action_dim") if name in about}
