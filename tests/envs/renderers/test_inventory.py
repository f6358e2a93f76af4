"""What images leave out is named once; a task of which they show nothing is refused."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from corrwise.envs import TASKS, Camera, Fleet, MujocoSimulator, RaycastRenderer, Task, VectorVisualTask, VisualTask
from corrwise.envs.tasks.goals import sample_episode
from tests.envs.renderers.drawn import CLOTH, SKIN, cubes
from tests.envs.worlds import SIZE, task_of

_SLIDER = """
<mujoco><option timestep=".02"/><worldbody>
  <body name="a"><joint name="x" type="slide" axis="1 0 0"/><geom size=".3" mass="1" {}/>{}</body>{}
  </worldbody>{}<actuator><motor joint="x" gear="20"/></actuator></mujoco>"""


def _reset(how: str, task: Task, *, seed: int = 0, **options) -> Callable[[], object]:
    """Return a function that resets one environment of the task, as often as it is called."""
    if how == "fleet":
        fleet = Fleet(MujocoSimulator(task, **options))
        return lambda: fleet.reset([seed])
    env = VisualTask(task, **options) if how == "single" else VectorVisualTask(2, task=task, **options)
    return lambda: env.reset(seed=seed)


_SHOW = "show it (groups 0 to 2, alpha above 0)"
ENVIRONMENTS = pytest.mark.parametrize("how", ["single", "vector", "fleet"])


@ENVIRONMENTS
def test_what_is_left_out_is_named_once(how):
    reset = _reset(how, task_of(SKIN.format("")), size=32)
    with pytest.warns(UserWarning, match='^test: the images leave out 1 skin; renderer="gl" draws it all$'):
        reset()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reset()


@pytest.mark.parametrize("name", TASKS)
def test_the_tasks_leave_nothing_out(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Fleet(MujocoSimulator(TASKS[name], size=64)).reset([0])
    assert RaycastRenderer(TASKS[name].compile(), height=8, width=8).left_out == ()


_TENDON = '<tendon><spatial width=".02"><site site="s"/><site site="t"/></spatial></tendon>'
_ENDS = '<site name="s" group="4"/>', '<site name="t" pos="0 0 1" group="4"/>'


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        (_SLIDER.format("", "", "", ""), ()),
        (_SLIDER.format('rgba="1 0 0 .4"', "", "", ""), ("the transparency of 1 shape",)),
        (_SLIDER.format("", *_ENDS, _TENDON), ("1 tendon",)),
        (_SLIDER.format("", *_ENDS, _TENDON.replace("width", 'group="3" width')), ()),
        (CLOTH, ("1 flex",)),
        (SKIN.format("").replace('rgba="1 0 0 1"', 'rgba="1 0 0 0"'), ()),
    ],
)
def test_each_thing_left_out_has_its_word(xml, words):
    assert RaycastRenderer(task_of(xml).compile(), height=8, width=8).left_out == words


def test_only_textures_that_show_more_than_a_colour_are_missed():
    task = replace(task_of("<mujoco/>"), model=cubes)
    plain, coated = (RaycastRenderer(task.compile(), height=8, width=8, textures=each) for each in (False, True))
    assert plain.left_out == ("the textures of 6 moving shapes (Task(textures=True) draws them)",)
    assert coated.left_out == ()


@ENVIRONMENTS
@pytest.mark.parametrize(
    ("xml", "why"),
    [
        (_SLIDER.format('group="3"', "", "", ""), f"1 geom of a hidden group (3 to 5); {_SHOW}"),
        (
            _SLIDER.format('rgba="1 0 0 0"', '<site rgba="0 0 0 0"/>', "", ""),
            f"1 geom of alpha 0 and 1 hidden site; {_SHOW}",
        ),
        (
            SKIN.format('group="4"'),
            f'1 geom of a hidden group (3 to 5) and 1 skin; {_SHOW} or use renderer="gl", which draws skins, flexes '
            "and tendons, too",
        ),
    ],
)
def test_a_task_of_which_nothing_shows_is_refused_with_what_helps(how, xml, why):
    with pytest.raises(
        ValueError, match=f"^{re.escape(f'test: the images show nothing that moves: what moves is {why}')}$"
    ):
        _reset(how, task_of(xml), size=16)()


def test_a_renderer_of_one_s_own_need_not_know_what_it_leaves_out():
    class Grey:
        height = width = 16

        def render(self, states):
            return torch.zeros(len(states), 3, 16, 16)

    simulator = MujocoSimulator(task_of(_SLIDER.format("", "", "", "")), size=16, renderer=Grey())
    simulator.check_drawn()
    with pytest.raises(ValueError, match="test: a goal image equals its start's"):
        Fleet(simulator).reset([0])


@ENVIRONMENTS
def test_a_goal_out_of_sight_is_refused(how):
    away = task_of(_SLIDER.format("", "", "", ""), camera=Camera(position=(0.0, -4.0, 0.0), target=(0.0, -8.0, 0.1)))
    with pytest.raises(ValueError, match=r"^test: a goal image equals its start's although .* larger than 16 pixels"):
        _reset(how, away, size=16)()


@ENVIRONMENTS
def test_a_goal_that_only_larger_images_show_is_a_warning(how):
    thin = task_of(_SLIDER.format('pos="0 0 .1"', "", "", "").replace('size=".3"', 'size=".08"'))
    reset = _reset(how, thin, size=8)
    with pytest.warns(UserWarning, match=r"^test: some goal images of 8 pixels equal their starts'; larger ones show"):
        reset()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reset()


def test_every_goal_that_looks_like_its_start_is_drawn_larger():
    thin = task_of(_SLIDER.format('pos="0 0 .1"', "", "", "").replace('size=".3"', 'size=".08"'))
    simulator = MujocoSimulator(thin, size=8)
    start, goal = sample_episode(thin, simulator.physics, np.random.default_rng(0))
    images = torch.zeros(2, 3, 8, 8)
    with pytest.warns(UserWarning, match="larger ones show"):
        simulator.check_goals(start[None], goal[None], images[:1], images[:1])
    with pytest.raises(ValueError, match="a goal image equals its start's"):  # also after the warning
        simulator.check_goals(np.stack([start, start]), np.stack([goal, start]), images, images)


def test_states_that_are_given_are_not_questioned():
    fleet = Fleet(MujocoSimulator(TASKS["cartpole"], size=SIZE))
    fleet.reset([0])
    fleet.begin(fleet.snapshot(), fleet.snapshot())
    fleet.restore(fleet.goal_states)
