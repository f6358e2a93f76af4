"""Projected extents are what plain rays see of each shape, and say what of a body lies outside the image."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from corrwise.envs import TASKS, Camera, MujocoSimulator, VectorVisualTask, VisualTask
from corrwise.envs.renderers.extent import ViewExtents
from corrwise.envs.renderers.view import PinholeView
from corrwise.envs.tasks.task import CAMERA_NAME
from tests.envs.worlds import FULL, shorter, simulator, some_states, state_of, task_of

SIDE = 96
CAMERA = Camera(position=(0.3, -2.0, 0.4), target=(0.0, 0.0, 0.0), fovy=50.0)
POSE = 'pos=".2 .3 .1" euler="25 40 65"'
SHAPES = {
    "sphere": 'type="sphere" size=".3"',
    "capsule": 'type="capsule" size=".08 .4"',
    "ellipsoid": 'type="ellipsoid" size=".1 .25 .4"',
    "cylinder": 'type="cylinder" size=".2 .3"',
    "disc": 'type="cylinder" size=".4 .001"',
    "box": 'type="box" size=".1 .2 .3"',
    "mesh": 'type="mesh" mesh="tetra"',
}


def _world(geoms: str, *, hinge: str = "0 1 0") -> str:
    return f"""<mujoco><compiler angle="degree"/><asset>
      <mesh name="tetra" vertex="0 0 0 .6 .1 0 0 .5 .1 .1 .2 .7"/></asset><worldbody><light pos="0 -3 3"/>
      <body name="arm"><joint name="j" axis="{hinge}"/>{geoms}<geom size=".001" group="4" mass="1"/></body></worldbody>
      <actuator><motor joint="j"/></actuator></mujoco>"""


def _extents_of(xml: str, camera: Camera = CAMERA, angle: float = 0.3) -> tuple[ViewExtents, np.ndarray]:
    model = task_of(xml, camera=camera).compile()
    return ViewExtents(model), state_of(model, lambda data: data.qpos.fill(angle))[None]


def _met(model: mujoco.MjModel, state: np.ndarray) -> np.ndarray:
    """Where single rays meet something; ``mj_multiRay`` leaves out the corners of some boxes."""
    data, view = mujoco.MjData(model), PinholeView.of_camera(model, CAMERA_NAME)
    mujoco.mj_setState(model, data, state, FULL)
    mujoco.mj_forward(model, data)
    shown, geom = np.array([1, 1, 1, 0, 0, 0], dtype=np.uint8), np.zeros(1, dtype=np.int32)
    rays = view.directions(SIDE, SIDE)
    far = [mujoco.mj_ray(model, data, view.position, ray, shown, 1, -1, geom) for ray in rays]
    return (np.array(far) >= 0).reshape(SIDE, SIDE)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_rectangle_is_what_plain_rays_see_to_a_pixel(shape):
    view, state = _extents_of(_world(f"<geom {SHAPES[shape]} {POSE}/>"))
    rows, columns = np.nonzero(_met(view.model, state[0]))
    low, high = (SIDE * side[0, 0] for side in (view.extents(state).low, view.extents(state).high))
    seen_low, seen_high = np.array([columns.min(), rows.min()]), np.array([columns.max(), rows.max()]) + 1
    assert (low <= seen_low + 0.5).all(), "a ray meets the shape outside its rectangle"
    assert (high >= seen_high - 0.5).all(), "a ray meets the shape outside its rectangle"
    assert (low >= seen_low - 1.5).all(), "the rectangle is larger than the shape"
    assert (high <= seen_high + 1.5).all(), "the rectangle is larger than the shape"


def test_sites_that_are_drawn_have_extents_like_geoms_and_hidden_ones_have_none():
    site = f'<site name="mark" {SHAPES["capsule"]} {POSE}/><site type="sphere" size=".5" group="3"/>'
    sites, state = _extents_of(_world(site))
    geoms, _ = _extents_of(_world(f"<geom {SHAPES['capsule']} {POSE}/>"))
    assert sites.names == ["mark"]
    assert np.array_equal(sites.extents(state).low, geoms.extents(state).low)
    assert sites.share(state) == geoms.share(state)


def test_a_shape_may_leave_the_image_while_its_centre_stays():
    view, state = _extents_of(_world('<geom type="capsule" fromto="0 0 0 1.5 0 0" size=".05"/>'), angle=0.0)
    extents = view.extents(state)
    assert extents.cut.all()
    assert not extents.outside.any()
    assert (extents.beyond[0, 0] > 0).tolist() == [False, False, True, False], "left, top, right, bottom"
    assert 0 < extents.share[0] < 0.8


def test_a_sphere_is_cut_by_as_much_as_its_projection():
    straight = Camera(position=(0.0, -4.0, 0.0), target=(0.0, 0.0, 0.0), fovy=90.0)
    view, state = _extents_of(_world('<geom type="sphere" size=".5" pos="3.8 0 0"/>'), straight, angle=0.0)
    away, half = np.hypot(4.0, 3.8), np.arctan2(3.8, 4.0)
    edge = 0.5 + 0.5 * np.tan(half + np.arcsin(0.5 / away))
    assert view.extents(state).beyond[0, 0] == pytest.approx([0, 0, edge - 1, 0], abs=1e-9)


@pytest.mark.parametrize(("x", "share"), [(0.0, 0.0), (9.0, 1.0)])
def test_the_share_is_zero_inside_and_one_outside(x, share):
    view, state = _extents_of(_world(f'<geom size=".2" pos="{x} 0 0"/>'), angle=0.0)
    assert view.share(state) == share
    assert view.extents(state).outside.all() == bool(share)


@pytest.mark.parametrize("y", [-2.0, -1.9, -5.0])
def test_what_reaches_behind_the_camera_is_outside(y):
    view, state = _extents_of(_world(f'<geom size=".3" pos="0 {y} 0"/><geom size=".1"/>'), angle=0.0)
    extents = view.extents(state)
    assert extents.outside.tolist() == [[True, False]]
    assert 0.5 < extents.share[0] < 1


def test_what_is_not_drawn_does_not_count():
    away = 'pos="9 0 0" size=".2" mass="0"'
    hidden = f'<geom {away} group="3"/><geom {away} rgba="1 0 0 0"/><geom {away} material="clear"/>'
    world = _world(f'<geom name="seen" size=".2"/>{hidden}').replace(
        "<asset>", '<asset><material name="clear" rgba="1 1 1 0"/>'
    )
    view, state = _extents_of(world)
    assert view.names == ["seen"]
    assert view.share(state) == 0


def test_a_geom_without_a_name_is_called_by_its_body():
    assert _extents_of(_world('<geom size=".2"/>'))[0].names == ["arm#0"]


def test_how_thick_a_pole_is_does_not_depend_on_its_angle():
    for angle in (0.0, 20.0, 45.0, 80.0):
        view, state = _extents_of(
            _world('<geom type="capsule" size=".03 .8"/>'), Camera((0.0, -4.0, 0.0), (0.0, 0.0, 0.0)), np.radians(angle)
        )
        upright = 2 * 0.03 / 4 / (2 * np.tan(np.radians(22.5)))
        assert view.thickness(state)[0, 0] == pytest.approx(upright, rel=2e-3)


@pytest.mark.parametrize("name", TASKS)
def test_states_beside_each_other_do_not_change_each_other(name):
    states, view = some_states(name), ViewExtents(simulator(name).model)
    together, alone = view.extents(states), [view.extents(state[None]) for state in states]
    assert np.array_equal(together.low, np.concatenate([each.low for each in alone]))
    assert np.array_equal(together.high, np.concatenate([each.high for each in alone]))
    assert np.array_equal(view.share(states), [each.share[0] for each in alone])


@pytest.mark.parametrize("shape", SHAPES)
def test_the_share_is_that_of_the_rectangles_wherever_a_shape_lies(shape):
    aside = Camera(position=(0.6, -3.2, 0.0), target=(0.6, 0.0, 0.0))
    model = task_of(_world(f"<geom {SHAPES[shape]} pos='1.2 0 0'/>"), camera=aside).compile()
    view = ViewExtents(model)
    states = np.stack([state_of(model, lambda data, a=a: data.qpos.fill(a)) for a in np.linspace(-np.pi, np.pi, 50)])
    share = view.share(states)
    assert np.array_equal(share, view.extents(states).share)
    assert ((share > 0) == view.extents(states).cut.any(axis=1)).all()
    assert len(set(share > 0)) == 2


def test_a_broken_state_has_no_extent_and_disturbs_no_other():
    states, view = some_states("humanoid"), ViewExtents(simulator("humanoid").model)
    poisoned = states.copy()
    poisoned[1, 3] = np.nan
    share = view.share(poisoned)
    assert np.isnan(share[1])
    assert np.array_equal(share[[0, 2, 3]], view.share(states)[[0, 2, 3]])
    assert view.share(states[:0]).shape == (0,)
    with pytest.raises(ValueError, match="expected integration states"):
        view.share(states[:, :-1])


def test_a_model_of_which_nothing_is_shown_lies_nowhere_outside():
    view, state = _extents_of(_world(""))
    assert view.names == []
    assert view.share(state) == 0
    assert view.thickness(state).shape == (1, 0)


def test_copies_and_pickles_give_the_same():
    states, view = some_states("cartpole"), ViewExtents(simulator("cartpole").model)
    before = view.share(states)
    for same in (copy.deepcopy(view), pickle.loads(pickle.dumps(view))):
        assert np.array_equal(same.share(states), before)


def test_info_has_the_shares_of_body_and_goal_that_are_out_of_view():
    env = VisualTask("cartpole-short", size=16)
    cut = {seed: env.reset(seed=seed)[1] for seed in range(4)}
    assert [info["goal_out_of_view"] > 0 for info in cut.values()] == [True, False, True, False]
    assert [info["out_of_view"] > 0 for info in cut.values()] == [False, False, False, True]
    env.reset(seed=0)
    env.restore(env._goal_state)
    state = env.snapshot()
    state[1] = 3.0  # metres to the right, beyond the track's end
    env.restore(state)
    *_, info = env.step(np.zeros(1))
    assert info["out_of_view"] > 0.5
    assert info["goal_out_of_view"] == cut[0]["goal_out_of_view"]
    assert all(type(info[name]) is float for name in ("out_of_view", "goal_out_of_view"))


def test_copies_in_a_vector_environment_report_the_same():
    near = replace(TASKS["cartpole-short"], goal=replace(TASKS["cartpole-short"].goal, min_distance=0.1))
    envs = VectorVisualTask(4, task=shorter(near, 5), size=16)
    _, infos = envs.reset(seed=0)
    for i in range(4):
        info = VisualTask(shorter(near, 5), size=16).reset(seed=i)[1]
        assert infos["out_of_view"][i] == info["out_of_view"]
        assert infos["goal_out_of_view"][i] == info["goal_out_of_view"]
    assert infos["_goal_out_of_view"].all()


def test_a_simulator_reports_the_share_of_any_states():
    made = MujocoSimulator(TASKS["cartpole"], size=16)
    assert np.array_equal(
        made.out_of_view(some_states("cartpole")), made.physics.extents.share(some_states("cartpole"))
    )
