"""B tasks in lockstep: one physics call and one rendering call for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64

from corrwise.envs.simulator import MujocoSimulator
from corrwise.envs.tasks.goals import sample_episode
from corrwise.envs.tasks.metric import integration_size
from corrwise.types import Context, Goal


class Fleet:
    """Episodes that start together and step together, each drawn from its own seed.

    An episode depends on its seed alone, not on the others in the fleet: B = 2 equals two fleets of B = 1.

    Args:
        simulator: the task's physics and renderer.
        context_frames: the number of past frames that a controller sees, K.

    Raises:
        ValueError: if ``context_frames`` is below 1.
    """

    def __init__(self, simulator: MujocoSimulator, *, context_frames: int = 1) -> None:
        if context_frames < 1:
            raise ValueError(f"context_frames must be at least 1, got {context_frames}")
        self.simulator = simulator
        self._k = context_frames
        self._states = self._goal_states = np.empty((0, integration_size(simulator.model)))
        self._seeds: Sequence[int] | None = None

    def reset(self, seeds: Sequence[int]) -> tuple[Context, Goal]:
        """Begin one episode per seed and return what a controller sees: first frames and goal images.

        The first reset warns of what the renderer leaves out.

        Raises:
            ValueError: if there is no seed, a seed is not a non-negative integer, nothing that moves is drawn, or a
                goal image equals its start's (see ``MujocoSimulator.check_goals``).
            RuntimeError: if an episode has no valid goal.
        """
        whole = [isinstance(seed, int) and seed >= 0 for seed in np.atleast_1d(seeds).tolist()]
        if np.ndim(seeds) != 1 or not whole or not all(whole):
            raise ValueError(f"expected at least one seed, each a whole number from 0 up, got {seeds!r}")
        self.simulator.check_drawn()
        task, physics = self.simulator.task, self.simulator.physics
        pairs = [sample_episode(task, physics, np.random.default_rng(seed)) for seed in seeds]
        starts, goals = np.stack([start for start, _ in pairs]), np.stack([goal for _, goal in pairs])
        context, goal = self.begin(starts, goals, seeds)
        self.simulator.check_goals(starts, goals, context.frames[:, -1], goal.frames[:, -1])
        return context, goal

    def begin(
        self,
        starts: Float64[np.ndarray, "B S"],
        goals: Float64[np.ndarray, "B S"],
        seeds: Sequence[int] | None = None,
    ) -> tuple[Context, Goal]:
        """Begin episodes at given start states with given goal states.

        Args:
            starts: the states.
            goals: the goals' states.
            seeds: of the episodes' gusts; a task without gusts needs none.

        Raises:
            ValueError: if starts and goals are not equally many finite states of this model.
        """
        size = integration_size(self.simulator.model)
        if starts.shape != goals.shape or starts.shape[1:] != (size,) or not np.isfinite(starts + goals).all():
            raise ValueError(f"expected finite starts and goals (B, {size}), got {starts.shape} and {goals.shape}")
        self._states, self._goal_states, self._seeds = starts.copy(), goals.copy(), seeds
        self.diverged: Bool[np.ndarray, "B"] = np.zeros(len(starts), dtype=bool)
        frames = self.simulator.render(starts)[:, None].expand(-1, self._k, -1, -1, -1)
        actions = torch.zeros(
            len(starts), self._k - 1, self.simulator.physics.action_dim, dtype=torch.float32, device="cpu"
        )
        self.context = Context(frames, actions, self._states)
        return self.context, Goal(self.simulator.render(goals)[:, None])

    def step(self, actions: Float[torch.Tensor, "B A"]) -> Context:
        """Apply one action in [-1, 1] to each environment and return what its controller sees next.

        An environment whose physics diverges stays at its last good state and is marked in ``diverged``.

        Raises:
            RuntimeError: before the first ``reset`` or ``begin``.
            ValueError: if there is not one action for each environment, or the task has gusts and the episodes began
                without seeds.
        """
        if not len(self._states):
            raise RuntimeError("there are no episodes yet: call reset() or begin() first")
        expected = (len(self._states), self.simulator.physics.action_dim)
        if actions.shape != expected:
            raise ValueError(f"expected one action for each environment {expected}, got {tuple(actions.shape)}")
        self._states, diverged = self.simulator.step(self._states, actions, self._seeds)
        self.diverged |= diverged
        frame = self.simulator.render(self._states)[:, None]
        past, done = self.context.frames, self.context.actions
        self.context = replace(
            self.context,
            frames=torch.cat([past, frame], dim=1)[:, 1:],
            actions=torch.cat([done, actions.detach().cpu()[:, None].to(done)], dim=1)[:, 1:],
            state=self._states,
        )
        return self.context

    def snapshot(self) -> Float64[np.ndarray, "B S"]:
        """Return the full integration states, warm start included: replaying from them is bit-exact."""
        return self._states.copy()

    def restore(self, states: Float64[np.ndarray, "B S"]) -> Context:
        """Return to earlier states; the context restarts from their images, and gusts are those of the states' times.

        Raises:
            ValueError: if these are not finite states of this model, one for each goal.
        """
        return self.begin(states, self._goal_states, self._seeds)[0]

    def distance(self, *, full: bool = False) -> Float64[np.ndarray, "B"]:
        """Return the true distance of each environment's state to its goal's, for evaluation only."""
        return self.simulator.state_distance(self._states, self._goal_states, full=full)

    @property
    def goal_states(self) -> Float64[np.ndarray, "B S"]:
        """The goals' integration states; for evaluation and the labelled true-state control only."""
        return self._goal_states
