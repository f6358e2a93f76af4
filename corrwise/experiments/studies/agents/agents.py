"""Agents that learn from the reward of a goal image, or from hindsight, and how far from the goal they end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import gymnasium
import mujoco
import numpy as np
import torch
from jaxtyping import Float, Float32, Float64
from stable_baselines3 import SAC, HerReplayBuffer
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv
from torch import Tensor

from corrwise.costs import CostSpec
from corrwise.envs import TASKS, MujocoSimulator, RenderToInfo, VecImageGoalReward, VisualTask
from corrwise.envs.arrays import to_uint8
from corrwise.envs.last_frames import LastFrames
from corrwise.envs.tasks.goals import is_goal, state_at
from corrwise.envs.tasks.metric import split_state
from corrwise.experiments.cli.table_agents import AgentTableConfig
from corrwise.types import Distance

Row = dict[str, Any]
_SEED = 50_000  # of the first evaluation episode; no agent learns from it
_LAST = 10  # control steps at the end of an episode, over which the distance is averaged: a pole swings
_TASK, _ID = "cartpole", "corrwise/Cartpole-v0"
_EPISODE = TASKS[_TASK].episode_steps + 1  # goals are taken from episodes that have ended
_TYPICAL = 0.14  # the image cost of two random images of Cartpole
_FARTHEST = 2.0  # metres from the middle at which a goal image shows the cart
_TRIES = 1000  # starts that are drawn at most
_FLAT = 1e-3  # added to a profile's deviation: an empty one has none
_SAC: dict[str, Any] = {
    "learning_rate": 1e-3,
    "batch_size": 256,
    "gradient_steps": -1,
    "gamma": 0.98,
    "policy_kwargs": {"net_arch": [64, 64]},
}


@dataclass(frozen=True)
class AgentRun:
    """One agent to train.

    Attributes:
        method: "reward" or "hindsight".
        arm: what it learns from: a reward's name, "hindsight", or "random" for random actions.
        seed: of the agent, of its environments and of its goal.
        config: how long, and on what.
    """

    method: str
    arm: str
    seed: int
    config: AgentTableConfig


def train_agent(run: AgentRun, *, threads: int) -> Row:
    """Train, evaluate and return the row: true distances at the end of an episode, as the agent learns."""
    torch.set_num_threads(1)  # more would round differently
    began = perf_counter()
    steps, curve = _by_reward(run) if run.method == "reward" else _by_hindsight(run)
    named = {"lesson": run.method, "arm": run.arm, "seed": run.seed}
    return {**named, "final": curve[-1], "steps": steps, "curve": curve, "seconds": perf_counter() - began}


def _by_reward(run: AgentRun) -> tuple[list[int], list[float]]:
    config = run.config
    simulator = MujocoSimulator(TASKS[_TASK], size=config.size, supersample=config.supersample, threads=1)
    goal = hanging(simulator.model, np.random.default_rng(run.seed).uniform(-_FARTHEST, _FARTHEST))

    def make() -> gymnasium.Env:
        task = VisualTask(_TASK, size=config.size, supersample=config.supersample, render_mode="rgb_array")
        return FixedGoal(task, goal)

    envs: VecEnv = DummyVecEnv([make] * config.copies)
    if run.arm != "state":
        image = to_uint8(simulator.render(goal[None]))[0]
        envs = DummyVecEnv([lambda: RenderToInfo(make())] * config.copies)
        envs = VecImageGoalReward(envs, run.arm, image, form="normalised", device=config.device)
    starts = _random_steps(config.steps)
    agent = SAC("MlpPolicy", envs, seed=run.seed, learning_starts=starts, device=config.device, **_SAC)
    return _curve(agent, DummyVecEnv([make] * config.episodes), config.steps, config.evaluations)


def _by_hindsight(run: AgentRun) -> tuple[list[int], list[float]]:
    config = run.config
    distance = CostSpec.parse("corr-l1:flow=all-pairs,form=reg").build()

    def scaled(x: Tensor, y: Tensor) -> Tensor:  # rewards far below 1 leave an agent nothing but its entropy
        return distance(x.to(config.device), y.to(config.device)).to(x.device) / _TYPICAL

    make = partial(_from_images, config.hindsight_size, scaled)
    envs = DummyVecEnv([make] * config.episodes)
    if run.arm == "random":
        random = np.random.default_rng(run.seed)
        return [0], [final_distance(_distances(lambda _: random.uniform(-1, 1, (config.episodes, 1)), envs))]
    images = {"net_arch": [128, 128], "features_extractor_class": Profiles}
    agent = SAC(
        "MultiInputPolicy", DummyVecEnv([make] * config.copies), seed=run.seed, replay_buffer_class=HerReplayBuffer,
        learning_starts=max(_random_steps(config.hindsight_steps), _EPISODE * config.copies), device=config.device,
        **{**_SAC, "batch_size": 64, "policy_kwargs": images},
    )  # fmt: skip
    return _curve(agent, envs, config.hindsight_steps, config.evaluations)


def _from_images(size: int, distance: Distance) -> gymnasium.Env:
    return LastFrames(gymnasium.make(_ID, size=size, distance=distance), 2)


def _random_steps(steps: int) -> int:
    """Return how many steps are taken at random before an agent learns: 800, or a tenth of a short training."""
    return min(800, steps // 10)


def _curve(agent: SAC, envs: VecEnv, steps: int, evaluations: int) -> tuple[list[int], list[float]]:
    """Train for so many control steps; return at which steps it was evaluated, and how far from the goal it ended."""

    def act(observations: Any) -> np.ndarray:
        return np.asarray(agent.predict(observations, deterministic=True)[0])

    when, curve = [0], [final_distance(_distances(act, envs))]
    for k in range(1, evaluations + 1):
        agent.learn(steps * k // evaluations - agent.num_timesteps, reset_num_timesteps=False)
        when.append(int(agent.num_timesteps))
        curve.append(final_distance(_distances(act, envs)))
    return when, curve


def _distances(act: Callable[[Any], np.ndarray], envs: VecEnv) -> Float64[np.ndarray, "T n"]:
    """Return the true distances along one episode of each environment: after each control step, m and rad."""
    envs.seed(_SEED)
    observations, distances = envs.reset(), []
    while True:
        observations, _, over, infos = envs.step(act(observations))
        distances.append([info["state_distance"] for info in infos])
        if over.any():
            return np.array(distances)


def final_distance(distances: Float64[np.ndarray, "T n"]) -> float:
    """Return the mean over all episodes and their last control steps."""
    return float(distances[-_LAST:].mean())


class FixedGoal(gymnasium.Wrapper):
    """One goal state for all episodes.

    The observation is (x, sin a, cos a, dx/dt, da/dt), the reward minus the true distance as a share of the first one,
    and ``info["state_distance"]`` that distance.

    Args:
        env: a Cartpole ``VisualTask``.
        goal: its integration state.
    """

    def __init__(self, env: gymnasium.Env, goal: Float64[np.ndarray, "S"]) -> None:
        super().__init__(env)
        self._goal = goal
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (5,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Draw a start until one is as far from the goal as the task demands.

        Raises:
            RuntimeError: no start is.
        """
        task, physics = self._task.task, self._task.simulator.physics
        for _ in range(_TRIES):
            self.env.reset(seed=seed, options=options)
            if is_goal(task, physics, self._task.snapshot(), self._goal):
                self._first = self._distance()
                return self._vector(), {"state_distance": self._first}
            seed = None
        raise RuntimeError(f"{task.name}: none of {_TRIES} starts is far enough from the goal")

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step, and report the true distance."""
        _, _, terminated, truncated, info = self.env.step(action)
        distance = self._distance()
        return self._vector(), -distance / self._first, terminated, truncated, {**info, "state_distance": distance}

    @property
    def _task(self) -> VisualTask:
        task = self.env.unwrapped
        assert isinstance(task, VisualTask)
        return task

    def _distance(self) -> float:
        return float(self._task.state_distance(self._task.snapshot(), self._goal))

    def _vector(self) -> Float32[np.ndarray, "5"]:
        qpos, qvel = split_state(self._task.simulator.model, self._task.snapshot())
        return np.array([qpos[0], np.sin(qpos[1]), np.cos(qpos[1]), *qvel], dtype=np.float32)


def hanging(model: mujoco.MjModel, x: float) -> Float64[np.ndarray, "S"]:
    """Return the state of Cartpole at rest ``x`` metres from the middle, the pole hanging down: a stable one."""
    return state_at(model, np.array([x, np.pi]), np.zeros(2))


class Profiles(BaseFeaturesExtractor):
    """Row and column profiles of all images of a dictionary, concatenated; it has no weights.

    A convolutional network has to learn where things are before an agent can learn where to go, which takes far more
    steps than a small body needs.

    Args:
        observation_space: a dictionary of images, channels first, as Stable-Baselines3 passes them.
    """

    def __init__(self, observation_space: gymnasium.spaces.Dict) -> None:
        shapes = [space.shape or () for space in observation_space.spaces.values()]
        samples = [torch.zeros(1, *shape, dtype=torch.float32, device="cpu") for shape in shapes]
        super().__init__(observation_space, torch.cat([profiles(each) for each in samples], dim=1).shape[1])

    def forward(self, observations: dict[str, Tensor]) -> Float[Tensor, "B F"]:
        """Return the features of images in [0, 1]."""
        return torch.cat([profiles(images) for images in observations.values()], dim=1)


def profiles(images: Float[Tensor, "B c h w"]) -> Float[Tensor, "B F"]:
    """Return the mean of each column and of each row, each profile with mean 0 and deviation 1 along itself."""
    both = (images.mean(dim=2), images.mean(dim=3))
    return torch.cat([((p - p.mean(-1, keepdim=True)) / (p.std(-1, keepdim=True) + _FLAT)).flatten(1) for p in both], 1)
