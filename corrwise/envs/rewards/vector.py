"""A reward from a goal image, for Gymnasium's vector environments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode

from corrwise.costs.spec import CostSpec
from corrwise.envs.arrays import row_of, to_numpy
from corrwise.envs.rewards.scorer import RewardForm, Scorer
from corrwise.envs.rewards.sources import RENDER, GoalImage, Pair, View, views_of
from corrwise.envs.vector_protocol import Infos, add_info, reset_rows
from corrwise.types import Distance

__all__ = ["VectorImageGoalReward"]


class VectorImageGoalReward(gymnasium.vector.VectorWrapper):
    """``ImageGoalReward`` of all copies at once: one call of the distance for each vector step.

    The last step of an episode is rewarded for the last image of that episode, in every autoreset mode. The reward is
    zero in a step that resets a copy instead of stepping it (``AutoresetMode.NEXT_STEP``).

    Args:
        env: a vector environment with ``autoreset_mode`` in its metadata.
        distance, goal, goal_key, form, gamma, added, device: as in ``ImageGoalReward``.
        source: "render", which needs ``RenderToInfo`` around each copy, "observation", or the entry of a Dict
            observation.

    Raises:
        FileNotFoundError, ValueError: as in ``ImageGoalReward``, or if the autoreset mode is missing.
        TypeError: if ``env`` is not a vector environment of Gymnasium, or the distance cannot be called.
    """

    def __init__(
        self, env: object, distance: Distance | CostSpec | str, goal: GoalImage = None,
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
            raise ValueError(f"expected metadata['autoreset_mode'] of {env!r}, got none")
        self._mode = AutoresetMode(mode)
        self._view = View(env.single_observation_space, goal, goal_key, source, views_of(distance))
        self._scorer = Scorer(distance, RewardForm(form, gamma, added), num_envs=self.num_envs, device=device)
        self._over = np.zeros(self.num_envs, dtype=bool)

    def reset(self, *, seed: int | list[int | None] | None = None, options: Infos | None = None) -> tuple[Any, Infos]:
        """Reset all copies, or those of ``options["reset_mask"]``, and measure their first images."""
        which = reset_rows(options, self.num_envs)
        observations, infos = self.env.reset(seed=seed, options=options)
        _check(infos)
        self._over[which] = False
        measured = self._scorer.measure([self._pair(observations, infos, int(i)) for i in which])
        self._scorer.begin(which, measured["goal_cost"])
        for name, values in measured.items():
            spread = np.zeros(self.num_envs)
            spread[which] = values
            add_info(infos, name, spread, np.isin(np.arange(self.num_envs), which))
        return observations, infos

    def step(self, actions: Any) -> tuple[Any, np.ndarray, Any, Any, Infos]:
        """Step all copies and reward the images that follow.

        Rewards are a NumPy array, float64; all else is returned as the environment gave it.

        Raises:
            TypeError: if the infos are not a dictionary.
            ValueError: if ``added`` is True and a copy's own reward is not a number; or the environment has reset a
                copy in this step and kept no ``final_obs``.
        """
        observations, own, terminations, truncations, infos = self.env.step(actions)
        _check(infos)
        fresh = self._over & (self._mode == AutoresetMode.NEXT_STEP)  # reset in this step, not stepped
        terminated, truncated = (to_numpy(each).astype(bool).reshape(-1) for each in (terminations, truncations))
        done = terminated | truncated
        again = done & (self._mode == AutoresetMode.SAME_STEP)  # ended and reset in this step
        stepped, begun = np.flatnonzero(~fresh), np.flatnonzero(fresh | again)
        pairs = [self._last(infos, int(i)) if again[i] else self._pair(observations, infos, int(i)) for i in stepped]
        measured = self._scorer.measure([*pairs, *(self._pair(observations, infos, int(i)) for i in begun)])
        costs, rewards = measured["goal_cost"], np.zeros(self.num_envs)
        rewards[stepped] = self._scorer.rewards(stepped, costs[: len(stepped)], terminated[stepped], own)
        self._scorer.begin(begun, costs[len(stepped) :])
        self._over = done
        for name, values in measured.items():
            spread = np.zeros(self.num_envs)
            spread[begun], spread[stepped] = values[len(stepped) :], values[: len(stepped)]
            add_info(infos, name, spread, np.ones(self.num_envs, dtype=bool))
        return observations, rewards, terminations, truncations, infos

    def _pair(self, observations: Any, infos: Infos, i: int) -> Pair:
        """Return the image and the goal of a copy's observation."""
        return self._view(observations, _info(infos, i), i)

    def _last(self, infos: Infos, i: int) -> Pair:
        """Return the last image and the goal of an episode that ended in this step."""
        last = row_of(infos["final_obs"], i) if "final_obs" in infos else None
        if last is None:
            raise ValueError(
                f"expected final_obs of copy {i}, which was reset in the step that ended it, got {sorted(infos)}"
            )
        return self._view(last, _info(infos.get("final_info", {}), i))


def _check(infos: object) -> None:
    if not isinstance(infos, dict):
        raise TypeError(
            f"expected infos as a dictionary, got {type(infos).__name__}; put DictInfoToList around this wrapper"
        )


def _info(infos: Any, i: int) -> Infos:
    """Return one copy's rendered image; infos are arrays with masks, or one dictionary for each copy."""
    if not isinstance(infos, Mapping):
        return infos[i] or {}
    given = RENDER in infos and (f"_{RENDER}" not in infos or infos[f"_{RENDER}"][i])
    return {RENDER: infos[RENDER][i]} if given else {}
