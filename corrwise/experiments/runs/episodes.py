"""Episodes of one cost, some of them in lockstep: from configuration and seeds to images and rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from corrwise._clock import Clock
from corrwise.costs import CorrespondenceWise
from corrwise.costs.flow_colors import flow_to_rgb
from corrwise.envs import Fleet, MujocoSimulator
from corrwise.envs.arrays import depth_to_grey, to_uint8
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs import parts
from corrwise.experiments.runs.distances import distance_of, network_of, per_view
from corrwise.experiments.runs.goal_videos import key_frames
from corrwise.experiments.runs.policies import Decision, make_policy
from corrwise.experiments.runs.rows import TERMS, Row
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
        terms: of a correspondence-wise cost at the end of each step's plan, see ``_Shown``; else empty.
        rejected: candidates whose cost was not finite.
        scored: all candidates.
        plans_rejected: plans in which no candidate had a finite cost.
        left_out: elements of the model that the renderer does not draw.
        diverged: whether the environment's physics diverged.
        key_distances: true distance to each key frame of a goal video when its time comes.
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
    key_distances: list[float] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    panels: dict[str, list[np.ndarray]] = field(default_factory=dict)


class EpisodeRunner:
    """Runs episodes of one cost; simulator, predictor, flow and cost are built once, here.

    Args:
        config: task, planner, predictor and what stands behind the costs.
        cost: which of the costs.
        threads: of physics and ray caster; 0 means all CPUs.
        images: whether episodes have panels.
        distance: the distance behind the cost, where it has been built already; see ``make_distance``.
        trained: the trained predictor, where it has been loaded already.

    Attributes:
        network: a hash of the network behind the flow; None without one.
        trained: the trained predictor; None without one.
    """

    def __init__(
        self,
        config: MPCConfig,
        cost: str,
        *,
        threads: int = 0,
        images: bool = True,
        distance: Distance | None = None,
        trained: parts.Trained | None = None,
    ) -> None:
        self._config, self._cost, self._images = config, cost, images
        self._clock = Clock()
        self._task = parts.named_task(config.task)
        self._simulator = MujocoSimulator(
            self._task,
            size=config.size,
            renderer=config.renderer,
            supersample=config.supersample,
            threads=threads,
            cameras=config.cameras,
            depth=config.depth,
        )
        self._clock.watch(self._simulator.physics, "states", "simulate")
        self._clock.watch(self._simulator.renderer, "render", "render")
        self.trained = parts.load_trained(config) if trained is None else trained
        self._predictor = parts.make_predictor(config, self._simulator, self.trained)
        distance = distance_of(cost) if distance is None else distance
        self.network = network_of(distance)
        self._matches = isinstance(distance, CorrespondenceWise)
        self._distance = None if distance is None else per_view(config, self._clock.watch_flow(distance))

    def __call__(
        self,
        seeds: Sequence[int],
        *,
        frozen: tuple[np.ndarray, np.ndarray] | None = None,
        progress: Callable[[], Any] = lambda: None,
    ) -> list[Episode]:
        """Run the episodes with these seeds in lockstep; each is the same as when it runs alone.

        Args:
            seeds: of the starts and goals, and of what the planner draws.
            frozen: starts and goals (B, S) of a manifest, in place of those that the seeds draw.
            progress: called after every control step, once for each episode.
        """
        config, clock, simulator = self._config, self._clock, self._simulator
        clock.seconds.clear()
        fleet = Fleet(simulator, context_frames=parts.context_of(config))
        with clock.measure("environment", opaque=True):
            context, goal = fleet.reset(seeds) if frozen is None else fleet.begin(*frozen)
            ends = context.frames[:, -1], goal.frames[:, -1]
            keys = key_frames(config, simulator, seeds, *ends) if config.goal_frames else None
        goal = goal if keys is None else keys.goal
        policy = make_policy(self._cost, config, fleet, goal, seeds, clock, self._predictor, self._distance)
        matched = self._distance if self._matches else None
        show = _Shown(config, matched, self._predictor, goal, simulator, images=self._images)
        episodes = [Episode(seed, left_out=simulator.left_out) for seed in seeds]
        _note(episodes, fleet)
        for step in range(config.steps or self._task.episode_steps):
            with clock.measure("plan"):
                decision = policy(context)
            with clock.measure("environment", opaque=True):
                show(episodes, context, decision, step)
                context = fleet.step(decision.action)
                _note(episodes, fleet, decision)
                if keys is not None:
                    near = keys.distances(simulator, step + 1, fleet.snapshot())
                    for episode, each in zip(episodes, near, strict=True):
                        episode.key_distances += each
            for _ in seeds:
                progress()
        with clock.measure("environment", opaque=True):
            show.last(episodes, context)
        for episode in episodes:
            spent = {name: each / len(seeds) for name, each in clock.seconds.items() if name != "environment"}
            episode.seconds = spent
        return episodes


def _note(episodes: list[Episode], fleet: Fleet, decision: Decision | None = None) -> None:
    near, full = fleet.distance(), fleet.distance(full=True)
    for i, episode in enumerate(episodes):
        episode.distances.append(float(near[i]))
        episode.distances_full.append(float(full[i]))
        episode.diverged = bool(fleet.diverged[i])
        if decision is not None:
            episode.rejected += int(decision.rejected[i])
            episode.scored += decision.scored
            episode.plans_rejected += int(0 < decision.scored == int(decision.rejected[i]))


def episode_row(episode: Episode) -> Row:
    """Return distances, seconds and the cost's terms; images are the caller's."""
    return {
        "seed": episode.seed,
        **{
            f"{name}_distance{suffix}": value
            for suffix, each in (("", episode.distances), ("_full", episode.distances_full))
            for name, value in (("start", each[0]), ("min", min(each)), ("final", each[-1]))
        },
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
        **({"key_distances": episode.key_distances} if episode.key_distances else {}),
        "distances": episode.distances,
    }


def _mean(values: list[float]) -> float | None:
    """Return the mean over the control steps that have a value, or None."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else None


class _Shown:
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
