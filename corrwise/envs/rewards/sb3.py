"""A reward from a goal image, for Stable-Baselines3's vector environments."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from corrwise.costs.spec import CostSpec
from corrwise.envs.rewards.scorer import RewardForm, Scorer
from corrwise.envs.rewards.sources import RENDER, GoalImage, Pair, View, views_of
from corrwise.types import Distance

__all__ = ["VecImageGoalReward"]


class VecImageGoalReward(VecEnvWrapper):
    """``ImageGoalReward`` of all copies at once: one call of the distance for each step of the ``VecEnv``.

    The last step of an episode is rewarded for the last image of that episode. A ``Monitor`` in the copies records
    the copies' own rewards. Put a ``VecMonitor`` around this wrapper to see its rewards in ``rollout/ep_rew_mean`` and
    in ``evaluate_policy``.

    Args:
        venv: a ``VecEnv``, such as ``make_vec_env`` returns.
        distance, goal, goal_key, form, gamma, added, device: as in ``ImageGoalReward``.
        source: "render", which needs ``RenderToInfo`` around each copy (``wrapper_class`` of ``make_vec_env``),
            "observation", or the entry of a Dict observation.

    Raises:
        FileNotFoundError, ValueError: as in ``ImageGoalReward``.
        TypeError: if ``venv`` is not a ``VecEnv``, or the distance cannot be called.
    """

    def __init__(
        self, venv: object, distance: Distance | CostSpec | str, goal: GoalImage = None, *,
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
        """Leave out ``class_attributes``, which Stable-Baselines3 keeps and which cannot be copied."""
        return {name: value for name, value in self.__dict__.items() if name != "class_attributes"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, class_attributes=dict(inspect.getmembers(type(self))))

    def reset(self) -> VecEnvObs:
        """Reset all copies and measure their first images (``reset_infos``)."""
        observations = self.venv.reset()
        which = np.arange(self.num_envs)
        measured = self._scorer.measure([self._first(observations, int(i)) for i in which])
        self._scorer.begin(which, measured["goal_cost"])
        self.reset_infos = [_with(info, measured, i) for i, info in enumerate(self._reset_infos())]
        return observations

    def step_wait(self) -> VecEnvStepReturn:
        """Step all copies and reward the images that follow; each info has that image's ``goal_cost``.

        Raises:
            ValueError: if ``added`` is True and a copy's own reward is not a number.
        """
        observations, own, dones, infos = self.venv.step_wait()
        which, begun = np.arange(self.num_envs), np.flatnonzero(dones)
        pairs = [self._seen(observations, infos[i], bool(dones[i]), int(i)) for i in which]
        measured = self._scorer.measure([*pairs, *(self._first(observations, int(i)) for i in begun)])
        cut = np.array([bool(info.get("TimeLimit.truncated", False)) for info in infos])
        rewards = self._scorer.rewards(which, measured["goal_cost"][: self.num_envs], dones & ~cut, own)
        self._scorer.begin(begun, measured["goal_cost"][self.num_envs :])
        for k, i in enumerate(begun.tolist()):
            self.reset_infos[i] = _with(self._reset_infos()[i], measured, self.num_envs + k)
        infos = [_with(info, measured, i) for i, info in enumerate(infos)]
        return observations, rewards.astype(np.float32), dones, infos

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Call a method of the copies, except ``compute_reward``.

        Raises:
            ValueError: if the method is ``compute_reward``, which would return the copies' own rewards.
        """
        if method_name == "compute_reward":
            raise ValueError(
                "hindsight replay reads the rewards of the copies: wrap each copy in ImageGoalReward with goal_key, or "
                "give the environment its distance, instead of wrapping all copies in VecImageGoalReward"
            )
        return super().env_method(method_name, *method_args, indices=indices, **method_kwargs)

    def _first(self, observations: Any, i: int) -> Pair:
        """Return the image and the goal at the start of a copy's episode."""
        return self._view(observations, self._reset_infos()[i], i)

    def _seen(self, observations: Any, info: dict[str, Any], done: bool, i: int) -> Pair:
        """Return the image and the goal after the last step."""
        return self._view(info["terminal_observation"], info) if done else self._view(observations, info, i)

    def _reset_infos(self) -> Sequence[dict[str, Any]]:
        return self.venv.unwrapped.reset_infos  # a wrapper's own list stays empty


def _with(info: dict[str, Any], measured: dict[str, np.ndarray], i: int) -> dict[str, Any]:
    return {**info, **{name: float(values[i]) for name, values in measured.items()}}
