"""A trained predictor as an agent that is ready to act."""

from __future__ import annotations

from os import PathLike
from typing import Any

from corrwise.costs import GoalCost, l1, recommended
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs.named_predictors import model_folder
from corrwise.mpc import CEM, AgentConfig, VisualMPC
from corrwise.predictors.models.registry import load_model
from corrwise.types import Cost, Planner

__all__ = ["load_agent"]


def load_agent(
    path: str | PathLike[str],
    *,
    goal: Any = None,
    cost: Cost | None = None,
    planner: Planner | None = None,
    device: str = "cpu",
) -> VisualMPC:
    """Return an agent that plans with a predictor which ``corrwise train`` made.

    Args:
        path: the folder of the run or of the model.
        goal: a picture, as ``VisualMPC`` takes it; None reads the observation's ``desired_goal``.
        cost: between imagined frames and the goal; None is the recommended one of L1.
        planner: None is the cross-entropy method of ``corrwise mpc``.
        device: where frames are predicted and costs computed, such as "cuda".

    Raises:
        FileNotFoundError: there is no model.
        ValueError: a model that cannot be read or knows no actions, or a goal that is no picture.
    """
    model = load_model(model_folder(str(path))).requires_grad_(False).to(device)
    if not model.config.action_dim:
        raise ValueError(f"{path} learned from clips without actions: there is nothing to plan with it")
    horizon, candidates = MPCConfig.horizon, MPCConfig.candidates
    return VisualMPC(
        model,
        cost or GoalCost(recommended(l1)),
        planner or CEM(model.config.action_dim, horizon=horizon, candidates=candidates),
        goal=goal,
        config=AgentConfig(context_frames=model.config.context),
    )
