"""What an episode keeps: its distances, the terms of its cost, and the panels of the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.costs.flow_colors import flow_to_rgb
from corrwise.envs import MujocoSimulator
from corrwise.envs.arrays import depth_to_grey, to_uint8
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs.policies import Decision
from corrwise.predictors import OraclePredictor
from corrwise.types import Context, Distance, Goal, Predictor

_BLANK = 40  # grey of a panel that has nothing to show
_FLOW_RANGE = 0.25  # share of the image's width at which flow colours are full


@dataclass
class Episode:
    """What happened in one episode.

    Attributes:
        seed: which episode.
        distances, distances_full: true distance to the goal at the start and after each step, position-only and full.
        terms: of a correspondence-wise cost at the end of each step's plan, see ``Shown``; else empty.
        rejected: candidates whose cost was not finite.
        scored: all candidates.
        plans_rejected: plans in which no candidate had a finite cost.
        left_out: elements of the model that the renderer does not draw.
        diverged: whether the environment's physics diverged.
        key_distances: true distance to each key frame of a goal video whose time has come; None without a goal video.
        goal_psnr: of a damaged or restored goal against the whole one, in dB; None of a whole goal.
        seconds: planning seconds by phase, this episode's share.
        panels: images by row of the strip, uint8 (h, w, 3), one before each control step, and the final state.
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
    key_distances: list[float] | None = None
    goal_psnr: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    panels: dict[str, list[np.ndarray]] = field(default_factory=dict)


class Shown:
    """Collects the terms and, where they are shown, the report's panels.

    The panels are goal, seen, predicted, unless an oracle predicts also where the same plan really leads, and the
    flow by which the cost matched predicted and goal. Of several views each panel is followed by those of the others,
    under their names, and by the depths as grey maps.

    The terms are those of ``corrwise.costs.Terms`` between the frame at the end of the chosen plan and the goal:
    ``residual`` in the base distance's unit, ``displacement_px`` and ``occluded``; NaN where the frame is broken.
    """

    def __init__(
        self,
        config: MPCConfig,
        distance: Distance | None,
        predictor: Predictor,
        goal: Goal,
        simulator: MujocoSimulator,
        *,
        images: bool,
    ) -> None:
        self._predictor, self._goal, self._shows = predictor, goal, images
        self._truth = None if isinstance(predictor, OraclePredictor) else OraclePredictor(simulator)
        self._views, self._names = simulator.views, simulator.cameras
        self._horizon = config.horizon
        self._distance: Any = distance
        self._device = config.device
        self._range = _FLOW_RANGE * config.size

    def __call__(self, episodes: list[Episode], context: Context, decision: Decision, step: int) -> None:
        """Record terms and panels before the next action, after ``step`` actions."""
        self._aim(step)
        if not self._shows and self._distance is None:
            return
        frame = _after(self._predictor, context, decision.plan)
        flow = None if frame is None else self._compared(episodes, frame)
        if not self._shows:
            return
        true = None if self._truth is None else _after(self._truth, context, decision.plan)
        self._note(episodes, context, frame, true, flow)

    def last(self, episodes: list[Episode], context: Context) -> None:
        """Record the final state."""
        if self._shows:
            self._note(episodes, context, None, None, None)

    def _aim(self, step: int) -> None:
        """Compare with the goal image, or of a goal video with the frame at the end of the plan."""
        frames = self._goal.frames
        if step == 0 or frames.shape[1] > 1:
            self._target = frames[:, min(step + self._horizon, frames.shape[1]) - 1]
            self._goals = self._images(self._target)

    def _note(
        self, episodes: list[Episode], context: Context, frame: Tensor | None, true: Tensor | None, flow: Tensor | None
    ) -> None:
        seen = self._images(context.frames[:, -1])
        predicted, leads_to = (None if each is None else self._images(each.nan_to_num(0.0)) for each in (frame, true))
        shown = {"goal": self._goals, "seen": seen, "predicted": predicted}
        shown |= {} if self._truth is None else {"true": leads_to}
        for i, episode in enumerate(episodes):
            for panel, images in shown.items():
                for name in seen:
                    blank = np.full_like(seen[name][i], _BLANK)
                    image = blank if images is None else images[name][i]
                    episode.panels.setdefault(f"{panel}{name}", []).append(image)
            flows = [None] * self._views.count if flow is None else flow[i].chunk(self._views.count, dim=-1)
            for name, part in zip(seen, flows, strict=False):  # the names of the views come first
                painted = blank if part is None else flow_to_rgb(part.numpy(), max_px=self._range)
                episode.panels.setdefault(f"flow{name}", []).append(painted)

    def _images(self, frames: Float[Tensor, "B C h w"]) -> dict[str, np.ndarray]:
        """Return the images of frames by the suffix of a panel's name: each view, then its depth."""
        names = ["", *(f" {name}" for name in self._names[1:])]
        frames = frames.cpu()
        colours = self._views.colour(frames).split(3, dim=1)
        images = {name: to_uint8(colour) for name, colour in zip(names, colours, strict=False)}
        metres = self._views.metres(frames).unbind(1) if self._views.depth else []
        depths = zip(names, metres, strict=False)
        return images | {f"{name} depth": depth_to_grey(part.numpy()) for name, part in depths}

    def _compared(self, episodes: list[Episode], frame: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 2 h W"] | None:
        """Note the terms between the frame and the goal, and return where the frame's pixels lie in the goal.

        One environment at a time, because the last bits of a network's output depend on the batch.
        """
        if self._distance is None:
            return None
        flows = []
        frame = frame.to(self._device)
        for episode, seen, goal in zip(episodes, frame.split(1), self._target.to(frame).split(1), strict=True):
            with torch.no_grad():
                terms = self._distance.terms(seen.nan_to_num(0.0), goal)
            named = {"residual": terms.residual, "displacement_px": terms.displacement, "occluded": terms.occluded}
            whole = bool(seen.isfinite().all())
            for name, value in named.items():
                episode.terms.setdefault(name, []).append(float(value) if whole else float("nan"))
            flows.append(terms.flow.cpu())
        return torch.cat(flows)


def _after(predictor: Predictor, context: Context, plan: Tensor | None) -> Float[Tensor, "B C h w"] | None:
    """Return the predicted frame at the end of the plan."""
    if plan is None:
        return None
    with torch.no_grad():
        return predictor(context, plan[:, None], steps=[plan.shape[1] - 1])[:, 0, 0]
