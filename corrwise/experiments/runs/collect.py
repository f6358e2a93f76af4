"""``corrwise collect``: episodes of a task as clips, shard by shard, stoppable at any time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from corrwise._clock import Clock
from corrwise._writing import write_aside, write_json_atomic
from corrwise.envs import Fleet, MujocoSimulator
from corrwise.envs.arrays import to_uint8
from corrwise.envs.tasks.goals import correlated, start_state
from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs import parts
from corrwise.experiments.runs.distances import distance_of, with_costs
from corrwise.experiments.runs.executors import executor_of
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.policies import make_policy
from corrwise.experiments.runs.settings import settings_of, versions
from corrwise.predictors.data.clip import Clip
from corrwise.predictors.data.folder import INDEX, read_index, shard_name
from corrwise.predictors.data.formats.shard_writer import write_shard
from corrwise.predictors.data.formats.shards import SHARD_CLIPS, BrokenShard, shard_about

Played = tuple[np.ndarray, np.ndarray]  # states (n, T, S), NaN from where physics broke down, and actions (n, T - 1, A)


def acted(config: CollectConfig, simulator: MujocoSimulator, numbers: Sequence[int]) -> Iterator[Clip]:
    """Yield the clips with these numbers; each is the same whatever is collected beside it."""
    turns = len(config.behaviours)
    clips: dict[int, Clip] = {}
    for turn, name in enumerate(config.behaviours):
        mine = [number for number in numbers if number % turns == turn]
        if not mine:
            continue
        seeds = [config.seed + number for number in mine]
        steps = config.steps or simulator.task.episode_steps
        states, actions = BEHAVIOURS[name](config, simulator, seeds, steps)
        for number, seed, seen, done in zip(mine, seeds, states, actions, strict=True):
            clips[number] = _clip(simulator, seen, done, {"seed": seed, "behaviour": name})
    yield from (clips[number] for number in numbers)


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
    steps, forces = range(actions.shape[1]), None
    if task.gusts is not None:
        forces = np.stack([task.gusts.of_episode(model, seed, steps) for seed in seeds])[:, None]
    after = simulator.states(starts, taken[:, None], steps, forces)[:, 0]
    return np.concatenate([starts[:, None], after], axis=1), taken.numpy()


def _mpc(config: CollectConfig, simulator: MujocoSimulator, seeds: Sequence[int], steps: int) -> Played:
    """Plan from start to goal."""
    fleet = Fleet(simulator)
    context, goal = fleet.reset(list(seeds))
    settings = MPCConfig(task=config.task, costs=(config.cost,), size=config.size, supersample=config.supersample)
    predictor, distance = parts.make_predictor(settings, simulator), distance_of(config.cost)
    policy = make_policy(config.cost, settings, fleet, goal, seeds, Clock(), predictor, distance)
    states, actions = [fleet.snapshot()], []
    for _ in range(steps):
        action = policy(context).action.clamp(-1, 1)
        context = fleet.step(action)
        states.append(np.where(fleet.diverged[:, None], np.nan, fleet.snapshot()))
        actions.append(action.numpy().astype(np.float32))
    return np.stack(states, axis=1), np.stack(actions, axis=1)


Behaviour = Callable[[CollectConfig, MujocoSimulator, Sequence[int], int], Played]
BEHAVIOURS: dict[str, Behaviour] = {"random": _random, "coloured": _coloured, "mpc": _mpc}


@dataclass
class _Shards:
    """Makes shards that are missing, broken or of other episodes; a worker builds its simulator once."""

    config: CollectConfig
    simulator: MujocoSimulator | None = None

    def __call__(self, numbers: range, *, threads: int) -> tuple[range, dict[str, Any]]:
        """Return the numbers of a shard's episodes and its metadata."""
        path = self.config.out / shard_name(numbers.start // SHARD_CLIPS)
        try:
            there = shard_about(path) if path.exists() else {}
        except BrokenShard as error:
            tqdm.write(f"{error}; it is made again", file=sys.stderr)
            there = {}
        if there.get("episodes", [])[: len(numbers)] == list(numbers):
            return numbers, there  # more are there when fewer are asked for
        if self.simulator is None:
            self.simulator = _simulator(self.config, threads)
        clips, frame_skip = list(acted(self.config, self.simulator, numbers)), self.simulator.task.frame_skip
        about = {"task": self.config.task, "frame_skip": frame_skip, "supersample": self.config.supersample}
        with write_aside(path) as aside:
            write_shard(aside, clips, {**about, "episodes": list(numbers), "versions": versions()})
        return numbers, shard_about(path)

    def __getstate__(self) -> dict[str, Any]:
        return {"config": self.config, "simulator": None}


def run_collect(config: CollectConfig) -> Path:
    """Collect what the folder does not hold yet, and return the index's path.

    A shard is written atomically; one that cannot be read is made again.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        ValueError: there is no such task.
    """
    settings = settings_of(config, "collect").with_values(
        {"task_source": None, **parts.task_settings(config.task)},
        evidence=("task_model", "task_numbers"),
        normal={"task": parts.task_label},
    )
    settings = with_costs(settings, config.out, (config.cost,))
    work = _Shards(config, _simulator(config, config.threads))
    jobs = [range(i, min(i + SHARD_CLIPS, config.episodes)) for i in range(0, config.episodes, SHARD_CLIPS)]
    executor = executor_of(config.where, config.processes, config.out)
    with RunFolder(config.out, settings, begun=lambda out: any(out.glob("shard-*.h5"))):
        index = read_index(config.out)
        with tqdm(total=config.episodes, unit="episode", desc=config.out.name) as bar:
            for numbers, about in executor(work, jobs):
                index[shard_name(numbers.start // SHARD_CLIPS)] = about
                write_json_atomic(config.out / INDEX, {"task": config.task, "shards": dict(sorted(index.items()))})
                bar.update(len(numbers))
    return config.out / INDEX


def _simulator(config: CollectConfig, threads: int) -> MujocoSimulator:
    task = parts.named_task(config.task)
    return MujocoSimulator(task, size=config.size, supersample=config.supersample, threads=threads)
