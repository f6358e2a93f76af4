"""Episodes of one cost, some of them in lockstep: from configuration and seeds to images and rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from corrwise._clock import Clock
from corrwise.costs import CorrespondenceWise
from corrwise.envs import Fleet, MujocoSimulator
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs import parts
from corrwise.experiments.runs.damaged_goals import damaged_goals_of
from corrwise.experiments.runs.distances import distance_of, network_of, per_view
from corrwise.experiments.runs.goal_videos import held, key_frames
from corrwise.experiments.runs.policies import Decision, make_policy
from corrwise.experiments.runs.rows import TERMS, Row
from corrwise.experiments.runs.shown import Episode, Shown
from corrwise.predictors.metrics import psnr
from corrwise.types import Distance


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
        restorer: the same of the model that restores goals.
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
        self._damaged = damaged_goals_of(config)
        self.restorer = None if self._damaged is None else self._damaged.weights

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
            context, goal = fleet.reset(seeds) if frozen is None else fleet.begin(*frozen, seeds)
            ends = context.frames[:, -1], goal.frames[:, -1]
            keys = key_frames(config, simulator, seeds, *ends) if config.goal_frames else None
        goal = goal if keys is None else keys.goal
        errors: list[float | None] = [None for _ in seeds]
        if self._damaged is not None:
            whole = list(goal.frames) if keys is None else keys.videos
            with clock.measure("restore"):  # each before it is held, so that it does not depend on the others
                shown = [self._damaged(video, seed) for video, seed in zip(whole, seeds, strict=True)]
            errors = [float(psnr(*pair).mean()) for pair in zip(shown, whole, strict=True)]
            goal = held(shown)
        policy = make_policy(self._cost, config, fleet, goal, seeds, clock, self._predictor, self._distance)
        matched = self._distance if self._matches else None
        show = Shown(config, matched, self._predictor, goal, simulator, images=self._images)
        episodes = [
            Episode(seed, left_out=simulator.left_out, goal_psnr=error)
            for seed, error in zip(seeds, errors, strict=True)
        ]
        if keys is not None:
            for episode in episodes:
                episode.key_distances = []
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
                        episode.key_distances = [*(episode.key_distances or []), *each]
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
        **({} if episode.key_distances is None else {"key_distances": episode.key_distances}),
        **({} if episode.goal_psnr is None else {"goal_psnr": episode.goal_psnr}),
        "distances": episode.distances,
    }


def _mean(values: list[float]) -> float | None:
    """Return the mean over the control steps that have a value, or None."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else None
