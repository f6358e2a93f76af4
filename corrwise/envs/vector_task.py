"""Many copies of a task as one Gymnasium vector environment: one call of physics and renderer for all copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from jaxtyping import Float64

from corrwise.envs.arrays import beside, to_numpy
from corrwise.envs.tasks.goals import gust_key, sample_episode
from corrwise.envs.tasks.metric import integration_size
from corrwise.envs.vector_protocol import Infos, add_info, final, reset_rows, seeds_of
from corrwise.envs.visual_task import NO_EPISODE, VisualTask

__all__ = ["VectorVisualTask"]


class VectorVisualTask(gymnasium.vector.VectorEnv):
    """A vector environment of ``VisualTask``, faster than ``SyncVectorEnv``.

    Images and states equal those of ``SyncVectorEnv`` bit for bit, rewards up to rounding.

    Args:
        num_envs: the number of copies.
        autoreset_mode: "NextStep" (a copy whose episode has ended is reset in the next step, whose reward is zero),
            "SameStep" or "Disabled".
        max_episode_steps: truncate earlier than the task does.
        options: as in ``VisualTask``.

    Raises:
        ValueError: if ``num_envs`` is below 1, the mode is unknown, or ``VisualTask`` refuses the options.
    """

    def __init__(
        self, num_envs: int = 1, *, autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None, **options: Any,
    ) -> None:  # fmt: skip
        if num_envs < 1:
            raise ValueError(f"num_envs must be at least 1, got {num_envs}")
        self._one = VisualTask(**options)
        self._mode = AutoresetMode(autoreset_mode)
        self.task, self.simulator, self.render_mode = self._one.task, self._one.simulator, self._one.render_mode
        self.views = self._one.views
        self.num_envs, self._most = num_envs, min(self.task.episode_steps, max_episode_steps or self.task.episode_steps)
        self.metadata = {**self._one.metadata, "autoreset_mode": self._mode}
        self.single_observation_space, self.single_action_space = self._one.observation_space, self._one.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._random: list[tuple[np.random.Generator, int]] = []
        self._states = np.empty((num_envs, integration_size(self.simulator.model)))
        self._goal_states, self._goals_out_of_view = self._states.copy(), np.zeros(num_envs)
        wanted = ("desired_goal", "desired_depth") if self.views.depth else ("desired_goal",)
        self._gusts = [0] * num_envs
        self._goals = {
            name: np.zeros(self.observation_space[name].shape, self.observation_space[name].dtype) for name in wanted
        }
        self._steps, self._over = np.zeros(num_envs, dtype=int), np.zeros(num_envs, dtype=bool)

    def reset(self, *, seed: Any = None, options: Infos | None = None) -> tuple[Any, Infos]:
        """Begin new episodes in all copies, or in those of ``options["reset_mask"]``.

        Args:
            seed: copy i gets ``seed + i``, or the i-th of a list; None keeps the current generators.
            options: ``{"reset_mask": bool (num_envs,)}``.

        Raises:
            ValueError: if a list of seeds or a mask has another length, nothing that moves is drawn, or a goal image
                equals its start's.
            gymnasium.error.ResetNeeded: if the first reset is not of all copies.
        """
        self.simulator.check_drawn()
        which, seeds = reset_rows(options, self.num_envs), seeds_of(seed, self.num_envs)
        if not self._random and len(which) < self.num_envs:
            raise gymnasium.error.ResetNeeded("the first reset must be of all copies: call reset() without reset_mask")
        self._random = self._random or [seeding.np_random(each) for each in seeds]
        for i in (i for i in which if seeds[i] is not None):
            self._random[i] = seeding.np_random(seeds[i])
        self._begin(which, seeds)
        self._over[which] = False
        return self._observe(), self._infos(which)

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, Infos]:
        """Apply actions in [-1, 1], (num_envs, A), for one control step.

        Raises:
            ValueError: if the actions have another shape or are not finite.
            gymnasium.error.ResetNeeded: before the first ``reset``, or if an episode has ended (mode "Disabled").
        """
        actions = to_numpy(actions).astype(np.float32)
        if actions.shape != self.action_space.shape or not np.isfinite(actions).all():
            raise ValueError(f"expected finite actions {self.action_space.shape} in [-1, 1], got {actions!r}")
        if not self._random or (self._mode == AutoresetMode.DISABLED and self._over.any()):
            raise gymnasium.error.ResetNeeded("an episode has not begun or has ended: call reset() first")
        fresh = self._over & (self._mode == AutoresetMode.NEXT_STEP)
        moved = np.flatnonzero(~fresh)
        diverged = np.zeros(self.num_envs, dtype=bool)
        diverged[moved] = self._move(moved, actions[moved])
        self._begin(np.flatnonzero(fresh))
        truncated = (self._steps >= self._most) & ~fresh
        observation = self._observe()
        infos = add_info(self._infos(np.arange(self.num_envs)), "diverged", diverged, ~fresh)
        rewards = np.where(fresh, 0.0, self._one.reward_of(observation))
        self._over = diverged | truncated
        if self._mode == AutoresetMode.SAME_STEP and self._over.any():
            observation, infos = self._again(observation, infos)
        return observation, rewards.astype(np.float64), diverged, truncated, infos

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Return the current images, uint8 (size, size, 3) each, if made with ``render_mode="rgb_array"``.

        Several views are side by side, (size, V size, 3).

        Raises:
            gymnasium.error.ResetNeeded: before the first ``reset``.
        """
        if self.render_mode != "rgb_array":
            return None
        self.snapshot()  # there are episodes
        return tuple(beside(self._observe()["observation"]))

    @property
    def np_random(self) -> tuple[np.random.Generator, ...]:
        """The generator of each copy; none before the first reset."""
        return tuple(generator for generator, _ in self._random)

    @property
    def np_random_seed(self) -> tuple[int, ...]:
        """What each copy's generator was made from; none before the first reset."""
        return tuple(seed for _, seed in self._random)

    def snapshot(self) -> Float64[np.ndarray, "B S"]:
        """Return the full integration states, warm start included.

        Raises:
            gymnasium.error.ResetNeeded: before the first ``reset``.
        """
        if not self._random:
            raise gymnasium.error.ResetNeeded(NO_EPISODE)
        return self._states.copy()

    def _begin(self, which: np.ndarray, seeds: Sequence[int | None] | None = None) -> None:
        """Draw starts and goals; ``seeds`` are those that the copies' generators were just made from."""
        for i in which:
            random = self._random[i][0]
            self._states[i], self._goal_states[i] = sample_episode(self.task, self.simulator.physics, random)
            self._gusts[i] = gust_key(self.task, random, None if seeds is None else seeds[i])
        if len(which):
            starts, goals = self._states[which], self._goal_states[which]
            start_images, goal_images = self.simulator.render(np.stack([starts, goals]))
            self.simulator.check_goals(starts, goals, start_images, goal_images)
            for name, values in self._one.goal_of(goal_images).items():
                self._goals[name][which] = values
            self._goals_out_of_view[which] = self.simulator.out_of_view(goals)
        self._steps[which] = 0

    def _move(self, which: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Step these copies and return which diverged; a diverged copy keeps its state."""
        if not len(which):
            return np.zeros(0, dtype=bool)
        keys = [self._gusts[i] for i in which]
        self._states[which], diverged = self.simulator.step(self._states[which], torch.from_numpy(actions), keys)
        self._steps[which] += 1
        return diverged

    def _again(self, observation: dict[str, np.ndarray], infos: Infos) -> tuple[dict[str, np.ndarray], Infos]:
        """Reset the copies whose episodes ended; their last step becomes ``final_obs`` and ``final_info``."""
        ended = final(observation, infos, self._over)
        self._begin(np.flatnonzero(self._over))
        begun = add_info(self._infos(np.arange(self.num_envs)), "diverged", infos["diverged"], ~self._over)
        return self._observe(), {**begun, **ended}

    def _infos(self, which: np.ndarray) -> Infos:
        infos: Infos = {}
        for name, values in (
            ("state_distance", self.simulator.state_distance(self._states, self._goal_states)),  # for evaluation only
            ("out_of_view", self.simulator.out_of_view(self._states)),
            ("goal_out_of_view", self._goals_out_of_view),
        ):
            add_info(infos, name, values, np.isin(np.arange(self.num_envs), which))
        return infos

    def _observe(self) -> dict[str, np.ndarray]:
        return self._one.shown(self.simulator.render(self._states), self._goals)
