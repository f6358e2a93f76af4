"""A reward from a goal image, for a single environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from corrwise.costs.spec import CostSpec
from corrwise.envs.arrays import to_numpy
from corrwise.envs.rewards.render_to_info import check_renders, rendered
from corrwise.envs.rewards.scorer import RewardForm, Scorer
from corrwise.envs.rewards.sources import RENDER, GoalImage, View, views_of
from corrwise.types import Distance

__all__ = ["ImageGoalReward"]


class ImageGoalReward(gymnasium.Wrapper, RecordConstructorArgs):
    """Replace the reward of an environment by the image distance to a goal image.

    ``info["goal_cost"]`` is the distance. If the distance matches pixels, ``info["goal_displacement"]`` is their mean
    displacement in pixels.

    Args:
        env: any Gymnasium environment that renders RGB images or has them in its observation.
        distance: any ``Distance`` of images in [0, 1]; or a ``CostSpec`` or its text, such as "corr-l1:flow=dis".
        goal: an image, uint8 (H, W, 3), or an image file; None if each episode has its own goal (``goal_key``).
        goal_key: the entry of a Dict observation that holds the goal.
        source: "render", "observation" if the observation is an image, or the entry of a Dict observation.
        form: "negative", "improvement" or "normalised" (``RewardForm``).
        gamma: the agent's discount factor, for "improvement".
        added: add to the environment's own reward instead of replacing it.
        device: the device that computes distances.

    Raises:
        FileNotFoundError: if the goal's file does not exist.
        ValueError: if the environment provides no such image, neither or both goals are given, sizes differ, or the
            form is unknown.
        TypeError: if ``env`` is not a single Gymnasium environment, or the distance cannot be called.
    """

    def __init__(
        self, env: object, distance: Distance | CostSpec | str, goal: GoalImage = None, *,
        goal_key: str | None = None, source: str = RENDER, form: str = "negative", gamma: float | int = 0.99,
        added: bool = False, device: str = "cpu",
    ) -> None:  # fmt: skip
        RecordConstructorArgs.__init__(
            self, distance=distance, goal=goal, goal_key=goal_key, source=source, form=form, gamma=gamma, added=added,
            device=device, _disable_deepcopy=True,
        )  # fmt: skip
        if not isinstance(env, gymnasium.Env):
            raise TypeError(
                f"expected an environment of Gymnasium, got {type(env).__name__}; VectorImageGoalReward takes "
                "Gymnasium's vector environments, VecImageGoalReward those of Stable-Baselines3"
            )
        gymnasium.Wrapper.__init__(self, env)
        self._view, self._fixed = (
            View(env.observation_space, goal, goal_key, source, views_of(distance)),
            goal is not None,
        )
        if self._view.renders:
            check_renders(env)
        self._scorer = Scorer(distance, RewardForm(form, gamma, added), num_envs=1, device=device)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset the environment and measure the first image."""
        observation, info = self.env.reset(seed=seed, options=options)
        measured = self._measure(observation)
        self._scorer.begin(np.array([0]), measured["goal_cost"])
        return observation, {**info, **_first(measured)}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step the environment and reward the image that follows.

        Raises:
            ValueError: if ``added`` is True and the environment's own reward is not a number.
        """
        observation, own, terminated, truncated, info = self.env.step(action)
        measured = self._measure(observation)
        reward = self._scorer.rewards(np.array([0]), measured["goal_cost"], np.array([bool(terminated)]), own)
        return observation, float(reward[0]), terminated, truncated, {**info, **_first(measured)}

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any) -> np.ndarray | np.float64:
        """Return the reward of an image and a goal, (H, W, 3) or (3, H, W), or of a batch of them, for HER's replay.

        Raises:
            ValueError: if the reward depends on more than the image and the goal: a form other than "negative", a goal
                that is not in the observation, or the environment's own reward.
        """
        achieved_goal, desired_goal = to_numpy(achieved_goal), to_numpy(desired_goal)
        form, one = self._scorer.form, achieved_goal.ndim == 3
        if self._fixed or form.name != "negative" or form.added:
            raise ValueError(
                "hindsight replay needs form='negative', goal_key and added=False: a reward of image and goal alone"
            )
        pairs = [(achieved_goal, desired_goal)] if one else list(zip(achieved_goal, desired_goal, strict=True))
        rewards = -self._scorer.measure(pairs)["goal_cost"]
        return rewards[0] if one else rewards

    def _measure(self, observation: Any) -> dict[str, np.ndarray]:
        return self._scorer.measure(
            [self._view(observation, {RENDER: rendered(self.env)} if self._view.renders else {})]
        )


def _first(measured: dict[str, np.ndarray]) -> dict[str, float]:
    return {name: float(values[0]) for name, values in measured.items()}
