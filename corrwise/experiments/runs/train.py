"""``corrwise train``: fit a video predictor to clips, stoppable at any step."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from corrwise.experiments.cli.options import check_memory
from corrwise.experiments.cli.train import DISTILLING, TrainConfig
from corrwise.experiments.runs.distances import with_costs
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.settings import Settings, place, settings_of, versions
from corrwise.experiments.runs.shown_motion import ShownMotion
from corrwise.experiments.runs.trainers import make_loss, make_trainer
from corrwise.predictors.data import Batch, BatchesAhead, ClipSource, ClipWindows
from corrwise.predictors.data.sources import Joined, Part, open_clips
from corrwise.predictors.interpolation.flavr import window_places
from corrwise.predictors.interpolation.strided import StridedClips, span
from corrwise.predictors.models.pretrained import about_model, model_folder, weights_hash
from corrwise.predictors.restoration import RestorationModel
from corrwise.predictors.training import Trainer
from corrwise.predictors.training.distillation import Collapse
from corrwise.predictors.training.frame_prediction import held_out_loss, kept_model, strips
from corrwise.predictors.training.trainer import CHECKPOINT

MODEL = "model"  # folder of the trained predictor inside a run's
GOOD = "last-good"  # the same of a run that a loss that is not finite has stopped
_SHOWN = 32  # held-out windows that are logged
_STRIPS = 4  # of them as images
_PHASES = "phases"  # in a checkpoint's record and a model's metadata: steps and seconds of each phase
_FREE = ("adversary.most", "adversary.least", "adversary.recompute")  # they change nothing that is learned
_OLDER_STUDENTS = {"student_time_law": "shifted"}  # of those that were trained before it was an option
_LARGE = 5_000_000  # weights that a CPU does not train in an evening

Row = dict[str, Any]


def run_train(config: TrainConfig) -> Path:
    """Train, or go on training, and return the folder of the trained predictor.

    A checkpoint is written every few steps as a whole; a run that is killed loses the steps since, takes them again
    with the same windows, and ends with the same weights.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, ValueError: clips, weights or options that cannot be used.
        FloatingPointError: the loss is not finite, or training collapsed; the weights of the last checkpoint, if there
            is one, are in the folder ``last-good``.
        RuntimeError: the extra ``train`` is not installed, or there is no GPU that was asked for.
    """
    clips, seen, held = clips_of(config)
    _check_lengths(seen, config)
    if config.stride > 1:
        seen, held = StridedClips(seen, config.stride), StridedClips(held, config.stride)
    length, flip = config.window, config.objective != "interpolate" and config.actions and not clips.action_dim
    pixels = config.crop**2 or clips.size[0] * clips.size[1]
    check_memory(12 * config.batch * length * pixels, "--batch, --context, --horizon, --gap or --crop")
    windows = ClipWindows(seen, length, seed=config.seed, flip=flip, crop=config.crop)
    trainer = make_trainer(config, seen.action_dim, seen.size, make_loss(config) if config.loss else None)
    _check_learns(trainer, windows.batch(0, 2))
    if config.crop:  # held-out images, and those of plans, are whole
        _check_learns(trainer, windows.windows(np.array([0])))
    _warn_of_size(trainer)
    if not trainer.fabric.is_global_zero:  # the others only learn; files are one process's
        return _learn(trainer, config, windows, None, {})
    _warn_of_warm_up(config)
    # clips that grew would be another run's
    values = {"data": config.data[0] if len(config.data) == 1 else config.data, "frames": sum(clips.lengths)}
    settings = with_costs(_of_teacher(config, values), config.out, (config.loss,) if config.loss else ())
    with RunFolder(config.out, settings, begun=lambda out: (out / CHECKPOINT).exists()):
        return _learn(trainer, config, windows, _held_batch(held, config), _about_clips(clips))


def _of_teacher(config: TrainConfig, values: Row) -> Settings:
    """Return the settings of a run, of which a teacher's weights are one, and their place is none."""
    settings = settings_of(config).with_values(values, normal={"init_from": lambda path: place(path) if path else path})
    if not config.teacher:
        return settings
    weights = {"teacher_weights": weights_hash(model_folder(config.teacher))}
    return settings.with_values(
        weights, defaults=_OLDER_STUDENTS, free=("teacher", *_FREE), evidence=("teacher_weights",)
    )


def train_with_one_thread(config: TrainConfig, *, threads: int) -> Path:
    """Train as a job of an executor (``corrwise.experiments.runs.executors``): more threads would round differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return run_train(config)
    finally:
        torch.set_num_threads(before)


def _check_lengths(clips: ClipSource, config: TrainConfig) -> None:
    """Refuse clips that are too short for one window of strides; windows of single steps have a check of their own."""
    needed, longest = span(config.window, config.stride), max(clips.lengths, default=0)
    if config.stride > 1 and longest < needed:
        raise ValueError(
            f"expected clips of at least {needed} frames for windows of {config.window} frames with stride "
            f"{config.stride}, the longest has {longest}"
        )


def clips_of(config: TrainConfig) -> tuple[ClipSource, ClipSource, ClipSource]:
    """Return all clips of a run, those to learn from, and those of each folder that are held out.

    Raises:
        FileNotFoundError, ValueError: clips that cannot be read, or of several sizes or, where the model sees them,
            numbers of actions.
    """
    sources, actions = [open_clips(path) for path in config.data], config.sees_actions
    if len(sources) == 1 and actions:
        return sources[0], *Part.split(sources[0], config.val_fraction)
    parts = [Part.split(source, config.val_fraction) for source in sources]
    seen, held = zip(*parts, strict=True)
    return Joined(sources, actions=actions), Joined(seen, actions=actions), Joined(held, actions=actions)


def _check_learns(trainer: Trainer[Batch], batch: Batch) -> None:
    """Refuse clips that the model cannot learn from, before anything is written.

    Raises:
        ValueError: images of another size than the model's, for one.
    """
    model, batch, generator = (
        kept_model(trainer),
        batch.to(trainer.fabric.device),
        torch.Generator("cpu").manual_seed(0),
    )
    with torch.no_grad():
        if isinstance(model, RestorationModel):
            trainer.objective.loss(batch, generator, "train")
        else:
            model.eval().learn(batch, generator)


def _warn_of_size(trainer: Trainer[Batch]) -> None:
    numbers = sum(weights.numel() for weights in kept_model(trainer).parameters())
    if trainer.fabric.device.type == "cpu" and trainer.fabric.is_global_zero and numbers > _LARGE:
        tqdm.write(f"{numbers / 1e6:.0f} million weights on a CPU take days; --options small is made for one")


def _warn_of_warm_up(config: TrainConfig) -> None:
    first = config.adversary.warm_up * (1 + config.fake_steps)
    if config.objective == "mogan" and first >= config.steps:
        warnings.warn(
            f"the adversary begins after step {first}, and training ends with step {config.steps}: give more --steps "
            "or a smaller --adversary.warm-up",
            stacklevel=2,
        )


def batches_of(trainer: Trainer[Batch], config: TrainConfig, windows: ClipWindows) -> BatchesAhead:
    """Return this process's part of every batch, to be read ahead."""
    part = slice(trainer.fabric.global_rank, None, trainer.fabric.world_size)
    return BatchesAhead(windows, config.batch, part=part, readers=config.num_workers)


def _learn(trainer: Trainer[Batch], config: TrainConfig, windows: ClipWindows, held: Batch | None, clips: Row) -> Path:
    first, model = trainer.fabric.is_global_zero, config.out / MODEL
    trainer.resume()
    if trainer.step > config.steps and first:
        warnings.warn(
            f"{config.out} has {trainer.step} steps already, and --steps {config.steps} trains no more of them",
            stacklevel=2,
        )
    if trainer.step >= config.steps and _is_kept(trainer, model):
        return model
    losses: dict[str, Any] = {}  # the newest of each name: a phase has its own
    before = trainer.seconds
    motion = ShownMotion(config) if config.objective in DISTILLING and held is not None else None
    bar = tqdm(total=config.steps, initial=trainer.step, unit="step", desc=config.out.name, disable=not first)
    try:
        with bar, batches_of(trainer, config, windows) as batches:
            for taken in trainer.run(batches):
                bar.update()
                _add_time(trainer.record, taken.phase, trainer.seconds - before)
                before = trainer.seconds
                losses |= taken.loss.parts if config.objective in DISTILLING else {"loss": taken.loss.total}
                bar.set_postfix({name: f"{float(value):.3g}" for name, value in losses.items()}, refresh=False)
                if taken.due and held is not None:
                    trainer.save()  # whatever comes of the held-out windows
                    _log_held_out(trainer, config, held, motion)
    except FloatingPointError as error:
        raise FloatingPointError(
            f"{error}; {_way_out(trainer, config, clips, error)}" if first else str(error)
        ) from error
    if first:
        _keep(trainer, config, model, clips)
    return model


def _log_held_out(trainer: Trainer[Batch], config: TrainConfig, held: Batch, motion: ShownMotion | None) -> None:
    loss = held_out_loss(trainer, held, size=config.batch, seed=config.seed)
    trainer.log("held out", loss)
    shown = held.frames[:_STRIPS]
    if config.objective == "interpolate":  # what was made is shown below what it should be, at the end of a row
        known, between = window_places(config.window, kept_model(trainer).config)
        shown = shown[:, known + between]
    trainer.show("held out", strips(shown, loss.outputs["frames"][:_STRIPS]))
    if motion is not None and (drawn := motion.of(held.frames, loss.outputs["frames"], shown=_STRIPS)) is not None:
        image, flow_lengths = drawn
        trainer.show("flow", image)
        for name, values in flow_lengths.items():
            trainer.histogram(f"flow length/{name}", values)


def _way_out(trainer: Trainer[Batch], config: TrainConfig, clips: Row, error: FloatingPointError) -> str:
    """Keep the weights of the last checkpoint as a model, and return how to go on from them."""
    good = config.out / GOOD
    collapsed = isinstance(error, Collapse)
    bounds = "--adversary.least and --adversary.most set the bounds, with which the same command goes on"
    if not trainer.resume():  # also because a network that has seen what is not finite may keep that in running means
        help_ = f"a longer --adversary.warm-up may help; {bounds}" if collapsed else "a lower --lr may help"
        return f"there is no checkpoint before it: {help_}, and a smaller --checkpoint-every keeps one"
    _keep(trainer, config, good, clips)
    other = "another --adversary.weight or --adversary.flow" if collapsed else "another --lr"
    way = f"--init-from {good} with {other} and --out goes on from its weights, those of step {trainer.step}"
    return f"{way}; {bounds}" if collapsed else way


def _keep(trainer: Trainer[Batch], config: TrainConfig, folder: Path, clips: Row) -> None:
    about: Row = {
        "data": " ".join(map(str, config.data)),
        "loss": config.loss or config.objective,
        "steps": trainer.step,
        "versions": versions(),
    }
    if config.stride > 1:
        about["stride"] = config.stride
    spent = {"seconds": trainer.seconds, "phases": trainer.record.get(_PHASES, {})}
    kept_model(trainer).save_pretrained(folder, {**about, "clips": clips, **spent})


def _add_time(record: Row, phase: str, seconds: float) -> None:
    """Add a step to the number of steps and the seconds of its phase, which a checkpoint keeps."""
    steps, before = record.setdefault(_PHASES, {}).get(phase, (0, 0.0))
    record[_PHASES][phase] = [steps + 1, before + seconds]


def _is_kept(trainer: Trainer[Batch], model: Path) -> bool:
    """Return whether a folder holds the model of the newest step, and its files can be read."""
    try:
        type(kept_model(trainer)).from_pretrained(model)
        return int(about_model(model)["about"]["steps"]) == trainer.step
    except (FileNotFoundError, ValueError, KeyError, TypeError, OverflowError):
        return False


def _held_batch(held: ClipSource, config: TrainConfig) -> Batch | None:
    """Return windows at equal distances over the held-out clips; None where they are too short for one."""
    length = config.window
    if max(held.lengths, default=0) < length:
        return None
    windows = ClipWindows(held, length)
    return windows.windows(np.linspace(0, len(windows) - 1, min(_SHOWN, len(windows))).astype(int))


def _about_clips(clips: ClipSource) -> Row:
    """Return the metadata of the clips, such as the task."""
    about = getattr(clips, "about", {})
    return {name: about[name] for name in ("task", "frame_skip", "size", "supersample", "action_dim") if name in about}
