"""A reward from a goal picture, for Gymnasium's vector environments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode

from corrwise.costs.spec import CostSpec
from corrwise.envs.arrays import row_of, to_numpy
from corrwise.envs.rewards.scorer import RewardForm, Scorer
from corrwise.envs.rewards.sources import PICTURE, RENDER, GoalPicture, View, views_of
from corrwise.envs.vector_protocol import Infos, reset_rows, tell
from corrwise.types import Distance

__all__ = ["VectorImageGoalReward"]

Look = tuple[np.ndarray, np.ndarray]


class VectorImageGoalReward(gymnasium.vector.VectorWrapper):
    """``ImageGoalReward`` of all copies at once: one call of the distance for each vector step.

    The last picture of an episode is rewarded by itself, in every autoreset mode. Where a copy is reset instead of
    stepped (``AutoresetMode.NEXT_STEP``) the reward is zero.

    Args:
        env: a vector environment that says its autoreset mode in its metadata.
        distance, goal, goal_key, form, gamma, added, device: as in ``ImageGoalReward``.
        source: "render", which needs ``RenderToInfo`` around each copy, "observation", or the entry of a Dict
            observation.

    Raises:
        FileNotFoundError, ValueError: as in ``ImageGoalReward``, or the autoreset mode is not told.
        TypeError: ``env`` is no vector environment of Gymnasium, or the distance cannot be called.
    """

    def __init__(
        self, env: object, distance: Distance | CostSpec | str, goal: GoalPicture = None,
        *, goal_key: str | None = None, source: str = RENDER, form: str = "negative", gamma: float | int = 0.99,
        added: bool = False, device: str = "cpu",
    ) -> None:  # fmt: skip
        if not isinstance(env, gymnasium.vector.VectorEnv):
            raise TypeError(
                f"expected a vector environment of Gymnasium, got {type(env).__name__}; ImageGoalReward takes single "
                "environments, VecImageGoalReward Stable-Baselines3's"
            )
        super().__init__(env)
        mode = env.metadata.get("autoreset_mode")
        if mode is None:
            raise ValueError(f"{env!r} does not say in metadata['autoreset_mode'] when it resets")
        self._mode = AutoresetMode(mode)
        self._view = View(env.single_observation_space, goal, goal_key, source, views_of(distance))
        self._scorer = Scorer(distance, RewardForm(form, gamma, added), num_envs=self.num_envs, device=device)
        self._over = np.zeros(self.num_envs, dtype=bool)

    def reset(self, *, seed: int | list[int | None] | None = None, options: Infos | None = None) -> tuple[Any, Infos]:
        """Reset all copies, or those of ``options["reset_mask"]``, and note what their first pictures cost."""
        which = reset_rows(options, self.num_envs)
        observations, infos = self.env.reset(seed=seed, options=options)
        _check(infos)
        self._over[which] = False
        found = self._scorer.measure([self._look(observations, infos, int(i)) for i in which])
        self._scorer.begin(which, found["goal_cost"])
        for name, values in found.items():
            told = np.zeros(self.num_envs)
            told[which] = values
            tell(infos, name, told, np.isin(np.arange(self.num_envs), which))
        return observations, infos

    def step(self, actions: Any) -> tuple[Any, np.ndarray, Any, Any, Infos]:
        """Step, and reward what each copy shows then.

        Rewards are an array of NumPy, float64; all else is as the environment gave it.

        Raises:
            TypeError: the infos are no dictionary.
            ValueError: the copies' own rewards are to be added to, and one is no number; or the environment keeps no
                last observation of an episode that it has reset in this step.
        """
        observations, own, terminations, truncations, infos = self.env.step(actions)
        _check(infos)
        fresh = self._over & (self._mode == AutoresetMode.NEXT_STEP)  # were reset, not stepped
        terminated, truncated = (to_numpy(each).astype(bool).reshape(-1) for each in (terminations, truncations))
        done = terminated | truncated
        again = done & (self._mode == AutoresetMode.SAME_STEP)  # have ended, and show the next episode already
        stepped, begun = np.flatnonzero(~fresh), np.flatnonzero(fresh | again)
        looks = [self._last(infos, int(i)) if again[i] else self._look(observations, infos, int(i)) for i in stepped]
        found = self._scorer.measure([*looks, *(self._look(observations, infos, int(i)) for i in begun)])
        costs, rewards = found["goal_cost"], np.zeros(self.num_envs)
        rewards[stepped] = self._scorer.rewards(stepped, costs[: len(stepped)], terminated[stepped], own)
        self._scorer.begin(begun, costs[len(stepped) :])
        self._over = done
        for name, values in found.items():
            told = np.zeros(self.num_envs)
            told[begun], told[stepped] = values[len(stepped) :], values[: len(stepped)]
            tell(infos, name, told, np.ones(self.num_envs, dtype=bool))
        return observations, rewards, terminations, truncations, infos

    def _look(self, observations: Any, infos: Infos, i: int) -> Look:
        """Return the picture and the goal of a copy's observation."""
        return self._view(observations, _info(infos, i), i)

    def _last(self, infos: Infos, i: int) -> Look:
        """Return the last picture and the goal of an episode that ended in this step."""
        last = row_of(infos["final_obs"], i) if "final_obs" in infos else None
        if last is None:
            raise ValueError(
                f"expected final_obs of copy {i}, which was reset in the step that ended it, got {sorted(infos)}"
            )
        return self._view(last, _info(infos.get("final_info", {}), i))


def _check(infos: object) -> None:
    if not isinstance(infos, dict):
        raise TypeError(f"expected infos as a dictionary, got {type(infos).__name__}; put DictInfoToList around this")


def _info(infos: Any, i: int) -> Infos:
    """Return what one copy rendered into its info; infos are arrays with masks, or one dictionary for each copy."""
    if not isinstance(infos, Mapping):
        return infos[i] or {}
    tells = PICTURE in infos and (f"_{PICTURE}" not in infos or infos[f"_{PICTURE}"][i])
    return {PICTURE: infos[PICTURE][i]} if tells else {}
