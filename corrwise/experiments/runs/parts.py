"""The parts of a run by the names that its options give: tasks and predictors, and what identifies them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from jaxtyping import Float
from torch import Tensor

from corrwise.costs import GoalCost, l1, recommended
from corrwise.envs import TASKS, MujocoSimulator, Task
from corrwise.envs.tasks import find_task, is_environment
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs.gust_oracle import GustOracle
from corrwise.experiments.runs.sampling import with_sampling
from corrwise.mpc import CEM, AgentConfig, VisualMPC
from corrwise.mpc.config import RiskName
from corrwise.predictors import CopyLast, OraclePredictor
from corrwise.predictors.interpolation.strided import ControlSteps, check_horizon
from corrwise.predictors.models.base import VideoPredictor
from corrwise.predictors.models.pretrained import about_model, model_folder, weights_hash
from corrwise.predictors.models.registry import load_model
from corrwise.types import Context, Cost, Interpolator, Planner, Predictor, is_deterministic
from corrwise.user_code import user_object, user_source

PREDICTORS: dict[str, Callable[[MujocoSimulator], Predictor]] = {
    "oracle": OraclePredictor,
    "oracle-gusts": GustOracle,
    "copy-last": lambda simulator: CopyLast(),
}


def named_task(name: str) -> Task:
    """Return the task of a name, an environment, or ``file.py:NAME``.

    Raises:
        ValueError: there is no such task, environment, file, module or variable, it fails when it is run, or it is no
            ``Task``.
    """
    own = ":" in name and not is_environment(name)
    task: Task = user_object(name, Task, "a corrwise.envs.Task", noun="task") if own else find_task(name)
    return task


def task_label(name: str) -> str:
    """Return the task's name in rows: of a user's file, the name without the file."""
    return name.rpartition(":")[2]


def task_settings(name: str) -> dict[str, Any]:
    """Return what identifies a task beside its name: its numbers, the compiled model and, of a user's, the code.

    The model's digest is that of MuJoCo's binary form: other versions of MuJoCo have others for the same model.

    Raises:
        ValueError: see ``named_task``.
    """
    task = named_task(name)  # first, because its error names a task
    if name in TASKS or is_environment(name):
        return {"task_model": _installed_model(task), "task_numbers": _numbers(task)}
    source = user_source(name)
    task = named_task(name)  # a file that has changed was run again
    return {"task_source": source, "task_model": _model_digest(task), "task_numbers": _numbers(task)}


def _model_digest(task: Task) -> str:
    model = task.compile()
    data = np.empty(mujoco.mj_sizeModel(model), dtype=np.uint8)
    mujoco.mj_saveModel(model, None, data)
    return hashlib.sha256(data.tobytes()).hexdigest()[:12]


@cache
def _installed_model(task: Task) -> str:
    """Return the digest of a task that is part of a package; the files of a user's task may change at any time."""
    return _model_digest(task)


def _numbers(value: Any) -> Any:
    """Return a part of a task without its functions."""
    if not is_dataclass(value):
        return value
    parts = {each.name: getattr(value, each.name) for each in fields(value)}
    if parts.get("gusts", ...) is None:
        del parts["gusts"]  # settings of tasks without gusts have none
    return {key: _numbers(part) for key, part in parts.items() if not callable(part)}


@dataclass(frozen=True)
class Trained:
    """A trained predictor as it was read from its folder.

    Attributes:
        model: in evaluation mode, without gradients.
        weights: a hash of its weights.
        steps: its stride, context and actions.
    """

    model: VideoPredictor
    weights: str
    steps: ControlSteps


def load_trained(config: MPCConfig) -> Trained | None:
    """Return the trained predictor that a configuration names; None where it names none.

    Nothing is cached: a folder may hold another model the next time.

    Raises:
        FileNotFoundError, ValueError: there is no such model, it is of another task or of other images, its stride is
            longer than the horizon, it cannot be read, it is being written at this moment, or it cannot sample as
            asked (``with_sampling``).
    """
    if config.predictor in PREDICTORS:
        return None
    folder = model_folder(config.predictor)
    before = weights_hash(folder)
    model = load_model(folder).requires_grad_(False)
    _check_clips(config, folder)
    model = with_sampling(model, folder, config.nfe, config.sampling)
    if (after := weights_hash(folder)) != before:
        raise ValueError(f"{config.predictor} was written while it was read: weights {before} before and {after} after")
    if config.depth or model.config.channels != 3 * len(config.cameras):
        got = f"{len(config.cameras)} views{' with depth' if config.depth else ''}"
        raise ValueError(f"{config.predictor} predicts images of {model.config.channels} channels, got {got}")
    actions = int(named_task(config.task).compile().nu)
    if (steps := ControlSteps.of(folder)).action_dim != actions:
        raise ValueError(f"{config.predictor} knows {steps.action_dim} actions a step, and {config.task} has {actions}")
    check_horizon(config.horizon, steps.stride)
    return Trained(model, before, steps)


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
            f"{config.predictor} was trained on images of {size[0]} x {size[1]} pixels, got size {config.size}"
        )


def make_predictor(config: MPCConfig, simulator: MujocoSimulator, trained: Trained | None = None) -> Predictor:
    """Return the predictor that a configuration names.

    Args:
        config: the predictor's name, and what it must fit.
        simulator: of the oracle.
        trained: the trained predictor, where it has been loaded already.

    Raises:
        FileNotFoundError, ValueError: see ``load_trained``.
    """
    if config.predictor in PREDICTORS:
        return PREDICTORS[config.predictor](simulator)
    trained = trained or load_trained(config)
    assert trained is not None
    model, device = trained.model, config.device
    predictor = trained.steps.predictor(model, config.stride_interpolator)
    if device == "cpu":
        return predictor
    model.to(device)
    return _Placed(predictor, device)


@dataclass(frozen=True)
class _Placed:
    """A predictor to which contexts and actions are moved."""

    predictor: Predictor
    device: str

    def __call__(
        self, context: Context, actions: Float[Tensor, "B N H A"], **options: Any
    ) -> Float[Tensor, "B N T C h w"]:
        there = replace(context, frames=context.frames.to(self.device), actions=context.actions.to(self.device))
        return self.predictor(there, actions.to(self.device), **options)

    @property
    def deterministic(self) -> bool:
        """Whether the predictor draws nothing."""
        return is_deterministic(self.predictor)


def context_of(config: MPCConfig) -> int:
    """Return how many frames the predictor sees: what a trained model needs, or what is asked for if that is more.

    Raises:
        FileNotFoundError, ValueError: there is no such model, or it cannot be read.
    """
    if config.predictor in PREDICTORS:
        return config.context_frames
    return max(ControlSteps.of(model_folder(config.predictor)).context, config.context_frames)


def load_agent(
    path: str | PathLike[str],
    *,
    goal: Any = None,
    cost: Cost | None = None,
    planner: Planner | None = None,
    interpolator: Interpolator | str = MPCConfig.stride_interpolator,
    nfe: int | None = None,
    sampling: Sequence[str] = (),
    futures: int = 1,
    risk: RiskName = "mean",
    risk_level: float = 0.5,
    device: str = "cpu",
) -> VisualMPC:
    """Return an agent that plans with a predictor which ``corrwise train`` made.

    Args:
        path: the folder of the run or of the model.
        goal: an image, or a ``Goal`` such as ``restored_goal`` returns, as ``VisualMPC`` takes it; None reads the
            observation's ``desired_goal``.
        cost: between imagined frames and the goal; None is the recommended one of L1.
        planner: None is the cross-entropy method of ``corrwise mpc``.
        interpolator: of the frames within a stride, or its name, for a predictor that was trained on strides.
        nfe: evaluations of a denoiser's network for each frame, at most; None is the model's own number.
        sampling: how a denoiser samples, as in ``corrwise mpc --sampling``, such as ``["temperature=1.2"]``.
        futures: how many futures are predicted for each candidate; see ``AgentConfig``.
        risk: what the costs of a candidate's futures become: "mean", "cvar" or "worst".
        risk_level: the share of the worst futures that "cvar" averages.
        device: where frames are predicted and costs computed, such as "cuda".

    Raises:
        FileNotFoundError: there is no model.
        ValueError: a model that cannot be read or knows no actions, a way of sampling that it does not have
            (``with_sampling``), a goal that is no image, or an option out of range.
    """
    folder = model_folder(path)
    model = with_sampling(load_model(folder).requires_grad_(False), folder, nfe, sampling).to(device)
    steps = ControlSteps.of(folder)
    if not steps.action_dim:
        raise ValueError(f"{path} learned from clips without actions: there is nothing to plan with it")
    horizon, candidates = max(MPCConfig.horizon, steps.stride), MPCConfig.candidates
    return VisualMPC(
        steps.predictor(model, interpolator),
        cost or GoalCost(recommended(l1)),
        planner or CEM(steps.action_dim, horizon=horizon, candidates=candidates),
        goal=goal,
        config=AgentConfig(context_frames=steps.context, futures=futures, risk=risk, risk_level=risk_level),
    )
