"""The ray caster draws what is there: golden geometry, no ray lost to culling, nothing depends on batch or threads."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from corrwise.envs import TASKS, Camera, RaycastRenderer
from corrwise.envs.renderers import RENDERERS, scene
from corrwise.envs.renderers.shading import plane_texture
from corrwise.envs.renderers.shapes import Shapes
from corrwise.testing import check_renderer, moving_mask
from tests.envs.worlds import simulator, some_states, state_of, task_of

_BALL = '<geom name="ball" size="0.5" rgba="1 0 0 1" {}/>'
_FREE = "<mujoco><worldbody><body><freejoint/>{}</body></worldbody></mujoco>"
_STILL = "<mujoco><worldbody>{}</worldbody></mujoco>"
_MOCAP = '<mujoco><worldbody><body mocap="true">{}</body></worldbody></mujoco>'


def _scene(xml: str, **options) -> tuple[mujoco.MjModel, RaycastRenderer]:
    model = task_of(xml).compile()
    return model, RaycastRenderer(model, **options)


def _at(*position: float):
    return lambda data: data.qpos.__setitem__(slice(0, 3), position)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("supersample", [1, 2])
def test_keeps_the_renderers_contract(name, supersample):
    renderer = RENDERERS["raycast"](simulator(name).model, height=32, width=40, supersample=supersample)
    check_renderer(renderer, some_states(name)[:4])


def test_a_ball_covers_the_pixels_of_its_projection():
    model, renderer = _scene(_FREE.format(_BALL.format("")), height=64, width=64)
    image = renderer.render(state_of(model)[None])[0]
    rows, columns = torch.nonzero(image[0] > 0, as_tuple=True)
    focal = 32 / np.tan(np.radians(22.5))
    radius = focal * 0.5 / np.sqrt(4.0**2 - 0.5**2)  # the silhouette of a sphere 4 m away
    assert len(rows) == pytest.approx(np.pi * radius**2, rel=0.03)
    assert (rows.float().mean(), columns.float().mean()) == pytest.approx((31.5, 31.5), abs=0.1)
    assert (rows.max() - rows.min() + 1).item() == pytest.approx(2 * radius, abs=1)
    assert image[1:].max() == 0, "a red ball before no sky shows another colour"


@pytest.mark.parametrize(
    ("position", "row", "column"), [((0, 0, 1), 12, 32), ((1, 0, 0), 32, 51), ((-1, 4, -1), 41, 22)]
)
def test_up_is_up_and_right_is_right(position, row, column):
    model, renderer = _scene(_FREE.format(_BALL.format("")), height=64, width=64)
    image = renderer.render(state_of(model, _at(*position))[None])[0]
    rows, columns = torch.nonzero(image[0] > 0, as_tuple=True)
    assert (rows.float().mean(), columns.float().mean()) == pytest.approx((row, column), abs=1.5)


def test_the_lit_side_faces_the_light_and_the_nearest_body_is_seen():
    near = '<body pos="0 -1 0"><freejoint/><geom size="0.2" rgba="0 1 0 1"/></body>'
    model, renderer = _scene(_FREE.format(_BALL.format("")).replace("</worldbody>", near + "</worldbody>"))
    image = renderer.render(state_of(model)[None])[0]
    assert image[1, 32, 32] > 0.3
    assert image[0, 32, 32] == 0
    assert image[0, 32, 40] > 0.1
    wall = '<geom type="box" size="9 0.1 9" pos="0 -2 0" rgba="0 0 1 1"/></worldbody>'
    model, renderer = _scene(_FREE.format(_BALL.format("")).replace("</worldbody>", wall))
    assert torch.equal(*renderer.render(np.stack([state_of(model), state_of(model, _at(1, 0, 0))]))), (
        "seen through a wall"
    )


def test_a_mocap_body_moves_and_a_hidden_group_is_not_drawn():
    model, renderer = _scene(_MOCAP.format(_BALL.format("")), height=16, width=16)
    here = state_of(model)
    there = state_of(model, lambda data: data.mocap_pos.__setitem__(0, [1.0, 0.0, 0.0]))
    images = renderer.render(np.stack([here, there]))
    assert not torch.equal(*images)
    assert (images[:, 0] > 0.2).any(dim=(1, 2)).all()
    for group, shown in ((0, True), (2, True), (3, False), (5, False)):
        model, renderer = _scene(_FREE.format(_BALL.format(f'group="{group}"')), height=16, width=16)
        assert (renderer.render(state_of(model)[None]) > 0.2).any() == shown
    model, renderer = _scene(_STILL.format(_BALL.format('group="4"')), height=16, width=16)
    assert renderer.render(state_of(model)[None]).max() == 0, "a hidden geom that never moves was drawn"


def test_a_model_in_which_nothing_moves_can_be_drawn():
    model, renderer = _scene(_STILL.format(_BALL.format("")), height=16, width=24)
    images = renderer.render(np.stack([state_of(model)] * 3))
    assert (images[:, 0] > 0.2).any(dim=(1, 2)).all()


def test_colours_come_from_materials():
    asset = '<asset><material name="m" rgba="0 1 0 1"/></asset><worldbody>'
    for geom, channel in (
        ('<geom size="0.5" material="m"/>', 1),
        ('<geom size="0.5" material="m" rgba="0 0 1 1"/>', 2),
    ):
        model, renderer = _scene(_FREE.format(geom).replace("<worldbody>", asset), height=16, width=16)
        image = renderer.render(state_of(model)[None])[0]
        assert image[channel].max() > 0.4
        assert image.amax(dim=(1, 2)).argmax() == channel


@pytest.mark.parametrize("name", TASKS)
def test_bodies_are_where_plain_rays_find_them(name):
    model, states = simulator(name).model, some_states(name)
    renderer = RaycastRenderer(model, height=32, width=40)
    nowhere = renderer.background
    for image, state in zip(renderer.render(states), states, strict=True):
        differs = ((image - nowhere).abs() > 1 / 255).any(dim=0).numpy()
        mask = moving_mask(model, state, height=32, width=40)
        assert not (differs & ~mask).any(), "something is drawn where no body is"
        assert mask.any()
        assert (differs & mask).sum() > 0.9 * mask.sum(), "a body is missing"


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("options", [{"height": 32, "width": 32}, {"height": 11, "width": 30, "supersample": 2}])
def test_culling_never_loses_a_ray(name, options, monkeypatch):
    model = simulator(name).model
    renderer, states = RaycastRenderer(model, **options), _scattered(name)
    culled = renderer.render(states)
    monkeypatch.setattr(scene, "covered", _everything)
    assert torch.equal(culled, renderer.render(states))


def _everything(corners, view, *, height, width):
    return np.ones((len(corners), height, width), dtype=bool)


def _scattered(name: str) -> np.ndarray:
    """Random poses: in the image, at its edges, far away, around, at and behind the camera."""
    model, rng = simulator(name).model, np.random.default_rng(0)
    camera = np.array(TASKS[name].camera.position)
    states = []
    for i in range(48):
        qpos = model.qpos0 + 0.5 * rng.standard_normal(model.nq)
        if int(model.jnt_type[0]) == int(mujoco.mjtJoint.mjJNT_FREE):
            scale = (1.0, 4.0, 100.0, 1e5)[i % 4]
            qpos[:3] = (camera + 0.3 * rng.standard_normal(3)) if i % 3 == 0 else scale * rng.standard_normal(3)
        else:
            qpos[0] = (3.0, 30.0, 1e4)[i % 3] * rng.standard_normal()
            qpos[1:2] *= 6
        state = state_of(model)
        state[1 : 1 + model.nq] = qpos
        states.append(state)
    return np.array(states)


@pytest.mark.parametrize("geom", ['type="box" size="1 1 1"', 'type="capsule" size=".1 3"', 'type="box" size="3 .1 .1"'])
def test_culling_keeps_a_body_around_the_camera(geom, monkeypatch):
    model, renderer = _scene(_FREE.format(f"<geom {geom}/>"), height=16, width=16)
    poses = _poses_near(np.random.default_rng(1), 300)
    states = np.array([state_of(model, lambda data, q=q: data.qpos.__setitem__(slice(None), q)) for q in poses])
    culled = renderer.render(states)
    assert culled.amax(dim=(1, 2, 3)).count_nonzero() > 50, "hardly any body is in these images"
    monkeypatch.setattr(scene, "covered", _everything)
    assert torch.equal(culled, renderer.render(states))


def test_a_broken_state_is_passed_over_in_silence(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    states = some_states("humanoid")[:3]
    states[0, 1], states[1, 1 + 20] = np.nan, 1e13
    images = simulator("humanoid").renderer.render(states)
    assert images.isnan().all(dim=3).all(dim=2).all(dim=1).tolist() == [True, True, False]
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


def _poses_near(rng: np.random.Generator, count: int) -> np.ndarray:
    """Free poses around a camera at (0, -4, 0)."""
    return np.concatenate([rng.normal([0, -4, 0], 1.5, (count, 3)), rng.standard_normal((count, 4))], axis=1)


@pytest.mark.parametrize("name", TASKS)
def test_threads_and_chunks_change_nothing(name):
    model, states = simulator(name).model, _scattered(name)[:13]
    reference = RaycastRenderer(model, height=16, width=16, chunk=64).render(states)
    for threads, chunk in ((1, 64), (2, 13), (2, 12), (1, 5), (2, 1)):
        renderer = RaycastRenderer(model, height=16, width=16, threads=threads, chunk=chunk)
        assert torch.equal(renderer.render(states), reference)
        assert torch.equal(renderer.render(states), reference), "an earlier call left a trace"


def test_supersampling_smooths_edges_and_keeps_the_rest():
    model, states = simulator("humanoid").model, some_states("humanoid")[:1]
    one, two = (RaycastRenderer(model, height=24, width=24, supersample=s).render(states) for s in (1, 2))
    assert one.shape == two.shape == (1, 3, 24, 24)
    assert (one - two).abs().mean() < 0.05
    assert not torch.equal(one, two)


def test_the_given_model_is_left_as_it_was():
    model = simulator("ant").model
    groups = model.geom_group.copy()
    RaycastRenderer(model, height=8, width=8)
    assert np.array_equal(model.geom_group, groups)


def test_bad_input_is_one_sentence(unhooked):
    model = simulator("cartpole").model
    for options in ({"height": 0}, {"width": -1}, {"supersample": 0}):
        with pytest.raises(ValueError, match="height, width and supersample must be at least 1, got"):
            RaycastRenderer(model, **options)
    bare = mujoco.MjModel.from_xml_string(_FREE.format(_BALL.format("")))
    with pytest.raises(ValueError, match=r"a camera 'corrwise' \(Task.compile adds it\), got cameras \[\]"):
        RaycastRenderer(bare)
    renderer, size = simulator("cartpole").renderer, some_states("cartpole").shape[1]
    for wrong in (some_states("cartpole")[:, :-1], some_states("cartpole")[0]):
        with pytest.raises(ValueError, match=rf"expected integration states \(n, {size}\), got \({wrong.shape[0]}"):
            renderer.render(wrong)


def test_a_camera_turned_by_its_up_direction_turns_the_image():
    upright = task_of(_FREE.format(_BALL.format("")))
    turned = task_of(
        _FREE.format(_BALL.format("")),
        camera=Camera(position=(0.0, -4.0, 0.0), target=(0.0, 0.0, 0.0), up=(0.0, 0.0, -1.0)),
    )
    state = state_of(upright.compile(), _at(0.7, 0, 0.4))[None]
    images = [RaycastRenderer(task.compile(), height=32, width=32).render(state)[0] for task in (upright, turned)]
    assert torch.allclose(images[0].rot90(2, dims=(1, 2)), images[1], atol=2 / 255)


def test_a_texture_repeats_to_the_last_bit_below_its_edge():
    model = TASKS["ant"].compile()
    shapes = Shapes.of_model(model)
    floor = int(np.flatnonzero(shapes.kind == int(mujoco.mjtGeom.mjGEOM_PLANE))[0])
    points = np.array([[0.0, 0.0, 0.0], [-1e-20, 0.0, 0.0], [0.0, -1e-20, 0.0]])
    model.mat_texuniform[:] = 1  # the texture begins in the middle
    at_edge, *below = plane_texture(model, shapes, floor, points)
    for colour in below:
        assert np.array_equal(colour, at_edge), "rounds to the texture's edge, which is where it begins again"
