"""Several views and depth, from the ray caster to the Gymnasium environments; one plain view is what it was."""

from __future__ import annotations

import copy
import math
import pickle
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from corrwise.costs import PerView, l1, mse
from corrwise.envs import TASKS, Camera, Fleet, MujocoSimulator, RaycastRenderer, VectorVisualTask, VisualTask
from corrwise.envs.renderers.view import far_plane
from corrwise.predictors import CopyLast, OraclePredictor
from corrwise.testing import check_predictor, check_renderer
from corrwise.types import Views
from tests.envs.worlds import SIZE, near, simulator, some_states, state_of, task_of

_BALL = '<mujoco><worldbody><body><freejoint/><geom size="0.5" rgba="1 0 0 1"/></body></worldbody></mujoco>'
SIDE, BOTH = ("main", "side"), Views(2, depth=True)


def several(name: str = "ant", **options) -> MujocoSimulator:
    return MujocoSimulator(TASKS[name], size=SIZE, cameras=SIDE, depth=True, **options)


@pytest.mark.parametrize(("name", "supersample"), [("ant", 1), ("humanoid", 2)])
def test_keeps_the_renderers_contract(name, supersample):
    model, states = TASKS[name].compile(SIDE), some_states(name)[:4]
    renderer = RaycastRenderer(model, height=24, width=32, supersample=supersample, cameras=SIDE, depth=True)
    assert renderer.views == BOTH
    check_renderer(renderer, states)
    alone = [
        RaycastRenderer(model, height=24, width=32, supersample=supersample, cameras=(each,)).render(states)
        for each in SIDE
    ]
    images = renderer.render(states)
    assert torch.equal(renderer.views.colour(images), torch.cat(alone, dim=1)), "a view depends on what is beside it"
    plain = RaycastRenderer(model, height=24, width=32, cameras=SIDE, depth=True)
    metres, depth = BOTH.metres(images), BOTH.metres(plain.render(states))
    assert torch.equal(metres, depth), "supersampling mixed depths"
    if supersample == 1:
        where = (images[:, :3] != renderer.background[:3]).any(dim=1)
        assert (images[:, 3] < renderer.background[3])[where].all(), "a body is before the background"
        assert torch.equal(images[:, 3], torch.where(where, images[:, 3], renderer.background[3]))


def test_the_main_view_is_the_plain_image():
    states = some_states("ant")
    plain = simulator("ant").render(states)
    assert torch.equal(several().render(states)[:, :3], plain)
    assert torch.equal(MujocoSimulator(TASKS["ant"], size=SIZE, cameras=("side", "main")).render(states)[:, 3:], plain)
    assert simulator("ant").views == Views()


@pytest.mark.parametrize("supersample", [1, 2])
def test_depth_is_along_the_axis_and_the_sky_lies_on_the_far_plane(supersample):
    model = task_of(_BALL).compile()
    renderer = RaycastRenderer(model, height=64, width=64, supersample=supersample, depth=True)
    places = (lambda data, x=x: data.qpos.__setitem__(0, x) for x in (0.0, 1.0))
    near, beside = renderer.views.metres(renderer.render(np.stack([state_of(model, at) for at in places])))[:, 0]
    assert near[32, 32] == pytest.approx(3.5, abs=2e-3)
    assert beside.min() == pytest.approx(3.5, abs=5e-3), "along the ray it would be farther"
    assert near[0, 0] == pytest.approx(far_plane(model), rel=1e-6)
    assert math.isfinite(far_plane(model))
    wall = '<geom type="box" size="9 0.1 9" pos="0 2.1 0"/></worldbody>'
    flat = task_of(_BALL.replace("</worldbody>", wall)).compile()
    corner = RaycastRenderer(flat, height=64, width=64, depth=True).background[3]
    assert torch.allclose(corner, torch.full_like(corner, 6.0)), "a wall across the axis has one depth"


def test_broken_states_have_no_depth_either():
    states = some_states("ant")[:3]
    states[1, 1] = np.nan
    images = several().render(states)
    assert images[1].isnan().all()
    assert images[[0, 2]].isfinite().all()


def test_copies_draw_the_same_and_so_do_chunks():
    made, states = several(), some_states("ant")
    images = made.render(states)
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert torch.equal(other.render(states), images)
    model = TASKS["ant"].compile(SIDE)
    chunked = RaycastRenderer(model, height=SIZE, width=SIZE, chunk=2, threads=1, cameras=SIDE, depth=True)
    assert torch.equal(chunked.render(states), images)


def test_oracle_and_copy_last_carry_all_channels():
    fleet = Fleet(several(), context_frames=2)
    context, goal = fleet.reset([0, 1])
    assert context.frames.shape == (2, 2, 8, SIZE, SIZE)
    assert goal.frames.shape == (2, 1, 8, SIZE, SIZE)
    actions = torch.rand(2, 2, 3, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    check_predictor(CopyLast(), context, actions)
    check_predictor(OraclePredictor(fleet.simulator), context, actions, needs_state=True)
    imagined = OraclePredictor(fleet.simulator)(context, actions[:, :1], steps=[0])[:, 0, 0]
    assert torch.equal(fleet.step(actions[:, 0, 0]).frames[:, -1], imagined), "the oracle's depth is not what comes"


def test_episodes_do_not_depend_on_the_views():
    fleets = [Fleet(each) for each in (simulator("humanoid"), several("humanoid"))]
    for fleet in fleets:
        fleet.reset([3, 4])
    assert np.array_equal(fleets[0].snapshot(), fleets[1].snapshot())
    assert np.array_equal(fleets[0].goal_states, fleets[1].goal_states)


def test_out_of_view_is_the_smallest_share_of_the_views():
    task = replace(task_of(_BALL), cameras={"far": Camera((0.0, -40.0, 0.0), (0.0, 0.0, 0.0))})
    states = np.stack([state_of(task.compile(), lambda data, x=x: data.qpos.__setitem__(0, x)) for x in (0, 1.6, 30)])
    main, far, both = (
        MujocoSimulator(task, size=SIZE, cameras=cameras).out_of_view(states)
        for cameras in (("main",), ("far",), ("main", "far"))
    )
    assert (main > 0).tolist() == [False, True, True]
    assert (far > 0).tolist() == [False, False, True]
    assert np.array_equal(both, np.minimum(main, far))


def test_displacement_is_summed_over_the_views():
    states = some_states("ant")
    alone = [MujocoSimulator(TASKS["ant"], size=SIZE, cameras=(each,)).renderer for each in SIDE]
    wanted = sum(each.displacement(states[0], states) for each in alone)
    assert torch.equal(several().renderer.displacement(states[0], states), wanted)
    with pytest.raises(ValueError, match="expected one view for a flow field, got 2"):
        several().renderer.correspondence(states[0], states)


def test_environments_show_colours_as_bytes_and_depth_in_metres():
    env = VisualTask(near("ant"), size=SIZE, cameras=SIDE, depth=True, render_mode="rgb_array")
    check_env(env, skip_render_check=True)
    observation, _ = env.reset(seed=3)
    assert observation["observation"].shape == (SIZE, SIZE, 6)
    assert observation["depth"].dtype == np.float32
    images = env.simulator.render(np.stack([env.snapshot(), env._goal_state]))
    for key, image in zip(("depth", "desired_depth"), images, strict=True):
        assert np.array_equal(observation[key], BOTH.metres(image).permute(1, 2, 0).numpy())
    assert env.render().shape == (SIZE, 2 * SIZE, 3)
    assert np.array_equal(env.render()[:, SIZE:], observation["observation"][..., 3:])
    _, reward, *_ = env.step(np.zeros(8))
    now = env.simulator.render(env.snapshot())
    assert reward == pytest.approx(-float(PerView(l1, BOTH)(now, images[1])), rel=1e-5)
    with pytest.raises(ValueError, match="hindsight replay needs depth=False"):
        env.compute_reward(observation["achieved_goal"], observation["desired_goal"], {})


def test_two_views_without_depth_are_a_goal_environment_of_six_channels():
    distance = PerView(mse, Views(2))
    env = VisualTask("ant", size=SIZE, cameras=SIDE, distance=distance)
    observation, _ = env.reset(seed=3)
    assert set(observation) == {"observation", "achieved_goal", "desired_goal"}
    achieved, desired = (np.stack([observation[key]] * 2) for key in ("achieved_goal", "desired_goal"))
    gap = np.square((achieved[0].astype(float) - desired[0]) / 255).mean()
    assert env.compute_reward(achieved, desired, {}) == pytest.approx([-gap] * 2, rel=1e-5)
    first = (each.transpose(0, 3, 1, 2) for each in (achieved, desired))
    assert env.compute_reward(*first, {}) == pytest.approx([-gap] * 2, rel=1e-5)


@pytest.mark.parametrize("depth", [False, True])
def test_the_vector_environment_shows_the_same(depth):
    options = {"task": "ant", "size": 16, "cameras": SIDE, "depth": depth, "render_mode": "rgb_array"}
    many = VectorVisualTask(2, **options)
    one = gymnasium.vector.SyncVectorEnv([lambda: VisualTask(**options)] * 2)
    shown, wanted = (each.reset(seed=5)[0] for each in (many, one))
    action = np.full((2, 8), 0.3, np.float32)
    after, expected = many.step(action), one.step(action)
    for one_of, other in ((shown, wanted), (after[0], expected[0])):
        assert set(one_of) == set(other)
        assert all(np.array_equal(one_of[key], other[key]) for key in other)
    assert after[1] == pytest.approx(expected[1], rel=1e-5)
    assert np.array_equal(np.stack(many.render()), np.stack(one.render()))


def test_what_is_refused(unhooked):
    with pytest.raises(ValueError, match="ant has no camera 'front'; there are main, side"):
        MujocoSimulator(TASKS["ant"], size=SIZE, cameras=("main", "front"))
    for cameras in ((), ("main", "main"), "main"):
        with pytest.raises(ValueError, match="ant: expected the names of different cameras, got"):
            MujocoSimulator(TASKS["ant"], size=SIZE, cameras=cameras)
    with pytest.raises(ValueError, match="'main' is the name of Task"):
        replace(TASKS["ant"], cameras={"main": TASKS["ant"].camera})
    renderer = simulator("ant").renderer
    with pytest.raises(ValueError, match="expected a renderer by name to draw"):
        MujocoSimulator(TASKS["ant"], renderer=renderer, depth=True)


def test_a_second_view_and_depth_tell_apart_what_one_view_does_not():
    """A ball that comes along the optical axis: its main image hardly changes, the others say how far it came."""
    camera = Camera((0.0, -40.0, 0.0), (0.0, 0.0, 0.0), fovy=5.0)
    side = replace(camera, position=(40.0, 0.0, 0.0))
    task = replace(task_of(_BALL, camera=camera), cameras={"side": side})
    simulator = MujocoSimulator(task, size=SIZE, cameras=SIDE, depth=True)
    places = (lambda data, y=y: data.qpos.__setitem__(1, y) for y in (0.0, -0.25, -0.5, -0.75))
    images = simulator.render(np.stack([state_of(simulator.model, place) for place in places]))
    views, colours = BOTH.apart(images), BOTH.colour(images)

    def costs(distance, images):
        return distance(images, images[:1].expand_as(images))

    main = costs(l1, colours[:, :3])
    for distance, shown in ((PerView(l1, Views(2)), colours), (PerView(l1, Views(1, depth=True)), views[:, 0])):
        measured = costs(distance, shown)
        assert (measured.diff() > 0).all()
        assert measured[-1] > 5 * main[-1]
