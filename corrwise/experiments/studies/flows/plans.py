"""Training pairs from the plans that a flow net's own cost leads to.

A planner selects the candidates at which the flow errs in their favour. Random motion seldom reaches those states, so
they are taken from the plans themselves (as in DAgger, Ross et al. 2011).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from corrwise._files import load_arrays
from corrwise._writing import write_bytes_atomic
from corrwise.costs import CostSpec, GoalCost
from corrwise.envs import TASKS, Fleet, MujocoSimulator
from corrwise.experiments.cli.options import BODY_NAMES
from corrwise.experiments.cli.train_flow import FIRST_PLANNED_SEED
from corrwise.experiments.runs.policies import Planning, Recorded, StateCost, state_score
from corrwise.mpc import CEM, AgentConfig, Aggregate, VisualMPC
from corrwise.types import Cost, Goal, Planner

HORIZON = 12
_LOCKSTEP = 8
_CHEAPEST, _OTHERS = 6, 6  # candidates kept of each iteration: the best ones, and some of the rest

States = Float32[np.ndarray, "_ 2 _"]  # a candidate at the end of the horizon, and the goal it was compared with


def plans_of(weights: str, *, size: int, episodes: int, folder: Path, progress: Callable[[str], None]) -> list[States]:
    """Return each task's planned states, from the folder if it has them; none for no episodes."""
    if not episodes:
        return []
    return [_kept(folder / f"plans-{task}.npz", task, weights, size, episodes, progress) for task in BODY_NAMES]


def planned_states(task: str, weights: str, *, size: int, episodes: int, candidates: int = 48) -> States:
    """Return candidates and goals of all plans of some episodes: CEM with the recommended cost of these weights."""
    simulator = MujocoSimulator(TASKS[task], size=size)
    cost = GoalCost(CostSpec("l1", "learned", "disp", options=(("weights", weights),)).build())
    planner = CEM(simulator.physics.action_dim, horizon=HORIZON, candidates=candidates)
    seeds = range(FIRST_PLANNED_SEED, FIRST_PLANNED_SEED + episodes)
    groups = [seeds[i : i + _LOCKSTEP] for i in range(0, episodes, _LOCKSTEP)]
    return np.concatenate([part for group in groups for part in _candidates(simulator, cost, planner, group)])


def _kept(file: Path, task: str, weights: str, size: int, episodes: int, progress: Callable[[str], None]) -> States:
    if not file.exists():
        progress(f"{task}: {episodes} episodes are planned with {weights}, to learn from")
        data = io.BytesIO()
        np.savez_compressed(data, states=planned_states(task, weights, size=size, episodes=episodes))
        write_bytes_atomic(file, data.getvalue())
    states = load_arrays(file.read_bytes(), str(file)).get("states", np.zeros(0))
    if states.dtype != np.float32 or states.ndim != 3 or states.shape[1] != 2:
        raise ValueError(f"expected states float32 (n, 2, S) in {file}, got {states.dtype} {states.shape}")
    return states


def _candidates(simulator: MujocoSimulator, cost: Cost, planner: Planner, seeds: range) -> Iterator[States]:
    fleet = Fleet(simulator)
    context, goal = fleet.reset(seeds)
    recorded = Recorded(_image_cost(simulator, cost, goal))
    score = state_score(fleet, recorded, Aggregate("last"))
    policy = Planning(VisualMPC(None, None, planner, goal=goal, score=score, config=AgentConfig(seed=tuple(seeds))))
    for _ in range(simulator.task.episode_steps):
        recorded.seen.clear()
        decision = policy(context)
        for states, costs in recorded.seen:
            for candidates, values, target in zip(states, costs, fleet.goal_states, strict=True):
                kept = candidates[_chosen(values)]
                kept = kept[np.isfinite(kept).all(axis=1)]
                yield np.stack([kept, np.broadcast_to(target, kept.shape)], axis=1).astype(np.float32)
        context = fleet.step(decision.action)


def _image_cost(simulator: MujocoSimulator, cost: Cost, goal: Goal) -> StateCost:
    """Return the image cost as a cost of states; environments are compared one at a time, as planners do."""
    goals = [Goal(frames[None]) for frames in goal.frames]

    def of_states(states: np.ndarray, _: np.ndarray) -> Float[Tensor, "B N T"]:
        frames = simulator.render(states)
        with torch.no_grad():
            return torch.cat([cost(each[None], target) for each, target in zip(frames, goals, strict=True)])

    return of_states


def _chosen(costs: Float[Tensor, "N"]) -> np.ndarray:
    """Return the indices of the cheapest candidates and of others evenly down the ranking."""
    order = np.argsort(costs.nan_to_num(nan=np.inf).numpy(), kind="stable")
    others = np.linspace(_CHEAPEST, len(order) - 1, _OTHERS).round().astype(int)
    ranks = np.unique(np.r_[:_CHEAPEST, others])
    return order[ranks[ranks < len(order)]]
