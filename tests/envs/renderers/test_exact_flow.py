"""Exact flow follows from geometry: zero for equal states, a known shift, there and back again, occlusion."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from corrwise.costs import warp
from corrwise.envs import TASKS, RaycastRenderer
from corrwise.envs.renderers.view import PinholeView
from corrwise.envs.tasks.task import CAMERA_NAME
from corrwise.testing import moving_mask
from tests.envs.worlds import FULL, simulator, some_states, state_of, task_of

_FREE = "<mujoco><worldbody>{}<body><freejoint/>{}</body></worldbody></mujoco>"
_BOX = '<geom type="box" size="0.5 0.01 0.5" rgba="1 0 0 1"/>'
_SHAPES = (
    '<geom type="box" size="0.4 0.2 0.3"/>', '<geom size="0.5"/>', '<geom type="capsule" size="0.2 0.4"/>',
    '<geom type="ellipsoid" size="0.5 0.2 0.3"/>', '<geom type="cylinder" size="0.3 0.4"/>',
)  # fmt: skip


def _world(geom: str, *, still: str = "", size: int = 64) -> tuple[mujoco.MjModel, RaycastRenderer]:
    model = task_of(_FREE.format(still, geom)).compile()
    return model, RaycastRenderer(model, height=size, width=size)


def _pose(*position: float, turn: float = 0.0):
    return lambda data: data.qpos.__setitem__(
        slice(0, 7), [*position, np.cos(turn / 2), 0.3 * np.sin(turn / 2), np.sin(turn / 2), 0.1 * np.sin(turn / 2)]
    )


def _plain_return(model: mujoco.MjModel, a: np.ndarray, b: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    """Where points seen in b at ``places`` (n, 2) lie in a, one plain ``mj_ray`` and one pose after the other."""
    view = PinholeView.of_camera(model, CAMERA_NAME)
    there, here = mujoco.MjData(model), mujoco.MjData(model)
    for data, state in ((there, b), (here, a)):
        mujoco.mj_setState(model, data, state, FULL)
        mujoco.mj_kinematics(model, data)
    geom, out = np.zeros(1, dtype=np.int32), np.full((len(places), 2), np.nan)
    shown = np.array([1, 1, 1, 0, 0, 0], dtype=np.uint8)
    for row, (x, y) in enumerate(places):
        f = view.focal(size)
        ray = view.rotation @ np.array([(x - size / 2) / f, (size / 2 - y) / f, -1.0])
        distance = mujoco.mj_ray(model, there, view.position, ray, shown, 1, -1, geom)
        if distance < 0:
            continue
        g = geom[0]
        local = there.geom_xmat[g].reshape(3, 3).T @ (view.position + distance * ray - there.geom_xpos[g])
        world = here.geom_xpos[g] + here.geom_xmat[g].reshape(3, 3) @ local
        px, py, _ = view.project(world[None], height=size, width=size)
        out[row] = px[0], py[0]
    return out


@pytest.mark.parametrize("name", TASKS)
def test_equal_states_do_not_move_and_hide_nothing(name):
    states = some_states(name)
    flow, visible = simulator(name).renderer.correspondence(states, states)
    assert (flow == 0).all()
    assert visible.all()
    assert (simulator(name).renderer.displacement(states, states) == 0).all()


def test_a_plate_that_slides_across_the_view_moves_by_the_shift_of_the_geometry():
    model, renderer = _world(_BOX)
    a, b = state_of(model, _pose(-0.5, 0, 0)), state_of(model, _pose(0.3, 0, 0.2))
    flow, visible = renderer.correspondence(a, b)
    mask = torch.from_numpy(moving_mask(model, a, height=64, width=64))
    per_metre = 32 / np.tan(np.radians(22.5)) / (4 - 0.01)  # the plate's near side, 4 m from the camera
    expected = torch.tensor([0.8 * per_metre, -0.2 * per_metre], dtype=torch.float32)
    assert torch.allclose(flow[:, mask], expected[:, None].expand(-1, int(mask.sum())), atol=1e-3)
    assert (flow[:, ~mask] == 0).all()
    assert visible[mask].all()
    assert renderer.displacement(a, b) == pytest.approx(float(expected.norm()), abs=1e-3)
    images = renderer.render(np.stack([a, b]))
    left = (warp(images[1:], flow[None])[0] - images[0])[:, mask].abs()
    assert left.mean() < 0.1 * (images[1] - images[0])[:, mask].abs().mean()


@pytest.mark.parametrize("geom", _SHAPES)
def test_visible_points_come_back_to_their_pixel(geom):
    model, renderer = _world(geom, still='<geom type="plane" size="5 5 1" pos="0 0 -0.6"/>')
    a, b = state_of(model, _pose(-0.3, 0, 0)), state_of(model, _pose(0.2, 0.1, 0.1, turn=0.6))
    _check_round_trip(model, renderer, a, b)


@pytest.mark.parametrize("name", TASKS)
def test_visible_points_of_every_task_come_back_to_their_pixel(name):
    model = simulator(name).model
    renderer = RaycastRenderer(model, height=64, width=64)
    states = some_states(name)
    for a, b in zip(states[:3], states[3:], strict=True):
        _check_round_trip(model, renderer, a, b)


def _check_round_trip(model: mujoco.MjModel, renderer: RaycastRenderer, a: np.ndarray, b: np.ndarray) -> None:
    flow, visible = renderer.correspondence(a, b)
    size = renderer.height
    mask = torch.from_numpy(moving_mask(model, a, height=size, width=size))
    rows, columns = torch.nonzero(visible & mask, as_tuple=True)
    assert len(rows) >= 5
    pixels = torch.stack((columns, rows), dim=1).double() + 0.5
    landed = pixels + flow[:, rows, columns].T
    back = torch.from_numpy(_plain_return(model, a, b, landed.numpy(), size))
    error = (back - pixels).norm(dim=1)
    # At a joint the round ends of two limbs coincide, and rounding decides whose point is seen.
    assert error.quantile(0.9) <= 0.05
    assert error.median() <= 1e-4


def test_what_is_hidden_and_what_has_left_the_image_is_not_visible():
    wall = '<geom type="box" size="0.4 0.05 2" pos="1 -1 0" rgba="0 0 1 1"/>'
    model, renderer = _world('<geom size="0.2"/>', still=wall)
    a, behind, out = (state_of(model, _pose(x, 0, 0)) for x in (-0.5, 1.3, 9.0))
    mask = torch.from_numpy(moving_mask(model, a, height=64, width=64))
    flow, visible = renderer.correspondence(a, np.stack([behind, out]))
    assert not visible[:, mask].any()
    assert flow[:, 0, mask].min() > 5, "a hidden point still has a place"
    back, uncovered = renderer.correspondence(out, a)
    assert (back == 0).all()
    assert torch.equal(uncovered, ~mask), "background is hidden exactly where the body stands now"


def test_leading_axes_broadcast_and_do_not_matter():
    states, renderer = some_states("humanoid"), simulator("humanoid").renderer
    goal, others = states[0], states[1:].reshape(5, 1, -1)
    flow, visible = renderer.correspondence(goal, others)
    size = (renderer.height, renderer.width)
    assert flow.shape == (5, 1, 2, *size)
    assert visible.shape == (5, 1, *size)
    for row in range(5):
        one, seen = renderer.correspondence(goal, states[1 + row])
        assert torch.equal(one, flow[row, 0])
        assert torch.equal(seen, visible[row, 0])
    many = renderer.displacement(goal, np.repeat(states[1:], 30, axis=0))
    assert many.shape == (150,)
    assert torch.equal(many[::30], renderer.displacement(goal, states[1:]))
    pairs, _ = renderer.correspondence(states[:3], states[3:])
    assert torch.equal(pairs[1], renderer.correspondence(states[1], states[4])[0])
    body = flow.norm(dim=2) > 0
    mean = flow.norm(dim=2).sum((-2, -1)) / body.sum((-2, -1))
    assert torch.allclose(mean[:, 0], renderer.displacement(goal, states[1:]), rtol=1e-3)
    squares = flow.square().sum(dim=2).sum((-2, -1)) / body.sum((-2, -1))
    assert torch.allclose(squares[:, 0], renderer.displacement(goal, states[1:], power=2), rtol=1e-3)


def test_a_state_without_a_image_has_no_flow_and_harms_no_other():
    states, renderer = some_states("ant"), simulator("ant").renderer
    broken = states.copy()
    broken[1] = np.nan
    flow, visible = renderer.correspondence(states[5], broken)
    assert flow[1].isnan().all()
    assert not visible[1].any()
    assert flow[[0, 2, 3, 4, 5]].isfinite().all()
    assert renderer.displacement(states[5], broken).isnan().tolist() == [i == 1 for i in range(6)]
    assert renderer.displacement(broken[1], states).isnan().all()
    with pytest.raises(ValueError, match="expected integration states"):
        renderer.correspondence(states[:, :-1], states[:, :-1])
