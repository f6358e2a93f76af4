"""Who acts in the clips that predictors learn from: noise, or a planner on its way to a goal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from corrwise.envs import Fleet, MujocoSimulator
from corrwise.envs.tasks.goals import correlated, start_state
from corrwise.envs.pictures import to_uint8
from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs.clock import Clock
from corrwise.experiments.runs.policies import make_policy
from corrwise.mpc import generator
from corrwise.predictors.data import Clip

__all__ = ["acted"]

Played = tuple[np.ndarray, np.ndarray]  # states (n, T, S), NaN from where physics broke down, and actions (n, T - 1, A)


def acted(config: CollectConfig, simulator: MujocoSimulator, numbers: Sequence[int]) -> Iterator[Clip]:
    """Yield the clips with these numbers; each is the same whatever is collected beside it."""
    turns = len(config.behaviours)
    found: dict[int, Clip] = {}
    for turn, name in enumerate(config.behaviours):
        mine = [number for number in numbers if number % turns == turn]
        if not mine:
            continue
        seeds = [config.seed + number for number in mine]
        steps = config.steps or simulator.task.episode_steps
        states, actions = BEHAVIOURS[name](config, simulator, seeds, steps)
        for number, seed, seen, done in zip(mine, seeds, states, actions, strict=True):
            found[number] = _clip(simulator, seen, done, {"seed": seed, "behaviour": name})
    yield from (found[number] for number in numbers)


def _clip(simulator: MujocoSimulator, states: np.ndarray, actions: np.ndarray, about: dict[str, object]) -> Clip:
    """Return the clip of an episode, up to where its physics broke down if it did."""
    good = np.isfinite(states).all(axis=1)
    length = len(good) if good.all() else int(np.argmin(good))
    return Clip(to_uint8(simulator.render(states[:length])), actions[: length - 1], states[:length], about)


def _random(config: CollectConfig, simulator: MujocoSimulator, seeds: Sequence[int], steps: int) -> Played:
    """Act uniformly, a new action at each step."""
    draws = [np.random.default_rng((seed, 1)) for seed in seeds]
    actions = np.stack([draw.uniform(-1, 1, (steps, simulator.physics.action_dim)) for draw in draws])
    return _rolled(simulator, seeds, actions)


def _coloured(config: CollectConfig, simulator: MujocoSimulator, seeds: Sequence[int], steps: int) -> Played:
    """Act by correlated noise, its strength and correlation drawn for each episode; wider noise is clipped."""
    actions = np.empty((len(seeds), steps, simulator.physics.action_dim))
    for row, seed in zip(actions, seeds, strict=True):
        draw = np.random.default_rng((seed, 2))
        strength, correlation = draw.uniform(0.3, 1.5), 1 - 10 ** draw.uniform(-2, 0)
        row[:] = np.clip(strength * correlated(draw.standard_normal((1, *row.shape)), correlation)[0], -1, 1)
    return _rolled(simulator, seeds, actions)


def _rolled(simulator: MujocoSimulator, seeds: Sequence[int], actions: np.ndarray) -> Played:
    """Return the states of all episodes in one call of the physics, starts in front, and the actions."""
    task, model = simulator.task, simulator.model
    starts = np.stack([start_state(task, model, np.random.default_rng(seed)) for seed in seeds])
    taken = torch.from_numpy(actions.astype(np.float32))
    after = simulator.states(starts, taken[:, None], range(actions.shape[1]))[:, 0]
    return np.concatenate([starts[:, None], after], axis=1), taken.numpy()


def _mpc(config: CollectConfig, simulator: MujocoSimulator, seeds: Sequence[int], steps: int) -> Played:
    """Plan from start to goal."""
    fleet = Fleet(simulator)
    context, goal = fleet.reset(list(seeds))
    settings = MPCConfig(task=config.task, costs=(config.cost,), size=config.size, supersample=config.supersample)
    policy, _ = make_policy(config.cost, settings, fleet, [generator(seed, 0) for seed in seeds], Clock())
    states, actions = [fleet.snapshot()], []
    for _ in range(steps):
        action = policy(context, goal).action.clamp(-1, 1)
        context = fleet.step(action)
        states.append(np.where(fleet.diverged[:, None], np.nan, fleet.snapshot()))
        actions.append(action.numpy().astype(np.float32))
    return np.stack(states, axis=1), np.stack(actions, axis=1)


Behaviour = Callable[[CollectConfig, MujocoSimulator, Sequence[int], int], Played]
BEHAVIOURS: dict[str, Behaviour] = {"random": _random, "coloured": _coloured, "mpc": _mpc}
