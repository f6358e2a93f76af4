"""A task as a Gymnasium goal environment: pictures in, actions out, a picture as the goal."""

from __future__ import annotations

import operator
from typing import Any, SupportsIndex

import gymnasium
import numpy as np
import torch

from corrwise.costs.spec import CostSpec, as_distance
from corrwise.envs.arrays import from_uint8, to_numpy, to_uint8
from corrwise.envs.simulator import MujocoSimulator
from corrwise.envs.tasks.goals import sample_episode
from corrwise.envs.tasks.task import Task
from corrwise.types import Distance

NO_EPISODE = (
    "there is no episode yet: call reset() first "
    "(an agent that takes its state from here acts in this environment alone)"
)


class VisualTask(gymnasium.Env):
    """Reach the state that a picture shows.

    Observations follow the goal-environment convention of Gymnasium-Robotics and Stable-Baselines3's HER: a Dict of
    ``observation``, ``achieved_goal`` (the same picture) and ``desired_goal``, uint8 (size, size, 3). The reward is
    minus the distance between the last two. Episodes end by truncation after the task's number of steps; they
    terminate only if the physics diverges.

    ``info`` has ``state_distance``, the true distance to the goal (m and rad); ``out_of_view``, the share of the moving
    bodies' projected extent that lies outside the image, in [0, 1]; and ``goal_out_of_view``, the same of the goal. A
    share is 0 if and only if no part is cut off. After a step there is also ``diverged``.

    Args:
        task: which task, by name or as a ``Task``.
        distance: the image distance behind the reward, or its text, such as "corr-l1:flow=dis"; see ``CostSpec``. None
            means the mean absolute difference.
        size: pixels to a side.
        renderer: "raycast" or "gl".
        supersample: rays per pixel side of the ray caster.
        render_mode: None or "rgb_array".
        threads: threads of physics and ray caster; 0 means all CPUs. Of many environments in processes of their own
            each wants 1.

    Raises:
        TypeError: if ``task`` is neither a name nor a Task.
        ValueError: if ``task`` or ``render_mode`` is unknown, or the simulator refuses ``size``, ``renderer`` or
            ``supersample``.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 25}  # noqa: RUF012  # Gymnasium's own convention

    def __init__(
        self, task: str | Task, *, distance: Distance | CostSpec | str | None = None, size: SupportsIndex = 64,
        renderer: str = "raycast", supersample: int = 1, render_mode: str | None = None, threads: int = 0,
    ) -> None:  # fmt: skip
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', got {render_mode!r}")
        self.task = _find(task) if isinstance(task, str) else task
        self.simulator = MujocoSimulator(
            self.task, size=size, renderer=renderer, supersample=supersample, threads=threads
        )
        self._state: np.ndarray | None = None
        self.distance = None if distance is None else as_distance(distance)
        self.render_mode = render_mode
        dt = self.simulator.model.opt.timestep * self.task.frame_skip
        self.metadata = {**self.metadata, "render_fps": round(1 / dt)}
        picture = gymnasium.spaces.Box(0, 255, (operator.index(size),) * 2 + (3,), np.uint8)
        names = ("observation", "achieved_goal", "desired_goal")
        self.observation_space = gymnasium.spaces.Dict(dict.fromkeys(names, picture))
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (self.simulator.physics.action_dim,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Draw a start and a goal; the same seed draws the same episode as in a ``Fleet``.

        The first time, a warning says what the renderer leaves out.

        Raises:
            gymnasium.error.Error: if ``seed`` is not a whole number from 0 up.
            RuntimeError: if no goal is found.
            ValueError: if nothing that moves is drawn, or the goal image equals the start's.
        """
        super().reset(seed=seed, options=options)
        self.simulator.check_drawn()
        state, goal_state = sample_episode(self.task, self.simulator.physics, self.np_random)
        images = self.simulator.render(np.stack([state, goal_state]))
        self.simulator.check_goals(state[None], goal_state[None], images[:1], images[1:])
        self._state, self._goal_state, self._goal_picture = state, goal_state, to_uint8(images[1])
        self._goal_out_of_view = self._out_of_view(goal_state)
        self._steps = 0
        return self._observe(), self._info()

    def step(self, action: Any) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Apply an action in [-1, 1], (A,), for one control step.

        Raises:
            ValueError: if the action has another shape or is not finite.
            gymnasium.error.ResetNeeded: before the first ``reset``.
        """
        action = to_numpy(action).astype(np.float32)
        if action.shape != self.action_space.shape or not np.isfinite(action).all():
            raise ValueError(f"expected a finite action {self.action_space.shape} in [-1, 1], got {action!r}")
        (self._state,), over = self.simulator.step(self.snapshot()[None], torch.from_numpy(action)[None])
        diverged = bool(over[0])
        self._steps += 1
        observation, info = self._observe(), {**self._info(), "diverged": diverged}
        reward = float(self.compute_reward(observation["achieved_goal"], observation["desired_goal"], info))
        return observation, reward, diverged, self._steps >= self.task.episode_steps, info

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any) -> np.ndarray | np.float32:
        """Return minus the distance for one pair of pictures or many at once, channels last or first.

        Raises:
            ValueError: if these are not uint8 pictures of one shape, or the distance is not one value per pair.
        """
        achieved, desired = from_uint8(achieved_goal), from_uint8(desired_goal)
        if achieved.shape != desired.shape:
            raise ValueError(f"expected pictures of one shape, got {achieved_goal.shape} and {desired_goal.shape}")
        with torch.no_grad():
            if self.distance is None:
                distance = (achieved - desired).abs().mean(dim=(-3, -2, -1))
            else:
                distance = self.distance(achieved, desired)
        if distance.shape != achieved.shape[:-3]:
            raise ValueError(
                f"expected one distance for each pair of pictures {tuple(achieved.shape[:-3])}, "
                f"got {tuple(distance.shape)} from {self.distance!r}"
            )
        return -distance.cpu().numpy().astype(np.float32)[()]

    def render(self) -> np.ndarray | None:
        """Return the current picture, uint8 (size, size, 3), if made with ``render_mode="rgb_array"``."""
        return self._picture(self.snapshot()) if self.render_mode == "rgb_array" else None

    def snapshot(self) -> np.ndarray:
        """Return the full integration state, (S,), warm start included: replaying from it is bit-exact.

        Raises:
            gymnasium.error.ResetNeeded: before the first ``reset``.
        """
        if self._state is None:
            raise gymnasium.error.ResetNeeded(NO_EPISODE)
        return self._state.copy()

    def restore(self, state: np.ndarray) -> dict[str, np.ndarray]:
        """Return to an earlier snapshot of this task and give its observation; the goal and step count stay.

        Raises:
            ValueError: if it is not a finite state of this task.
            gymnasium.error.ResetNeeded: before the first ``reset``.
        """
        here, state = self.snapshot().shape, np.array(state, dtype=np.float64)
        if state.shape != here or not np.isfinite(state).all():
            raise ValueError(f"expected a snapshot {here} of {self.task.name}, all finite, got {state.shape}")
        self._state = state
        return self._observe()

    def state_distance(self, state: np.ndarray, goal_state: np.ndarray, *, full: bool = False) -> np.ndarray:
        """Return the true distance in metres and radians (with velocities if ``full``), for evaluation only."""
        return self.simulator.state_distance(state, goal_state, full=full)

    def _picture(self, state: np.ndarray) -> np.ndarray:
        return to_uint8(self.simulator.render(state))

    def _observe(self) -> dict[str, np.ndarray]:
        picture = self._picture(self.snapshot())
        return {"observation": picture, "achieved_goal": picture.copy(), "desired_goal": self._goal_picture.copy()}

    def _info(self) -> dict[str, Any]:
        here = self.snapshot()
        return {
            "state_distance": float(self.state_distance(here, self._goal_state)),
            "out_of_view": self._out_of_view(here),
            "goal_out_of_view": self._goal_out_of_view,
        }

    def _out_of_view(self, state: np.ndarray) -> float:
        return float(self.simulator.out_of_view(state[None])[0])


def _find(name: str) -> Task:
    from corrwise.envs import TASKS  # the registry imports this file

    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}; there are {', '.join(TASKS)}")
    return TASKS[name]
