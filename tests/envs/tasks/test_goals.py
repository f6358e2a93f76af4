"""Reasons for which states are refused as goals, and what a task's start must be."""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from corrwise.envs import TASKS, Camera, Task
from corrwise.envs.physics import Physics
from corrwise.envs.tasks import goals
from corrwise.envs.tasks.goals import sample_episode
from tests.envs.worlds import simulator, task_of

SLIDER = """<mujoco><option gravity="0 0 0"/><worldbody><light pos="0 -3 3"/>
  <body><joint name="x" type="slide" axis="1 0 0"/><geom size=".2" mass="1"/></body></worldbody>
  <actuator><motor joint="x" gear="20"/></actuator></mujoco>"""
STRONG = SLIDER.replace('gear="20"', 'gear="500000"')
RINGS = """<mujoco><option gravity="0 0 0"/><worldbody><light pos="0 -3 3"/>
  <body pos="-.1 0 0"><joint name="a" axis="0 1 0"/><geom size=".3" mass="1"/></body>
  <body pos=".1 0 0"><joint name="b" axis="0 1 0"/><geom size=".3" mass="1"/></body></worldbody>
  <actuator><motor joint="a"/><motor joint="b"/></actuator></mujoco>"""
FAR = Camera(position=(0.0, -40.0, 0.0), target=(0.0, 0.0, 0.0))


def _draw(task: Task, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return sample_episode(task, Physics(task.compile(), task.frame_skip), np.random.default_rng(seed))


@pytest.fixture(autouse=True)
def fewer_tries(monkeypatch):
    """A task without goals is refused after an eighth of the tries."""
    monkeypatch.setattr(goals, "_TRIES", 8)


def _with(task: Task, **rules) -> Task:
    return replace(task, goal=replace(task.goal, **rules))


def _placed(x: float):
    return lambda model, rng: (np.full(model.nq, x), np.zeros(model.nv))


@pytest.mark.parametrize(
    ("task", "reason", "remedy"),
    [
        (_with(task_of(SLIDER, camera=FAR), min_distance=1e6), r"128 ended less than 1000000.0 from their start",
         "lower min_distance or raise max_steps"),
        (_with(task_of(STRONG, camera=FAR), accept=lambda start, goal: False), r"\d{2,3} were refused by accept",
         "loosen accept"),
        (task_of(SLIDER.replace('gear="20"', 'gear="1e14"')), r"\d{2,3} diverged", "lower the model's timestep"),
        (_with(replace(task_of(SLIDER), start=_placed(1.5)), in_view=True), "128 had a start with a part outside",
         "draw starts inside the image, move the camera away"),
        (_with(task_of(STRONG), min_distance=1.6, in_view=True), r"\d+ ended with a part outside the image",
         "move the camera away, widen its fovy"),
    ],
    ids=["near", "refused", "diverged", "start", "goal"],
)  # fmt: skip
def test_the_error_gives_the_most_frequent_reason_first_and_what_to_change(task, reason, remedy):
    with pytest.raises(RuntimeError, match=f"test: none of 128 hidden action sequences .*goal: {reason}.*; {remedy}"):
        _draw(task)


def test_reasons_are_counted_together():
    picky = _with(task_of(SLIDER, camera=FAR), min_distance=0.005, accept=lambda start, goal: False)
    with pytest.raises(RuntimeError) as caught:
        _draw(picky)
    numbers = [int(word) for word in str(caught.value).split(": ", 2)[2].split() if word.isdigit()]
    assert sum(numbers) == 128
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) == 2, "some are near, the others are refused"


def test_contacts_that_are_deep_by_construction_forbid_no_goal():
    start, goal = _draw(task_of(RINGS))
    assert not np.array_equal(start, goal)


def test_a_goal_deeper_than_its_start_is_refused():
    floor = SLIDER.replace('axis="1 0 0"', 'axis="0 0 1"').replace(
        "<body>", '<geom type="plane" size="1 1 1" pos="0 0 -.21"/><body>'
    )
    pressed = floor.replace('gear="20"', 'gear="5000" ctrllimited="true" ctrlrange="-1 -.9"')
    with pytest.raises(RuntimeError, match=r"goal: \d{2,3} ended in contacts that are too deep.*; draw starts that do"):
        _draw(task_of(pressed.replace('size=".2"', 'size=".2" solref="-100 -1"')))


@pytest.mark.parametrize("seed", range(4))
def test_goals_in_view_are_in_view(seed):
    task, physics = _with(TASKS["cartpole-short"], in_view=True), simulator("cartpole-short").physics
    pair = np.stack(sample_episode(task, physics, np.random.default_rng(seed)))
    assert not simulator("cartpole-short").out_of_view(pair).any()


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (lambda model, rng: (np.array([0.0, np.nan]), np.zeros(2)), r"finite numbers, got qpos\[1\] = nan"),
        (lambda model, rng: (np.zeros(2), np.array([np.inf, 0.0])), r"finite numbers, got qvel\[0\] = inf"),
        (lambda model, rng: (np.zeros(3), np.zeros(2)), r"qpos \(2,\) and qvel \(2,\), got \(3,\) and \(2,\)"),
        (lambda model, rng: (np.zeros(2), np.zeros(1)), r"qpos \(2,\) and qvel \(2,\), got \(2,\) and \(1,\)"),
        (lambda model, rng: np.zeros(2), r"qpos \(2,\) and qvel \(2,\), got \(\) and \(\)"),
        (lambda model, rng: None, r"two arrays \(qpos, qvel\), got None"),
        (lambda model, rng: (np.zeros(2), np.zeros(2), 0), r"two arrays \(qpos, qvel\), got \("),
    ],
)  # fmt: skip
def test_a_start_that_is_none_is_refused_at_once(start, message, unhooked):
    with pytest.raises(ValueError, match=f"cartpole: start must return .*{message}"):
        sample_episode(replace(TASKS["cartpole"], start=start), simulator("cartpole").physics, np.random.default_rng(0))


def test_a_model_without_actuators_has_no_goals():
    still = replace(TASKS["cartpole"], model=lambda: mujoco.MjSpec.from_string("<mujoco><worldbody/></mujoco>"))
    with pytest.raises(ValueError, match="cartpole: the model has no actuators"):
        sample_episode(still, Physics(still.compile(), 1), np.random.default_rng(0))
