"""``corrwise table motion``: trains teachers and their students, and measures how their samples move."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from shutil import rmtree
from typing import Any

from corrwise._files import read_json, reading
from corrwise._writing import write_json_atomic
from corrwise.costs.flow import FLOWS
from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.cli.table_motion import REPEATED, TEACHER, UNTRAINED, WITHOUT_ADVERSARY, MotionTableConfig
from corrwise.experiments.cli.train import TrainConfig
from corrwise.experiments.report.table import write_table
from corrwise.experiments.runs.executors import executor_of
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.interpolators import interpolator_of
from corrwise.experiments.runs.jobs import Job
from corrwise.experiments.runs.rows import (
    COUNT,
    NUMBER,
    TEXT,
    TEXT_BY_NAME,
    Key,
    Row,
    RowKey,
    needed,
    of_newest_weights,
    read_rows,
)
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.runs.students import check_flow_size, maps_of, teacher_of
from corrwise.experiments.runs.train import GOOD, MODEL, train_with_one_thread
from corrwise.experiments.studies.motion.measure import KEY as MOTION_KEY
from corrwise.experiments.studies.motion.run import broken_futures, run_motion
from corrwise.experiments.studies.predictors.apart import check_held
from corrwise.experiments.studies.students.table import student_tables
from corrwise.predictors.data.sources import open_clips
from corrwise.predictors.generative import make_time_law, make_weight
from corrwise.predictors.generative.distillation import few_steps, student_of
from corrwise.predictors.models.pretrained import CONFIG, about_model, model_folder, weights_hash
from corrwise.predictors.models.registry import load_model, model_config

__all__ = ["KEY", "run_motion_table", "student_config", "teacher_config"]

COLLAPSE = "collapse.json"  # in a student's folder: why its training was stopped
_CHECKPOINT_EVERY = 100  # steps: a collapse has a last good model soon
KEY = Key(
    {"model": str, "phase": str},
    {"steps": needed(COUNT), "seconds": needed(NUMBER), "weights": TEXT, "versions": TEXT_BY_NAME},
)


def run_motion_table(config: MotionTableConfig) -> Path:
    """Train and measure what the folder does not hold yet, and return the path of a table of all that it holds.

    A student whose training is stopped, by a collapse or a loss that is not finite, is measured as it was at its last
    checkpoint, and the table names it.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, ValueError: clips, weights, time laws or options that cannot be used.
        FloatingPointError: the loss of a teacher is not finite.
        RuntimeError: the extra ``train`` is not installed, or a worker was killed.
    """
    shared = _check(config)
    teachers = [teacher_config(config, seed) for seed in range(config.seeds)]
    arms = {
        arm: [
            student_config(config, arm, seed)
            for seed in range(config.seeds if arm in REPEATED else min(config.seeds, config.ablation_seeds))
        ]
        for arm in config.arms
    }
    untrained = arms.pop(UNTRAINED, [])
    students = [model for models in arms.values() for model in models]
    executor = executor_of(config.where, config.processes, config.out)
    with RunFolder(config.out, settings_of(config, "motion"), KEY, newest=True) as folder:
        for work, models in (
            (train_with_one_thread, teachers),
            (leave_untrained, untrained),
            (train_until_stopped, students),
        ):
            for _ in executor(work, models):
                pass
        trained = [model for model in (*teachers, *untrained, *students) if (model.out / MODEL).is_dir()]
        folder.run([_times(model) for model in trained], unit="phase")
        for flow in config.motion_flows:
            run_motion(_evaluated(config, trained, flow))
        times = list({KEY.of(row): row for row in folder.rows}.values())

        def page() -> tuple[str, list[str]]:
            rows = measured_rows(config.out)
            stopped = [_stopped(model, why) for model in students if (why := stopped_by(model))]
            warnings = shared + stopped
            warnings += [sentence for each in rows.values() for sentence in broken_futures(each)]
            return student_tables(rows, times), list(dict.fromkeys(warnings))

        return write_table(config.out, page)


def _check(config: MotionTableConfig) -> list[str]:
    """Refuse what no model can be trained or measured with, before hours of training; return sentences of warnings."""
    make_time_law(config.time_law), make_time_law(config.student_time_law)
    make_weight(config.time_weight)
    few_steps(model_config("denoiser", **teacher_config(config, 0).model_options, action_dim=0), config.sample_at)
    side = config.crop or min(open_clips(config.data).size)
    for arm in config.arms:
        maps_of(config.adversary_of(arm).flow)
        if arm not in WITHOUT_ADVERSARY:
            check_flow_size(config.adversary_of(arm).flow, side, "--adversary.flow")
    for flow in config.motion_flows:
        FLOWS[flow]()
        check_flow_size(flow, min(open_clips(config.held).size), "--motion-flows")
    interpolator_of(config.motion_interpolator, device=config.device)
    for path, horizon in ((config.data, max(config.horizon, config.teacher_horizon)), (config.held, config.shown)):
        needed_frames, longest = config.context + horizon, max(open_clips(path).lengths, default=0)
        if longest < needed_frames:
            raise ValueError(f"expected clips of at least {needed_frames} frames in {path}, the longest has {longest}")
    return check_held(config.data, config.held, config.context + config.shown, actions=config.actions)


def teacher_config(config: MotionTableConfig, seed: int) -> TrainConfig:
    """Return how a teacher is trained."""
    return TrainConfig(
        data=(config.data,), objective="flow-matching", model="denoiser", loss="", actions=config.actions,
        context=config.context, horizon=config.teacher_horizon, batch=config.teacher_batch, crop=config.crop,
        options=config.options, steps=config.teacher_steps, own_frames_after=_true_contexts(config),
        lr=config.teacher_lr, time_weight=config.time_weight, time_law=config.time_law, val_fraction=0.0, seed=seed,
        device=config.device, precision=config.precision, out=_folder(config, TEACHER, seed),
    )  # fmt: skip


def _true_contexts(config: MotionTableConfig) -> int:
    return config.teacher_steps if config.own_frames_after is None else config.own_frames_after


def student_config(config: MotionTableConfig, arm: str, seed: int) -> TrainConfig:
    """Return how a student of an arm is trained, by the teacher of its seed."""
    return TrainConfig(
        data=(config.data,), objective="distill" if arm in WITHOUT_ADVERSARY else "mogan", model="denoiser", loss="",
        actions=config.actions, context=config.context, horizon=config.horizon, batch=config.batch, crop=config.crop,
        teacher=str(_folder(config, TEACHER, seed)), sample_at=config.sample_at, fake_steps=config.fake_steps,
        student_time_law=config.student_time_law, adversary=config.adversary_of(arm),
        steps=config.steps_of(arm), lr=config.lr, ema=config.ema, val_fraction=0.0, seed=seed, device=config.device,
        precision=config.precision, checkpoint_every=_CHECKPOINT_EVERY, out=_folder(config, arm, seed),
    )  # fmt: skip


def leave_untrained(config: TrainConfig, *, threads: int) -> None:
    """Save the student that its training would begin with, as a job."""
    model = config.out / MODEL
    if not _can_be_read(model):
        about = about_model(model_folder(config.teacher))["about"]
        student = student_of(teacher_of(config), config.sample_at)
        student.save_pretrained(model, {**about, "loss": UNTRAINED, "steps": 0, "phases": {}})


def train_until_stopped(config: TrainConfig, *, threads: int) -> None:
    """Train a student as a job; a training that its own losses stop ends with a file that states why.

    A model that is damaged is made again from the last checkpoint: a training that was stopped stops there once more.
    """
    model = config.out / MODEL
    if model.is_dir() and not _can_be_read(model):
        (config.out / COLLAPSE).unlink(missing_ok=True)
    if not stopped_by(config):
        try:
            train_with_one_thread(config, threads=threads)
        except FloatingPointError as error:
            write_json_atomic(config.out / COLLAPSE, {"reason": str(error).partition("; ")[0]})
    if (config.out / GOOD).is_dir():
        rmtree(model, ignore_errors=True)
        (config.out / GOOD).rename(model)


def _can_be_read(model: Path) -> bool:
    try:
        load_model(model)
    except (OSError, ValueError):
        return False
    return True


def stopped_by(config: TrainConfig) -> str:
    """Return why a student's training was stopped; "" where it was not."""
    path = config.out / COLLAPSE
    with reading(path, "states no reason why training was stopped: remove it to train that student again"):
        return str(read_json(path)["reason"]) if path.is_file() else ""


def _stopped(config: TrainConfig, why: str) -> str:
    """Return a sentence about a student whose training was stopped."""
    measured = "" if (config.out / MODEL).is_dir() else " before its first checkpoint, and it is not measured"
    return f"{config.out.name}: training was stopped{measured}: {why}"


def measured_rows(folder: Path) -> dict[str, list[Row]]:
    """Return the rows of motion by the flow that measured them: of each model those of its newest weights."""
    flows = {
        path.name.partition("-")[2]: of_newest_weights(read_rows(path / "rows.jsonl", MOTION_KEY))
        for path in sorted(folder.glob("motion-*"))
    }
    return {flow: rows for flow, rows in flows.items() if rows}


def _folder(config: MotionTableConfig, arm: str, seed: int) -> Path:
    return config.out / "models" / f"{arm}-{seed}"


def _times(model: TrainConfig) -> Job:
    """Return the job of the rows of a model's training: the steps and seconds of each phase."""
    folder, name = model.out / MODEL, model.out.name
    stamp = {"weights": weights_hash(folder)}
    return Job(phase_rows, folder, {(name, phase): stamp for phase in _phases(folder)}, label=name)


def _phases(folder: Path) -> dict[str, tuple[int, float]]:
    with reading(folder / CONFIG, f"states no steps and seconds of phases: remove {folder} to make it again"):
        phases = about_model(folder)["about"]["phases"]
        return {str(name): (int(steps), float(seconds)) for name, (steps, seconds) in phases.items()}


def phase_rows(folder: Path, *, threads: int, progress: Callable[[], Any]) -> Callable[[Sequence[RowKey]], Any]:
    """Return what makes the rows of a model's training."""

    def rows(keys: Sequence[RowKey]) -> Iterator[Row]:
        for name, phase in keys:
            steps, seconds = _phases(folder)[phase]
            yield {"model": name, "phase": phase, "steps": steps, "seconds": seconds}
            progress()

    return rows


def _evaluated(config: MotionTableConfig, models: Sequence[TrainConfig], flow: str) -> EvaluateConfig:
    return EvaluateConfig(
        models=tuple(model.out for model in models), data=config.held, out=config.out / f"motion-{flow}",
        horizon=config.shown, nfe=config.nfe, windows=config.windows, samples=config.samples, motion=True,
        motion_flow=flow, motion_interpolator=config.motion_interpolator, videos=config.videos, device=config.device,
    )  # fmt: skip
