"""Agents that learn from the reward of a goal image, or from hindsight, and how far from the goal they end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import gymnasium
import numpy as np
import torch
from jaxtyping import Float64
from stable_baselines3 import SAC, HerReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from corrwise.costs import CostSpec
from corrwise.envs import TASKS, MujocoSimulator, RenderToInfo, VecImageGoalReward, VisualTask
from corrwise.envs.arrays import to_uint8
from corrwise.envs.last_frames import LastFrames
from corrwise.experiments.cli.table_agents import AgentTableConfig
from corrwise.experiments.studies.agents.wrappers import FixedGoal, Profiles, hanging
from corrwise.types import Distance

__all__ = ["LAST", "SEED", "Lesson", "final_distance", "judged", "run_lesson"]

SEED = 50_000  # of the first episode; no agent learns from it
LAST = 10  # control steps at the end of an episode, over which the distance is averaged: a pole swings


def judged(act: Callable[[Any], np.ndarray], envs: VecEnv) -> Float64[np.ndarray, "T n"]:
    """Return the true distances along one episode of each copy: after each control step, m and rad.

    Args:
        act: observations of all copies to their actions (n, A).
        envs: n copies whose info tells the ``state_distance``, all with episodes of one length.
    """
    envs.seed(SEED)
    observations, distances = envs.reset(), []
    while True:
        observations, _, over, infos = envs.step(act(observations))
        distances.append([info["state_distance"] for info in infos])
        if over.any():
            return np.array(distances)


def final_distance(distances: Float64[np.ndarray, "T n"]) -> float:
    """Return the mean over all episodes and their last control steps."""
    return float(distances[-LAST:].mean())


Row = dict[str, Any]
_TASK, _ID = "cartpole", "corrwise/Cartpole-v0"
_EPISODE = TASKS[_TASK].episode_steps + 1  # goals are taken from episodes that have ended
_TYPICAL = 0.14  # the image cost of two pictures of Cartpole at random
_FARTHEST = 2.0  # metres from the middle at which a goal picture shows the cart


@dataclass(frozen=True)
class Lesson:
    """One agent to train.

    Attributes:
        lesson: "reward" or "hindsight".
        arm: what it learns from: a reward's name, "hindsight", or "random" for actions that are drawn.
        seed: of the agent, of its environments and of its goal.
        config: how long, and on what.
    """

    lesson: str
    arm: str
    seed: int
    config: AgentTableConfig


def run_lesson(job: Lesson, *, threads: int) -> Row:
    """Train, judge and return the row: true distances at the end of an episode, as the agent learns."""
    torch.set_num_threads(1)  # more would round differently
    began = perf_counter()
    steps, curve = _by_reward(job) if job.lesson == "reward" else _by_hindsight(job)
    named = {"lesson": job.lesson, "arm": job.arm, "seed": job.seed}
    return {**named, "final": curve[-1], "steps": steps, "curve": curve, "seconds": perf_counter() - began}


def _by_reward(job: Lesson) -> tuple[list[int], list[float]]:
    config = job.config
    simulator = MujocoSimulator(TASKS[_TASK], size=config.size, supersample=config.supersample, threads=1)
    goal = hanging(simulator.model, np.random.default_rng(job.seed).uniform(-_FARTHEST, _FARTHEST))
    make = partial(_fixed_goal, config, goal)
    envs: VecEnv = DummyVecEnv([make] * config.copies)
    if job.arm != "state":
        envs = VecImageGoalReward(
            envs, job.arm, to_uint8(simulator.render(goal[None]))[0], form="normalised", device=config.device
        )
    starts = _first_look(config.steps)
    agent = SAC("MlpPolicy", envs, seed=job.seed, learning_starts=starts, device=config.device, **_SAC)
    return _curve(agent, DummyVecEnv([make] * config.episodes), config.steps, config.looks)


def _fixed_goal(config: AgentTableConfig, goal: np.ndarray) -> gymnasium.Env:
    task = VisualTask(_TASK, size=config.size, supersample=config.supersample, render_mode="rgb_array")
    return RenderToInfo(FixedGoal(task, goal))


_SAC: dict[str, Any] = {
    "learning_rate": 1e-3,
    "batch_size": 256,
    "gradient_steps": -1,
    "gamma": 0.98,
    "policy_kwargs": {"net_arch": [64, 64]},
}


_SAC_FROM_PICTURES: dict[str, Any] = {
    **_SAC,
    "batch_size": 64,
    "policy_kwargs": {"net_arch": [128, 128], "features_extractor_class": Profiles},
}


def _pictures(size: int, distance: Distance) -> gymnasium.Env:
    return LastFrames(gymnasium.make(_ID, size=size, distance=distance), 2)


def _in_units(distance: Distance, unit: float, device: str) -> Distance:
    """Return the distance as multiples of one: rewards far below 1 leave an agent nothing but its entropy."""
    return lambda x, y: distance(x.to(device), y.to(device)).to(x.device) / unit


def _by_hindsight(job: Lesson) -> tuple[list[int], list[float]]:
    config = job.config
    distance = CostSpec.parse("corr-l1:flow=all-pairs,form=reg").build()
    make = partial(_pictures, config.hindsight_size, _in_units(distance, _TYPICAL, config.device))
    judges = DummyVecEnv([make] * config.episodes)
    if job.arm == "random":
        random = np.random.default_rng(job.seed)
        act: Callable[[Any], np.ndarray] = lambda _: random.uniform(-1, 1, (config.episodes, 1))  # noqa: E731
        return [0], [final_distance(judged(act, judges))]
    agent = SAC(
        "MultiInputPolicy", DummyVecEnv([make] * config.copies), seed=job.seed, replay_buffer_class=HerReplayBuffer,
        learning_starts=max(_first_look(config.hindsight_steps), _EPISODE * config.copies), device=config.device,
        **_SAC_FROM_PICTURES,
    )  # fmt: skip
    return _curve(agent, judges, config.hindsight_steps, config.looks)


def _first_look(steps: int) -> int:
    """Return how many steps are taken at random before an agent learns: 800, or a tenth of a short lesson."""
    return min(800, steps // 10)


def _curve(agent: SAC, judges: VecEnv, steps: int, looks: int) -> tuple[list[int], list[float]]:
    """Train for so many control steps, and return when it was judged and how far from the goal it ended then."""

    def act(observations: Any) -> np.ndarray:
        return np.asarray(agent.predict(observations, deterministic=True)[0])

    when, found = [0], [final_distance(judged(act, judges))]
    for k in range(1, looks + 1):
        agent.learn(steps * k // looks - agent.num_timesteps, reset_num_timesteps=False)
        when.append(int(agent.num_timesteps))
        found.append(final_distance(judged(act, judges)))
    return when, found
