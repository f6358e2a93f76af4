"""Stable-Baselines3's own evaluation drives the agent, images transposed and episodes ending at different times."""

from __future__ import annotations

import gymnasium
import numpy as np
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecTransposeImage

from corrwise.mpc import CEM, VisualMPC
from tests.fakes import FakeCost, FakePredictor


class Grey(gymnasium.Env):
    """A grey picture of 36x36 to be brought to 128 in ``length`` steps."""

    def __init__(self, length):
        image = gymnasium.spaces.Box(0, 255, (36, 36, 3), np.uint8)
        keys = ("observation", "achieved_goal", "desired_goal")
        self.observation_space = gymnasium.spaces.Dict(dict.fromkeys(keys, image))
        self.action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
        self.length = length

    def _seen(self):
        picture = np.full((36, 36, 3), round(self.value), np.uint8)
        return {"observation": picture, "achieved_goal": picture, "desired_goal": np.full_like(picture, 128)}

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
