"""Episodes of one cost, some of them in lockstep: a pure function from configuration and seeds to what happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from corrwise.envs import Fleet, MujocoSimulator
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs.clock import Clock
from corrwise.experiments.runs.episode import Episode, Showing
from corrwise.experiments.runs.named_predictors import context_of
from corrwise.experiments.runs.named_tasks import named_task
from corrwise.experiments.runs.policies import Decision, make_policy
from corrwise.mpc import generator

__all__ = ["Episode", "run_episodes"]

Progress = Callable[[], None]


def run_episodes(
    config: MPCConfig,
    cost: str,
    seeds: Sequence[int],
    *,
    frozen: tuple[np.ndarray, np.ndarray] | None = None,
    threads: int = 0,
    progress: Progress = lambda: None,
) -> list[Episode]:
    """Run the episodes with these seeds in lockstep; each is the same as when it runs alone.

    Args:
        config: task, planner, predictor and what stands behind the costs.
        cost: which of the costs.
        seeds: of the starts and goals, and of what the planner draws.
        frozen: starts and goals (B, S) of a manifest, in place of those that the seeds draw.
        threads: of physics and ray caster; 0 means all CPUs.
        progress: called after every control step.
    """
    clock = Clock()
    task = named_task(config.task)
    simulator = MujocoSimulator(
        task,
        size=config.size,
        renderer=config.renderer,
        supersample=config.supersample,
        threads=threads,
        cameras=config.cameras,
        depth=config.depth,
    )
    clock.watch(simulator.physics, "states", "simulate")
    clock.watch(simulator.renderer, "render", "render")
    fleet = Fleet(simulator, context_frames=context_of(config))
    generators = [generator(seed, 0) for seed in seeds]
    with clock.measure("environment", opaque=True):
        context, goal = fleet.reset(seeds) if frozen is None else fleet.begin(*frozen)
    policy, predictor = make_policy(cost, config, fleet, generators, clock)
    show = Showing(config, cost, predictor, goal, simulator)
    episodes = [Episode(seed, left_out=getattr(simulator.renderer, "left_out", ())) for seed in seeds]
    _note(episodes, fleet)
    for _ in range(config.steps or task.episode_steps):
        with clock.measure("plan"):
            decision = policy(context, goal)
        with clock.measure("environment", opaque=True):
            show(episodes, context, decision)
            context = fleet.step(decision.action)
            _note(episodes, fleet, decision)
        progress()
    for episode in episodes:
        episode.seconds = {name: spent / len(seeds) for name, spent in clock.seconds.items() if name != "environment"}
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
