"""A reward from a goal picture, for Stable-Baselines3's vector environments."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from corrwise.costs.spec import CostSpec
from corrwise.envs.rewards.scorer import RewardForm, Scorer
from corrwise.envs.rewards.sources import RENDER, GoalPicture, View, views_of
from corrwise.types import Distance

__all__ = ["VecImageGoalReward"]

Look = tuple[np.ndarray, np.ndarray]


class VecImageGoalReward(VecEnvWrapper):
    """``ImageGoalReward`` of all copies at once: one call of the distance for each step of the ``VecEnv``.

    A copy whose episode ends is rewarded for its last picture, not for the first of the next episode. A ``Monitor`` in
    the copies notes their own reward: to see this one, in ``rollout/ep_rew_mean`` or ``evaluate_policy``, put a
    ``VecMonitor`` around.

    Args:
        venv: a ``VecEnv``, such as ``make_vec_env`` returns.
        distance, goal, goal_key, form, gamma, added, device: as in ``ImageGoalReward``.
        source: "render", which needs ``RenderToInfo`` around each copy (``wrapper_class`` of ``make_vec_env``),
            "observation", or the entry of a Dict observation.

    Raises:
        FileNotFoundError, ValueError: as in ``ImageGoalReward``.
        TypeError: ``venv`` is no ``VecEnv``, or the distance cannot be called.
    """

    def __init__(
        self, venv: object, distance: Distance | CostSpec | str, goal: GoalPicture = None, *,
        goal_key: str | None = None, source: str = RENDER, form: str = "negative", gamma: float | int = 0.99,
        added: bool = False, device: str = "cpu",
    ) -> None:  # fmt: skip
        if not isinstance(venv, VecEnv):
            raise TypeError(
                f"expected a VecEnv of Stable-Baselines3, got {type(venv).__name__}; "
                "ImageGoalReward and VectorImageGoalReward take Gymnasium's environments"
            )
        super().__init__(venv)
        self._view = View(venv.observation_space, goal, goal_key, source, views_of(distance))
        self._scorer = Scorer(distance, RewardForm(form, gamma, added), num_envs=venv.num_envs, device=device)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what Stable-Baselines3 keeps of the class itself, which cannot be copied."""
        return {name: value for name, value in self.__dict__.items() if name != "class_attributes"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, class_attributes=dict(inspect.getmembers(type(self))))

    def reset(self) -> VecEnvObs:
        """Reset all copies, and note what their first pictures cost (``reset_infos``)."""
        observations = self.venv.reset()
        which = np.arange(self.num_envs)
        found = self._scorer.measure([self._first(observations, int(i)) for i in which])
        self._scorer.begin(which, found["goal_cost"])
        self.reset_infos = [_with(info, found, i) for i, info in enumerate(self._reset_infos())]
        return observations

    def step_wait(self) -> VecEnvStepReturn:
        """Reward what each copy shows; ``goal_cost`` and the like in its info are those of that picture.

        Raises:
            ValueError: the copies' own rewards are to be added to, and one is no number.
        """
        observations, own, dones, infos = self.venv.step_wait()
        which, begun = np.arange(self.num_envs), np.flatnonzero(dones)
        looks = [self._seen(observations, infos[i], bool(dones[i]), int(i)) for i in which]
        found = self._scorer.measure([*looks, *(self._first(observations, int(i)) for i in begun)])
        cut = np.array([bool(info.get("TimeLimit.truncated", False)) for info in infos])
        rewards = self._scorer.rewards(which, found["goal_cost"][: self.num_envs], dones & ~cut, own)
        self._scorer.begin(begun, found["goal_cost"][self.num_envs :])
        for k, i in enumerate(begun.tolist()):
            self.reset_infos[i] = _with(self._reset_infos()[i], found, self.num_envs + k)
        told = [_with(info, found, i) for i, info in enumerate(infos)]
        return observations, rewards.astype(np.float32), dones, told

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Call a method of the copies; not their ``compute_reward``, whose rewards are not these.

        Raises:
            ValueError: hindsight asks for rewards of other goals, which only the copies themselves can give.
        """
        if method_name == "compute_reward":
            raise ValueError(
                "hindsight replays the reward of the environment itself: give that its distance, or put "
                "ImageGoalReward with goal_key around each copy, rather than VecImageGoalReward around all"
            )
        return super().env_method(method_name, *method_args, indices=indices, **method_kwargs)

    def _first(self, observations: Any, i: int) -> Look:
        """Return the picture and the goal with which a copy's episode begins."""
        return self._view(observations, self._reset_infos()[i], i)

    def _seen(self, observations: Any, info: dict[str, Any], done: bool, i: int) -> Look:
        """Return the picture and the goal of the step just taken."""
        return self._view(info["terminal_observation"], info) if done else self._view(observations, info, i)

    def _reset_infos(self) -> Sequence[dict[str, Any]]:
        return self.venv.unwrapped.reset_infos  # a wrapper's own list stays empty


def _with(info: dict[str, Any], found: dict[str, np.ndarray], i: int) -> dict[str, Any]:
    return {**info, **{name: float(values[i]) for name, values in found.items()}}
