"""Episodes of one cost, some of them in lockstep: a pure function from configuration and seeds to what happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from corrwise.envs import Fleet, MujocoSimulator
from corrwise.experiments.cli.cost import CONTROL_NAMES
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs.clock import Clock
from corrwise.experiments.runs.episode import Episode, Showing
from corrwise.experiments.runs.named_costs import make_distance
from corrwise.experiments.runs.named_predictors import Trained, context_of, load_trained, make_predictor
from corrwise.experiments.runs.named_tasks import named_task
from corrwise.experiments.runs.networks import network_of
from corrwise.experiments.runs.policies import Decision, make_policy
from corrwise.mpc import generator
from corrwise.types import Distance

__all__ = ["Episode", "EpisodeRunner", "run_episodes"]

Progress = Callable[[], None]


class EpisodeRunner:
    """Runs episodes of one cost; simulator, predictor, flow and cost are built once, here.

    Args:
        config: task, planner, predictor and what stands behind the costs.
        cost: which of the costs.
        threads: of physics and ray caster; 0 means all CPUs.
        images: whether episodes have panels, for who shows them.
        distance: the distance behind the cost, where it has been built already; see ``make_distance``.
        trained: the trained predictor, where it has been loaded already.

    Attributes:
        network: what tells the network behind the flow from others; None without any.
        trained: the trained predictor; None without any.
    """

    def __init__(
        self,
        config: MPCConfig,
        cost: str,
        *,
        threads: int = 0,
        images: bool = True,
        distance: Distance | None = None,
        trained: Trained | None = None,
    ) -> None:
        self._config, self._cost, self._images = config, cost, images
        self._clock = Clock()
        self._task = named_task(config.task)
        self._simulator = MujocoSimulator(
            self._task, size=config.size, renderer=config.renderer, supersample=config.supersample, threads=threads
        )
        self._clock.watch(self._simulator.physics, "states", "simulate")
        self._clock.watch(self._simulator.renderer, "render", "render")
        self.trained = load_trained(config) if trained is None else trained
        self._predictor = make_predictor(config, self._simulator, self.trained)
        self._distance = distance
        if distance is None and cost not in CONTROL_NAMES:
            self._distance = make_distance(cost)
        self.network = network_of(self._distance)
        self._timed = self._clock.watch_flow(self._distance)

    def __call__(
        self,
        seeds: Sequence[int],
        *,
        frozen: tuple[np.ndarray, np.ndarray] | None = None,
        progress: Progress = lambda: None,
    ) -> list[Episode]:
        """Run the episodes with these seeds in lockstep; each is the same as when it runs alone.

        Args:
            seeds: of the starts and goals, and of what the planner draws.
            frozen: starts and goals (B, S) of a manifest, in place of those that the seeds draw.
            progress: called after every control step.
        """
        config, clock, simulator = self._config, self._clock, self._simulator
        clock.seconds.clear()
        fleet = Fleet(simulator, context_frames=context_of(config))
        generators = [generator(seed, 0) for seed in seeds]
        with clock.measure("environment", opaque=True):
            context, goal = fleet.reset(seeds) if frozen is None else fleet.begin(*frozen)
        policy = make_policy(self._cost, config, fleet, generators, clock, self._predictor, self._timed)
        show = Showing(config, self._timed, self._predictor, goal, simulator if self._images else None)
        episodes = [Episode(seed, left_out=getattr(simulator.renderer, "left_out", ())) for seed in seeds]
        _note(episodes, fleet)
        for _ in range(config.steps or self._task.episode_steps):
            with clock.measure("plan"):
                decision = policy(context, goal)
            with clock.measure("environment", opaque=True):
                show(episodes, context, decision)
                context = fleet.step(decision.action)
                _note(episodes, fleet, decision)
            progress()
        for episode in episodes:
            spent = {name: each / len(seeds) for name, each in clock.seconds.items() if name != "environment"}
            episode.seconds = spent
        return episodes


def run_episodes(
    config: MPCConfig,
    cost: str,
    seeds: Sequence[int],
    *,
    frozen: tuple[np.ndarray, np.ndarray] | None = None,
    threads: int = 0,
) -> list[Episode]:
    """Run the episodes with these seeds once; see ``EpisodeRunner``."""
    return EpisodeRunner(config, cost, threads=threads)(seeds, frozen=frozen)


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
