"""Stable-Baselines3's own evaluation drives the agent, images transposed and episodes ending at different times."""

from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecTransposeImage

from corrwise.costs import GoalCost, l1
from corrwise.envs import TASKS, MujocoSimulator
from corrwise.mpc import CEM, VisualMPC
from corrwise.predictors import OraclePredictor
from tests.fakes import FakeCost, FakePredictor


class Grey(gymnasium.Env):
    """A grey image of 36x36 to be brought to 128 in ``length`` steps."""

    def __init__(self, length):
        image = gymnasium.spaces.Box(0, 255, (36, 36, 3), np.uint8)
        keys = ("observation", "achieved_goal", "desired_goal")
        self.observation_space = gymnasium.spaces.Dict(dict.fromkeys(keys, image))
        self.action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
        self.length = length

    def _seen(self):
        image = np.full((36, 36, 3), round(self.value), np.uint8)
        return {"observation": image, "achieved_goal": image, "desired_goal": np.full_like(image, 128)}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.value, self.steps = 30.0, 0
        return self._seen(), {}

    def step(self, action):
        self.value = float(np.clip(self.value + 25.5 * action[0], 0, 255))
        self.steps += 1
        return self._seen(), -abs(self.value - 128) / 255, False, self.steps == self.length, {}


def test_evaluate_policy_runs_the_agent():
    envs = VecTransposeImage(VecMonitor(DummyVecEnv([lambda: Grey(5), lambda: Grey(9)])))
    mpc = VisualMPC(FakePredictor(), FakeCost(), CEM(1, horizon=2, candidates=32))
    rewards, lengths = evaluate_policy(mpc, envs, n_eval_episodes=4, return_episode_rewards=True)
    assert set(lengths) == {5, 9}
    assert min(rewards) > 9 * -(128 - 30) / 255 / 2  # standing still would cost 98/255 at every step


def cartpole(size=16):
    return Monitor(gymnasium.make("corrwise/Cartpole-v0", size=size, max_episode_steps=3))


class Noting(VisualMPC):
    """Notes which environments begin at each call."""

    def predict(self, obs, state=None, episode_start=None, deterministic=True):
        self.starts = [*getattr(self, "starts", []), np.array(episode_start).tolist()]
        return super().predict(obs, state, episode_start, deterministic)


def oracle_agent(state_source, size=16):
    predictor = OraclePredictor(MujocoSimulator(TASKS["cartpole"], size=size, threads=1))
    planner = CEM(1, horizon=2, candidates=4, iterations=1)
    return Noting(predictor, GoalCost(l1), planner, state_source=state_source)


def test_evaluate_policy_runs_the_oracle_on_a_registered_environment():
    env = cartpole()
    mpc = oracle_agent(env.unwrapped.snapshot)
    rewards, lengths = evaluate_policy(mpc, env, n_eval_episodes=2, return_episode_rewards=True)
    assert lengths == [3, 3]
    assert np.isfinite(rewards).all()
    assert mpc.starts == [[True], [False], [False]] * 2


def test_an_oracle_refuses_an_environment_it_was_not_made_for():
    mine, other = cartpole(size=48), cartpole(size=48)
    mpc = oracle_agent(mine.unwrapped.snapshot, size=48)
    with pytest.raises(gymnasium.error.ResetNeeded, match="acts in this environment alone"):
        evaluate_policy(mpc, other, n_eval_episodes=1)
    mine.reset(seed=0)
    mine.unwrapped.restore(mine.unwrapped._goal_state)
    observation, _ = other.reset(seed=0)
    with pytest.raises(ValueError, match=r"plans only for the environment .* for which it was made"):
        mpc.predict(observation)
    with pytest.raises(ValueError, match=r"plans only for the environment .* for which it was made"):
        evaluate_policy(mpc, other, n_eval_episodes=1)
    mpc.predict(mine.reset(seed=1)[0])


def test_evaluate_policy_runs_the_oracle_on_two_environments_at_once():
    vec = DummyVecEnv([cartpole, cartpole])
    mpc = oracle_agent(lambda: np.stack(vec.env_method("snapshot")))
    rewards, lengths = evaluate_policy(mpc, vec, n_eval_episodes=4, return_episode_rewards=True)
    assert lengths == [3, 3, 3, 3]
    assert np.isfinite(rewards).all()
    assert mpc.starts == [[True, True], [False, False], [False, False]] * 2


def test_episode_start_plans_anew():
    vec = DummyVecEnv([cartpole, cartpole])
    mpc = oracle_agent(lambda: np.stack(vec.env_method("snapshot")))
    obs = vec.reset()
    _, state = mpc.predict(obs)
    # As if the plan before had been to go right with all force.
    state = replace(state, proposal=replace(state.proposal, mean=torch.ones_like(state.proposal.mean)))
    warm, _ = mpc.predict(obs, state, np.array([False, False]))
    mixed, _ = mpc.predict(obs, state, np.array([False, True]))
    assert np.array_equal(mixed[0], warm[0])
    assert mixed[1] < warm[1]


def test_a_simulator_of_another_size_is_named():
    env = cartpole()
    obs, _ = env.reset(seed=0)
    with pytest.raises(ValueError, match=r"observation's \(C,h,w\) = \(3, 16, 16\), got \(3, 20, 20\); are simulator"):
        oracle_agent(env.unwrapped.snapshot, size=20).predict(obs)
