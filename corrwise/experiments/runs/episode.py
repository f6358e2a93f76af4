"""What happened in one episode, the images that show it, and its row."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.costs import CorrespondenceWise
from corrwise.envs import MujocoSimulator
from corrwise.envs.arrays import to_uint8
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.report.flow_color import flow_to_rgb
from corrwise.experiments.report.summary import TERMS
from corrwise.experiments.runs.controls import Decision
from corrwise.predictors import OraclePredictor
from corrwise.types import Context, Distance, Goal, Predictor

__all__ = ["Episode", "Showing", "episode_row"]

_BLANK = 40  # grey of a panel that has nothing to show
_FLOW_RANGE = 0.25  # share of the picture's width at which flow colours are full


@dataclass
class Episode:
    """What happened in one episode.

    Attributes:
        seed: which episode.
        distances, distances_full: true distance to the goal at the start and after each step, position-only and full.
        terms: what a correspondence-wise cost was made of at the end of each step's plan, see ``Showing``; else empty.
        rejected: candidates whose cost was not finite.
        scored: all candidates.
        plans_rejected: plans in which no candidate had a finite cost.
        left_out: what the renderer leaves out of the images.
        diverged: whether the environment's own physics broke down.
        seconds: planning seconds by phase, this episode's share.
        panels: pictures by row of the strip, uint8 (h, w, 3), one per control step.
    """

    seed: int
    distances: list[float] = field(default_factory=list)
    distances_full: list[float] = field(default_factory=list)
    terms: dict[str, list[float]] = field(default_factory=dict)
    rejected: int = 0
    scored: int = 0
    plans_rejected: int = 0
    left_out: tuple[str, ...] = ()
    diverged: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    panels: dict[str, list[np.ndarray]] = field(default_factory=dict)


class Showing:
    """Collects the terms and, with a simulator, the report's panels.

    The panels are goal, seen, predicted, unless an oracle predicts also where the same plan really leads, and the
    flow by which the cost matched predicted and goal.

    The terms are those of ``corrwise.costs.Terms`` between the frame at the end of the chosen plan and the goal:
    ``residual`` in the base distance's unit, ``displacement_px`` and ``occluded``; NaN where the frame is broken.
    """

    def __init__(
        self,
        config: MPCConfig,
        distance: Distance | None,
        predictor: Predictor,
        goal: Goal,
        simulator: MujocoSimulator | None,
    ) -> None:
        self._predictor, self._goal, self._images = predictor, goal, simulator is not None
        oracle = isinstance(predictor, OraclePredictor)
        self._truth = None if oracle or simulator is None else OraclePredictor(simulator)
        self._goals = to_uint8(goal.frames[:, 0])
        self._distance = distance if isinstance(distance, CorrespondenceWise) else None
        self._range = _FLOW_RANGE * config.size

    def __call__(self, episodes: list[Episode], context: Context, decision: Decision) -> None:
        """Note what each episode shows before its next action."""
        if not self._images:
            if self._distance is not None and (frame := _after(self._predictor, context, decision.plan)) is not None:
                self._compared(episodes, frame)
            return
        seen = to_uint8(context.frames[:, -1])
        frame = _after(self._predictor, context, decision.plan)
        true = None if self._truth is None else _after(self._truth, context, decision.plan)
        predicted, leads_to = (None if each is None else to_uint8(each.nan_to_num(0.0)) for each in (frame, true))
        flow = None if frame is None else self._compared(episodes, frame)
        for i, episode in enumerate(episodes):
            blank = np.full_like(seen[i], _BLANK)
            pictures = {
                "goal": self._goals[i],
                "seen": seen[i],
                "predicted": blank if predicted is None else predicted[i],
                **({} if self._truth is None else {"true": blank if leads_to is None else leads_to[i]}),
                "flow": blank if flow is None else flow_to_rgb(flow[i].numpy(), max_px=self._range),
            }
            for name, picture in pictures.items():
                episode.panels.setdefault(name, []).append(picture)

    def _compared(self, episodes: list[Episode], frame: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 2 h w"] | None:
        """Note the terms between the frame and the goal, and return where the frame's pixels lie in the goal.

        One environment at a time, so that what a network makes of a batch never depends on what is beside it.
        """
        if self._distance is None:
            return None
        flows = []
        for episode, seen, goal in zip(
            episodes, frame.split(1), self._goal.frames[:, 0].to(frame).split(1), strict=True
        ):
            with torch.no_grad():
                terms = self._distance.terms(seen.nan_to_num(0.0), goal)
            named = {"residual": terms.residual, "displacement_px": terms.displacement, "occluded": terms.occluded}
            whole = bool(seen.isfinite().all())
            for name, value in named.items():
                episode.terms.setdefault(name, []).append(float(value) if whole else float("nan"))
            flows.append(terms.flow.cpu())
        return torch.cat(flows)


def _after(predictor: Predictor, context: Context, plan: Tensor | None) -> Float[Tensor, "B C h w"] | None:
    """Return the frame at the end of the plan, as a predictor has it."""
    if plan is None:
        return None
    with torch.no_grad():
        return predictor(context, plan[:, None], steps=[plan.shape[1] - 1])[:, 0, 0]


Row = dict[str, Any]


def episode_row(episode: Episode) -> Row:
    """Return distances, seconds and the cost's terms; pictures are the caller's."""
    return {
        "seed": episode.seed,
        **_distances("", episode.distances),
        **_distances("_full", episode.distances_full),
        "last10_distance": float(np.mean(episode.distances[-10:])),
        "steps": len(episode.distances) - 1,
        "seconds": sum(episode.seconds.values()),
        **{f"seconds_{name}": spent for name, spent in sorted(episode.seconds.items())},
        **{name: _mean(episode.terms.get(name, [])) for name in TERMS},
        "rejected": episode.rejected,
        "scored": episode.scored,
        "plans_rejected": episode.plans_rejected,
        **({"left_out": list(episode.left_out)} if episode.left_out else {}),
        "diverged": episode.diverged,
        "distances": episode.distances,
    }


def _distances(suffix: str, distances: list[float]) -> Row:
    """Return start, nearest and final distance; the nearest may be the start."""
    return {
        f"start_distance{suffix}": distances[0],
        f"min_distance{suffix}": min(distances),
        f"final_distance{suffix}": distances[-1],
    }


def _mean(values: list[float]) -> float | None:
    """Return the mean over the control steps that have a value, or None."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else None
