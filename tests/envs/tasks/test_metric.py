"""State distances in metres and radians, against values worked out by hand."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from corrwise.envs import TASKS
from corrwise.envs.tasks.metric import integration_size, position_difference, split_state, state_distance
from tests.envs.worlds import simulator, some_states, state_of

_BODY = '<mujoco><worldbody><body>{}<geom size="0.1" mass="1"/></body></worldbody></mujoco>'


def _model(joint: str) -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(_BODY.format(joint))


def _difference(joint: str, a: list[float], b: list[float]) -> np.ndarray:
    return position_difference(_model(joint), np.array(a, dtype=float), np.array(b, dtype=float))


def test_an_unlimited_hinge_is_wrapped():
    assert _difference('<joint axis="0 1 0"/>', [np.pi - 0.1], [-np.pi + 0.1]) == pytest.approx([-0.2])
    assert _difference('<joint axis="0 1 0"/>', [-np.pi + 0.1], [np.pi - 0.1]) == pytest.approx([0.2])
    assert _difference('<joint axis="0 1 0"/>', [0.3 + 10 * np.pi], [0.0]) == pytest.approx([0.3])


def test_a_limited_hinge_is_not_wrapped():
    joint = '<joint axis="0 1 0" limited="true" range="-180 180"/>'
    assert _difference(joint, [np.pi - 0.1], [-np.pi + 0.1]) == pytest.approx([2 * np.pi - 0.2])


def test_a_slide_counts_metres():
    assert _difference('<joint type="slide" axis="1 0 0"/>', [7.5], [-1.0]) == pytest.approx([8.5])


@pytest.mark.parametrize(("joint", "skip"), [("<freejoint/>", 3), ('<joint type="ball"/>', 0)])
def test_an_orientation_counts_its_geodesic_angle(joint, skip):
    here, turned = [0.0] * skip, np.sqrt(0.5)
    identity, quarter = [*here, 1, 0, 0, 0], [*here, turned, 0, 0, turned]  # 90 degrees about z
    assert _difference(joint, quarter, identity)[skip:] == pytest.approx([0, 0, np.pi / 2])
    assert _difference(joint, identity, quarter)[skip:] == pytest.approx([0, 0, -np.pi / 2])
    for same in (quarter, [*here, -turned, 0, 0, -turned], [*here, 2 * turned, 0, 0, 2 * turned]):
        assert np.linalg.norm(_difference(joint, same, identity)) == pytest.approx(np.pi / 2)
        assert _difference(joint, same, quarter) == pytest.approx(0, abs=1e-12)
    half = [*here, 0, 0, 1, 0]  # 180 degrees: the farthest that two orientations can be
    assert np.linalg.norm(_difference(joint, half, identity)) == pytest.approx(np.pi)


def test_the_rotation_vector_takes_one_orientation_to_the_other():
    model, rng = _model("<freejoint/>"), np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.standard_normal((2, 7))
        mujoco.mj_normalizeQuat(model, a)
        mujoco.mj_normalizeQuat(model, b)
        turn = position_difference(model, a, b)[3:]
        quaternion, turned, reference = np.empty(4), np.empty(4), np.empty(6)
        mujoco.mju_axisAngle2Quat(quaternion, turn / np.linalg.norm(turn), np.linalg.norm(turn))
        mujoco.mju_mulQuat(turned, quaternion, b[3:])
        assert abs(turned @ a[3:]) == pytest.approx(1)
        mujoco.mj_differentiatePos(model, reference, 1.0, b, a)  # the same angle, its axis seen from the body
        assert np.linalg.norm(turn) == pytest.approx(np.linalg.norm(reference[3:]))


def test_a_free_body_adds_metres_and_radians():
    model = _model("<freejoint/>")
    here = state_of(model)
    there = state_of(
        model, lambda data: data.qpos.__setitem__(slice(0, 7), [3, 4, 0, np.sqrt(0.5), 0, 0, np.sqrt(0.5)])
    )
    assert state_distance(model, there, here) == pytest.approx(np.hypot(5, np.pi / 2))


def test_velocities_count_only_in_the_full_distance():
    model = _model('<joint type="slide" axis="1 0 0"/>')
    here = state_of(model)
    there = state_of(model, lambda data: (data.qpos.fill(3.0), data.qvel.fill(40.0)))
    assert state_distance(model, there, here) == pytest.approx(3.0)
    assert state_distance(model, there, here, velocity_weight=0.1) == pytest.approx(5.0)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("full", [False, True])
def test_distance_is_zero_for_equal_states_symmetric_and_vectorised(name, full):
    states, world = some_states(name), simulator(name)
    assert world.state_distance(states, states, full=full) == pytest.approx(0, abs=1e-7)
    table = world.state_distance(states[:, None], states[None], full=full)
    assert table.shape == (6, 6)
    assert np.allclose(table, table.T, atol=1e-7)
    assert (table[~np.eye(6, dtype=bool)] > 0).all()
    assert table[0, 3] == world.state_distance(states[0], states[3], full=full)
    if full:
        assert (table >= world.state_distance(states[:, None], states[None])).all()


def test_a_state_begins_with_time_positions_and_velocities():
    model = simulator("ant").model
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = np.arange(1.0, 1 + model.nq), -np.arange(1.0, 1 + model.nv)
    expected = data.qpos.copy(), data.qvel.copy()
    state = np.empty(integration_size(model))
    mujoco.mj_getState(model, data, state, int(mujoco.mjtState.mjSTATE_INTEGRATION))
    for part, value in zip(split_state(model, state), expected, strict=True):
        assert np.array_equal(part, value)
