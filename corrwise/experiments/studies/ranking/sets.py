"""The candidates that real plans choose among, with what is true of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from torch import Tensor

from corrwise.envs import TASKS, Fleet, MujocoSimulator
from corrwise.experiments.cli.table_ranking import RankingTableConfig
from corrwise.experiments.runs.controls import PlanByTruth, Watch, exact_flow_price
from corrwise.mpc import CEM, generator
from corrwise.mpc.score import Aggregate

__all__ = ["CandidateSet", "candidate_sets"]


@dataclass(frozen=True)
class CandidateSet:
    """The candidates of one iteration of one plan.

    Attributes:
        seed: of the episode.
        frames: what each candidate leads to at the end of the horizon.
        goal: the goal picture.
        distances: true state distance of each to the goal, position only.
        displacements: mean displacement of the goal's body pixels in pixels, by exact flow.
    """

    seed: int
    frames: Float[Tensor, "N 3 h w"]
    goal: Float[Tensor, "3 h w"]
    distances: Float64[np.ndarray, "N"]
    displacements: Float64[np.ndarray, "N"]


def candidate_sets(task: str, config: RankingTableConfig, seeds: Sequence[int]) -> Iterator[CandidateSet]:
    """Yield the candidates of every iteration of the plans at ``config.moments``, while exact flow steers."""
    simulator = MujocoSimulator(TASKS[task], size=config.size)
    fleet = Fleet(simulator)
    context, goal = fleet.reset(seeds)
    planner = CEM(
        simulator.physics.action_dim,
        horizon=config.horizon,
        candidates=config.candidates,
        iterations=config.iterations,
    )
    watch = Watch(exact_flow_price(simulator))
    policy = PlanByTruth(fleet, planner, [generator(seed, 0) for seed in seeds], Aggregate("last"), watch)
    for step in range(max(config.moments) + 1):
        watch.seen.clear()
        decision = policy(context, goal)
        if step in config.moments:
            for states, displacements in watch.seen:
                frames = simulator.render(states)
                near = simulator.state_distance(states, fleet.goal_states[:, None])
                for i, seed in enumerate(seeds):
                    yield CandidateSet(seed, frames[i], goal.frames[i, 0], near[i], displacements[i].double().numpy())
        context = fleet.step(decision.action)
