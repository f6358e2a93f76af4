"""A reward from a goal picture, for one environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from corrwise.costs.spec import CostSpec
from corrwise.envs.arrays import to_numpy
from corrwise.envs.rewards.render_to_info import check_renders, rendered
from corrwise.envs.rewards.scorer import RewardForm, Scorer
from corrwise.envs.rewards.sources import PICTURE, RENDER, GoalPicture, View, views_of
from corrwise.types import Distance

__all__ = ["ImageGoalReward"]


class ImageGoalReward(gymnasium.Wrapper, RecordConstructorArgs):
    """The reward of any environment that shows pictures becomes how near it looks to a goal picture.

    ``info["goal_cost"]`` is what the picture costs, and where the distance matches pixels ``info["goal_displacement"]``
    how far they are displaced, in pixels.

    Args:
        env: the environment.
        distance: any ``Distance`` of images in [0, 1]; or a ``CostSpec`` or its text, such as "corr-l1:flow=dis".
        goal: a picture, uint8 (H, W, 3), or an image file; None where each episode has its own (``goal_key``).
        goal_key: the entry of a Dict observation that shows the goal.
        source: "render", "observation" for an observation that is a picture, or the entry of a Dict observation.
        form: "negative", "improvement" or "normalised" (``RewardForm``).
        gamma: the agent's discount, for "improvement".
        added: add it to the environment's own reward rather than put it in its place.
        device: where distances are computed.

    Raises:
        FileNotFoundError, ValueError: there is no such picture in the environment or for a goal, neither or both goals
            are given, or the form is unknown.
        TypeError: ``env`` is no single environment of Gymnasium, or the distance cannot be called.
    """

    def __init__(
        self, env: object, distance: Distance | CostSpec | str, goal: GoalPicture = None, *,
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
        """Reset, and note what the first picture costs."""
        observation, info = self.env.reset(seed=seed, options=options)
        found = self._measure(observation)
        self._scorer.begin(np.array([0]), found["goal_cost"])
        return observation, {**info, **_first(found)}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step, and reward what is seen then.

        Raises:
            ValueError: the environment's own reward is to be added to, and is no number.
        """
        observation, own, terminated, truncated, info = self.env.step(action)
        found = self._measure(observation)
        reward = self._scorer.rewards(np.array([0]), found["goal_cost"], np.array([bool(terminated)]), own)
        return observation, float(reward[0]), terminated, truncated, {**info, **_first(found)}

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any) -> np.ndarray | np.float64:
        """Return the reward of a picture and a goal, (H, W, 3) or (3, H, W), or of many, as HER's replay asks.

        Raises:
            ValueError: the reward depends on more than a picture and its goal: another form than "negative", a goal
                that no observation shows, or the environment's own reward.
        """
        achieved_goal, desired_goal = to_numpy(achieved_goal), to_numpy(desired_goal)
        form, one = self._scorer.form, achieved_goal.ndim == 3
        if self._fixed or form.name != "negative" or form.added:
            raise ValueError("hindsight needs form='negative', goal_key and added=False: a picture and its goal alone")
        pairs = [(achieved_goal, desired_goal)] if one else list(zip(achieved_goal, desired_goal, strict=True))
        rewards = -self._scorer.measure(pairs)["goal_cost"]
        return rewards[0] if one else rewards

    def _measure(self, observation: Any) -> dict[str, np.ndarray]:
        return self._scorer.measure(
            [self._view(observation, {PICTURE: rendered(self.env)} if self._view.renders else {})]
        )


def _first(found: dict[str, np.ndarray]) -> dict[str, float]:
    return {name: float(values[0]) for name, values in found.items()}
