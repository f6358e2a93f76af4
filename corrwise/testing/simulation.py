"""The contracts of tasks and renderers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from corrwise.testing.expectations import SIZE, expect, refuses


def check_task(task: Any, *, size: int = SIZE, out_of_view: float = 0.0) -> None:
    """Check a task (``corrwise.envs.Task``) on eight seeds.

    The camera is fixed. The hidden actions lead a plain MuJoCo loop exactly to the goal within an episode. A goal is at
    least ``min_distance`` away, and its image differs from that of the start. The same seed draws the same episode, and
    different seeds draw different ones. Each image shows something that moves, and no part of it is cut off.

    Args:
        task: the task.
        size: pixels to a side of the images.
        out_of_view: largest share of starts, and of goals, with a part outside the image.

    Raises:
        AssertionError: a requirement is not met; the message names it.
    """
    import mujoco

    from corrwise.envs import MujocoSimulator
    from corrwise.envs.tasks.goals import sample_episode
    from corrwise.envs.tasks.task import CAMERA_NAME

    camera = task.compile().camera(CAMERA_NAME)
    fixed = int(camera.bodyid[0]) == 0 and int(camera.mode[0]) == int(mujoco.mjtCamLight.mjCAMLIGHT_FIXED)
    expect(fixed, "the camera must be fixed in the world; it moves with a body")
    simulator = MujocoSimulator(task, size=size)

    def episode(seed: int) -> tuple[np.ndarray, np.ndarray]:
        return sample_episode(task, simulator.physics, np.random.default_rng(seed))

    pairs = [_check_episode(task, simulator, seed) for seed in range(4)]
    expect(np.array_equal(episode(0), pairs[0]), "the same seed drew another episode: draw from rng alone")
    for which, several in zip(("starts", "goals"), zip(*pairs, strict=True), strict=True):
        distinct = len(np.unique(several, axis=0)) == len(pairs)
        expect(distinct, f"two seeds drew the same of their {which}: draw starts from rng")
    _check_view(simulator, np.array(pairs + [episode(seed) for seed in range(4, 8)]), out_of_view)
    images = simulator.render(np.array(pairs))
    differ = (images[:, 0] != images[:, 1]).sum(dim=(1, 2, 3)) > 0
    expect(differ.all(), "a goal's image equals its start's: use another camera, larger images or goals farther away")


def _check_episode(task: Any, simulator: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Check that the goal is far enough, in the image, and reached by the hidden actions in plain MuJoCo."""
    from corrwise.envs.physics import Physics
    from corrwise.envs.tasks.goals import sample_episode

    class Spy(Physics):
        """Physics that remembers the last hidden actions and where they led."""

        def states(
            self, state: np.ndarray, actions: Any, steps: Sequence[int], forces: np.ndarray | None = None
        ) -> np.ndarray:
            self.actions, self.reached = actions[0], super().states(state, actions, steps, forces)
            return self.reached

    model = simulator.model
    spy = Spy(model, task.frame_skip)
    start, goal = sample_episode(task, spy, np.random.default_rng(seed))
    steps = round((goal[0] - start[0]) / (model.opt.timestep * task.frame_skip))
    most = task.episode_steps
    expect(1 <= steps <= most, f"a goal lies {steps} steps away: an episode has {most}")
    near = float(simulator.state_distance(start, goal))
    expect(near >= task.goal.min_distance, f"a goal lies {near} from its start: at least {task.goal.min_distance}")
    candidate = int(np.argmax((spy.reached[0] == goal).all(axis=-1).any(axis=-1)))
    controls = spy.controls(spy.actions[candidate, :steps].numpy())
    replayed = plain_steps(model, start, controls, task.frame_skip)[-1]
    expect(np.array_equal(replayed, goal), "the hidden actions do not lead to the goal in a plain loop of mj_step")
    for which, state in (("start", start), ("goal", goal)):
        expect(np.isfinite(state).all(), f"a {which} is not finite")
        shown = moving_mask(model, state, height=SIZE, width=SIZE).any()
        expect(shown, f"nothing that moves is in the image of a {which}: move the camera")
    return start, goal


def _check_view(simulator: Any, pairs: np.ndarray, allowed: float) -> None:
    """Check the share of starts, and of goals, with a part outside the image; ``pairs`` (seeds, 2, S)."""
    view = simulator.physics.extents
    for which, states in zip(("starts", "goals"), pairs.swapaxes(0, 1), strict=True):
        names = ", ".join(view.names[geom] for geom in np.flatnonzero(view.extents(states).cut.any(axis=0)))
        share = float((simulator.out_of_view(states) > 0).mean())
        advice = "move the camera, set in_view=True, or allow it with out_of_view="
        expect(share <= allowed, f"{share:.0%} of the {which} have a part outside the image: {names}; {advice}")


def check_renderer(renderer: Any, states: np.ndarray) -> None:
    """Check a renderer (``corrwise.envs.renderers.Renderer``).

    A renderer returns one image per state, independent of the other states. Colours are multiples of 1/255 in [0, 1],
    and depths are above zero. A state that MuJoCo would refuse gives NaN and changes no other image. States of another
    size are refused.

    Args:
        renderer: has ``height``, ``width`` and ``render(states (n, S)) -> (n, C, h, w)``, and ``views`` if it has
            several views or depth.
        states: (n, S), at least three, whose images differ.

    Raises:
        AssertionError: a requirement is not met; the message names it.
    """
    import torch

    from corrwise.types import ONE_VIEW

    n, size = states.shape
    views = getattr(renderer, "views", ONE_VIEW)
    frames, shape = renderer.render(states), (n, views.channels, renderer.height, renderer.width)
    expect(frames.shape == shape, f"expected images {shape}, got {tuple(frames.shape)}")
    expect(frames.dtype == torch.float32, f"return float32 images, got {frames.dtype}")
    colours = views.colour(frames)
    low, high = float(colours.min()), float(colours.max())
    expect(low >= 0 and high <= 1, f"images must lie in [0, 1], got {low} to {high}")
    steps = torch.equal(colours, (colours * 255).round() / 255)
    expect(steps, "a pixel does not survive the way through uint8: round values to multiples of 1/255")
    if views.depth:
        metres = views.metres(frames)
        expect((metres > 0).all() and metres.isfinite().all(), "a depth is not finite or not above zero")
    expect(len(torch.unique(frames, dim=0)) == n, "states that differ have the same image")
    expect(torch.equal(renderer.render(states), frames), "the same states gave other images")
    flipped = renderer.render(states[::-1].copy())
    expect(torch.equal(flipped, frames.flip(0)), "an image depends on its place among the states")
    for i in range(n):
        alone = renderer.render(states[i : i + 1])[0]
        expect(torch.equal(alone, frames[i]), "an image depends on the states beside its own")
    for broken in (math.nan, math.inf, 1e12):
        poisoned = states.copy()
        poisoned[1, 1] = broken
        shown, others = renderer.render(poisoned), [0, *range(2, n)]
        expect(shown[1].isnan().all(), f"a state with {broken} in it must have an image of NaN")
        expect(torch.equal(shown[others], frames[others]), "a state that cannot be drawn disturbs another's image")
    none = renderer.render(states[:0])
    expect(none.shape == (0, *shape[1:]), f"no states must give {(0, *shape[1:])}, got {tuple(none.shape)}")
    for wrong in (states[:, :-1], states[0], states[None]):
        refuses(lambda wrong=wrong: renderer.render(wrong), f"states {wrong.shape} were drawn, not ({n}, {size})")  # type: ignore[misc]


def plain_steps(model: Any, state: np.ndarray, controls: np.ndarray, frame_skip: int) -> np.ndarray:
    """Return the states (H, S) after each of the controls (H, A), from a plain loop of ``mj_step``."""
    import mujoco

    full, data, out = int(mujoco.mjtState.mjSTATE_INTEGRATION), mujoco.MjData(model), []
    mujoco.mj_setState(model, data, state, full)
    for control in controls:
        data.ctrl[:] = control
        for _ in range(frame_skip):
            mujoco.mj_step(model, data)
        out.append(np.empty(len(state)))
        mujoco.mj_getState(model, data, out[-1], full)
    return np.array(out).reshape(len(controls), len(state))


def moving_mask(model: Any, state: np.ndarray, *, height: int, width: int) -> np.ndarray:
    """Return the pixels (h, w) whose nearest geom belongs to a moving body, from one plain ray cast of MuJoCo."""
    import mujoco

    from corrwise.envs.renderers.view import PinholeView
    from corrwise.envs.tasks.task import CAMERA_NAME

    data = mujoco.MjData(model)
    mujoco.mj_setState(model, data, state, int(mujoco.mjtState.mjSTATE_INTEGRATION))
    mujoco.mj_forward(model, data)
    view = PinholeView.of_camera(model, CAMERA_NAME)
    rays = view.directions(height, width)
    geoms, distances = np.full(len(rays), -1, dtype=np.int32), np.empty(len(rays))
    shown = np.array([1, 1, 1, 0, 0, 0], dtype=np.uint8)
    mujoco.mj_multiRay(
        model, data, view.position, rays.ravel(), shown, True, -1, geoms, distances, None, len(rays), 1e10
    )  # fmt: skip
    moves = model.body_weldid[model.geom_bodyid[np.maximum(geoms, 0)]] != 0
    return np.asarray(((geoms >= 0) & moves).reshape(height, width))
