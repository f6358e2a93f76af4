"""A task as a Gymnasium goal environment whose observation and goal are images."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, SupportsIndex

import gymnasium
import numpy as np
import torch
from jaxtyping import Float

from corrwise.costs.spec import CostSpec, as_distance
from corrwise.envs.arrays import beside, from_metres, from_uint8, to_metres, to_numpy, to_uint8
from corrwise.envs.renderers.view import far_plane
from corrwise.envs.simulator import MujocoSimulator
from corrwise.envs.tasks import find_task
from corrwise.envs.tasks.goals import gust_key, sample_episode
from corrwise.envs.tasks.task import MAIN, Task
from corrwise.types import ONE_VIEW, Distance, Views

NO_EPISODE = (
    "there is no episode yet: call reset() first "
    "(an agent that reads its state from this environment cannot act in another one)"
)


class VisualTask(gymnasium.Env):
    """A Gymnasium environment in which the agent must reach the state that an image shows.

    Observations follow the goal-environment convention of Gymnasium-Robotics and Stable-Baselines3's HER: a Dict of
    ``observation``, ``achieved_goal`` (the same image) and ``desired_goal``, uint8 (size, size, 3V) for V views. The
    reward is minus the distance between the last two. With ``depth=True``, there are also ``depth`` and
    ``desired_depth``, float32 metres (size, size, V). The sky has the depth of the far plane, which is the largest
    depth. The distance then compares depth, too, and hindsight replay is refused because it would exchange
    ``desired_goal`` alone.

    An episode is truncated after the task's number of steps. It terminates only if the physics diverges.

    ``info`` has ``state_distance``, the true distance to the goal (m and rad); ``out_of_view``, the share of the moving
    bodies' projected extent that lies outside the image, in [0, 1]; and ``goal_out_of_view``, the same for the goal. A
    share is 0 if and only if no part is cut off. After a step there is also ``diverged``.

    Args:
        task: a ``Task`` or the name of one, such as "cartpole", "gym:Hopper-v5" or "dm_control:walker-walk".
        distance: the image distance of the reward; for several views or depth a ``PerView``. Or its text, such as
            "corr-l1:flow=dis" (``CostSpec``), which compares view by view. None means the mean absolute difference,
            with depth ``PerView(l1)``.
        size: pixels to a side.
        renderer: "raycast" or "gl".
        supersample: rays per pixel side of the ray caster.
        render_mode: None or "rgb_array".
        threads: threads of physics and ray caster; 0 means all CPUs. Use 1 if many environments run in processes.
        cameras: the views, by the task's names for its cameras, in the order of their channels (``Views``).
        depth: whether observations have depth.

    Raises:
        TypeError: if ``task`` is neither a name nor a Task.
        ValueError: if ``task`` or ``render_mode`` is unknown, or the simulator refuses ``size``, ``renderer``,
            ``supersample`` or ``cameras``.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 25}  # noqa: RUF012  # Gymnasium's own convention

    def __init__(
        self, task: str | Task, *, distance: Distance | CostSpec | str | None = None, size: SupportsIndex = 64,
        renderer: str = "raycast", supersample: int = 1, render_mode: str | None = None, threads: int = 0,
        cameras: Sequence[str] = (MAIN,), depth: bool = False,
    ) -> None:  # fmt: skip
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', got {render_mode!r}")
        self.task = find_task(task) if isinstance(task, str) else task
        self.simulator = MujocoSimulator(
            self.task,
            size=size,
            renderer=renderer,
            supersample=supersample,
            threads=threads,
            cameras=cameras,
            depth=depth,
        )
        self._state: np.ndarray | None = None
        self.views = self.simulator.views
        self.distance = _distance(distance, self.views)
        self.render_mode = render_mode
        dt = self.simulator.model.opt.timestep * self.task.frame_skip
        self.metadata = {**self.metadata, "render_fps": round(1 / dt)}
        sides = (operator.index(size),) * 2
        image = gymnasium.spaces.Box(0, 255, (*sides, 3 * self.views.count), np.uint8)
        spaces = dict.fromkeys(("observation", "achieved_goal", "desired_goal"), image)
        if depth:
            far = np.float32(far_plane(self.simulator.model))
            metres = gymnasium.spaces.Box(0.0, far, (*sides, self.views.count), np.float32)
            spaces |= dict.fromkeys(("depth", "desired_depth"), metres)
        self.observation_space = gymnasium.spaces.Dict(spaces)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (self.simulator.physics.action_dim,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Draw a start and a goal; a seed draws the same episode as in a ``Fleet``.

        The first reset warns of what the renderer leaves out.

        Raises:
            gymnasium.error.Error: if ``seed`` is not a non-negative integer.
            RuntimeError: if there is no valid goal.
            ValueError: if nothing that moves is drawn, or the goal image equals the start's.
        """
        super().reset(seed=seed, options=options)
        self.simulator.check_drawn()
        state, goal_state = sample_episode(self.task, self.simulator.physics, self.np_random)
        self._gusts = gust_key(self.task, self.np_random, seed)
        images = self.simulator.render(np.stack([state, goal_state]))
        self.simulator.check_goals(state[None], goal_state[None], images[:1], images[1:])
        self._state, self._goal_state, self._goal = state, goal_state, self.goal_of(images[1])
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
        (self._state,), over = self.simulator.step(self.snapshot()[None], torch.from_numpy(action)[None], [self._gusts])
        diverged = bool(over[0])
        self._steps += 1
        observation, info = self._observe(), {**self._info(), "diverged": diverged}
        reward = float(self.reward_of(observation))
        return observation, reward, diverged, self._steps >= self.task.episode_steps, info

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any) -> np.ndarray | np.float32:
        """Return minus the distance for one pair of images or many at once, channels last or first.

        Raises:
            ValueError: if these are not uint8 images of one shape, the distance is not one value per pair, or the
                reward depends on depth, which images do not hold.
        """
        if self.views.depth:
            raise ValueError("hindsight replay needs depth=False: it exchanges goal images without their depth")
        achieved, desired = from_uint8(achieved_goal), from_uint8(desired_goal)
        if achieved.shape != desired.shape:
            raise ValueError(f"expected images of one shape, got {achieved_goal.shape} and {desired_goal.shape}")
        return self._rewarded(achieved, desired)

    def reward_of(self, observation: dict[str, np.ndarray]) -> np.ndarray | np.float32:
        """Return the reward of an observation, or of many at once; depth counts if it is observed."""
        if not self.views.depth:
            return self.compute_reward(observation["achieved_goal"], observation["desired_goal"], {})
        pairs = (("achieved_goal", "depth"), ("desired_goal", "desired_depth"))
        return self._rewarded(
            *(self.views.stacked(from_uint8(observation[a]), from_metres(observation[b])) for a, b in pairs)
        )

    def _rewarded(self, achieved: torch.Tensor, desired: torch.Tensor) -> np.ndarray | np.float32:
        with torch.no_grad():
            if self.distance is None:
                distance = (achieved - desired).abs().mean(dim=(-3, -2, -1))
            else:
                distance = self.distance(achieved, desired)
        if distance.shape != achieved.shape[:-3]:
            raise ValueError(
                f"expected one distance for each pair of images {tuple(achieved.shape[:-3])}, "
                f"got {tuple(distance.shape)} from {self.distance!r}"
            )
        return -distance.cpu().numpy().astype(np.float32)[()]

    def render(self) -> np.ndarray | None:
        """Return the current image, uint8 (size, size, 3), if made with ``render_mode="rgb_array"``.

        Several views are side by side, (size, V size, 3).
        """
        return beside(self._observe()["observation"]) if self.render_mode == "rgb_array" else None

    def snapshot(self) -> np.ndarray:
        """Return the full integration state, (S,), warm start included: replaying from it is bit-exact.

        Raises:
            gymnasium.error.ResetNeeded: before the first ``reset``.
        """
        if self._state is None:
            raise gymnasium.error.ResetNeeded(NO_EPISODE)
        return self._state.copy()

    def restore(self, state: np.ndarray) -> dict[str, np.ndarray]:
        """Return to an earlier snapshot and return its observation; the goal and the step count do not change.

        A task's gusts are those of the snapshot's time.

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

    def _observe(self) -> dict[str, np.ndarray]:
        return self.shown(self.simulator.render(self.snapshot()), self._goal)

    def goal_of(self, image: Float[torch.Tensor, "*n C h w"]) -> dict[str, np.ndarray]:
        """Return the entries of an observation that hold a goal, or many at once."""
        goal = {"desired_goal": to_uint8(self.views.colour(image))}
        return goal | {"desired_depth": to_metres(self.views.metres(image))} if self.views.depth else goal

    def shown(self, image: Float[torch.Tensor, "*n C h w"], goal: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the observation of an image and of the entries from ``goal_of``, or of many at once."""
        seen = to_uint8(self.views.colour(image))
        depth = {"depth": to_metres(self.views.metres(image))} if self.views.depth else {}
        kept = {name: values.copy() for name, values in goal.items()}
        return {"observation": seen, "achieved_goal": seen.copy(), **kept, **depth}

    def _info(self) -> dict[str, Any]:
        here = self.snapshot()
        return {
            "state_distance": float(self.state_distance(here, self._goal_state)),
            "out_of_view": self._out_of_view(here),
            "goal_out_of_view": self._goal_out_of_view,
        }

    def _out_of_view(self, state: np.ndarray) -> float:
        return float(self.simulator.out_of_view(state[None])[0])


def _distance(distance: Distance | CostSpec | str | None, views: Views) -> Distance | None:
    """Return the distance of these views; a distance from text compares view by view."""
    if distance is None and not views.depth:
        return None
    made = as_distance("l1" if distance is None else distance)
    if views == ONE_VIEW or not (distance is None or isinstance(distance, CostSpec | str)):
        return made
    from corrwise.costs import PerView  # imports all distances

    return PerView(made, views)
