"""Batched physics equals a plain MuJoCo loop to the bit, and a broken candidate stays alone."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch

from corrwise.envs import TASKS
from corrwise.envs.physics import Physics
from corrwise.testing import plain_steps
from tests.envs.worlds import simulator, some_states


def _actions(physics: Physics, *shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2.4 * torch.rand(*shape, physics.action_dim, generator=generator) - 1.2  # some beyond the bounds


@pytest.mark.parametrize("name", TASKS)
def test_equals_a_plain_mujoco_loop(name):
    physics, states = simulator(name).physics, some_states(name)
    actions = _actions(physics, 6, 2, 4)
    steps = physics.states(states, actions, range(4))
    for row in range(6):
        for candidate in range(2):
            controls = physics.controls(actions[row, candidate].numpy())
            reference = plain_steps(physics.model, states[row], controls, physics.frame_skip)
            assert np.array_equal(steps[row, candidate], reference)


@pytest.mark.parametrize("name", TASKS)
def test_threads_chunks_and_earlier_calls_change_nothing(name):
    physics, states = simulator(name).physics, some_states(name)
    actions = _actions(physics, 6, 5, 3)
    reference = physics.states(states, actions, [0, 2])
    for threads, chunk in ((1, 1024), (2, 1024), (2, 7), (1, 1)):
        other = Physics(physics.model, physics.frame_skip, threads=threads, chunk=chunk)
        assert np.array_equal(other.states(states, actions, [0, 2]), reference)
        assert np.array_equal(other.states(states[::-1].copy(), actions.flip(0), [0, 2])[::-1], reference)


def test_steps_come_in_the_order_asked_for():
    physics, states = simulator("humanoid").physics, some_states("humanoid")[:2]
    actions = _actions(physics, 2, 3, 4)
    every = physics.states(states, actions, range(4))
    assert np.array_equal(physics.states(states, actions, [3, 0, 3]), every[:, :, [3, 0, 3]])
    assert physics.states(states, actions, []).shape == (2, 3, 0, states.shape[1])
    assert physics.states(states, actions[:, :0], [1]).shape == (2, 0, 1, states.shape[1])


def test_a_replay_from_any_step_is_exact():
    physics, states = simulator("humanoid").physics, some_states("humanoid")[:1]
    actions = _actions(physics, 1, 1, 60)
    whole = physics.states(states, actions, range(60))[0, 0]
    assert _contacts(physics, whole).max() > 4, "the humanoid should be lying on the ground in this test"
    for cut in (1, 30, 55):
        assert np.array_equal(
            physics.states(whole[None, cut - 1], actions[:, :, cut:], range(60 - cut))[0, 0], whole[cut:]
        )


@pytest.mark.parametrize("name", TASKS)
def test_a_candidate_that_diverges_gives_nan_and_leaves_its_neighbours_alone(name, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    physics, states = simulator(name).physics, some_states(name)[:4]
    actions = _actions(physics, 4, 2, 3)
    clean = physics.states(states, actions, range(3))
    poisoned = states.copy()
    poisoned[1, 1 + physics.model.nq] = 1e12  # a velocity that no integrator survives
    poisoned[2, 0] = np.nan  # the time: MuJoCo itself would not mind
    shown = physics.states(poisoned, actions, range(3))
    assert np.isnan(shown[[1, 2]]).all()
    assert np.array_equal(shown[[0, 3]], clean[[0, 3]])
    assert np.array_equal(physics.states(states, actions, range(3)), clean), "a broken simulation left a trace"
    assert capfd.readouterr() == ("", "")
    assert not list(Path(tmp_path).iterdir())


@pytest.mark.parametrize("name", TASKS)
def test_a_simulation_that_explodes_on_its_way_is_nan_from_then_on(name, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    physics, states = simulator(name).physics, some_states(name)[:2]
    states[1, physics.model.nq + physics.model.nv] = (
        9e9  # the last joint's velocity: accepted by MuJoCo's first check, not by a later one
    )
    after = physics.states(states, _actions(physics, 2, 1, 8), range(8))
    good = np.isfinite(after[1, 0]).all(axis=1)
    assert not good[-1]
    assert (np.diff(good.astype(int)) <= 0).all(), "a diverged simulation came back"
    assert np.isfinite(after[0]).all()
    assert capfd.readouterr() == ("", "")
    assert not list(Path(tmp_path).iterdir())


def test_a_nan_action_is_no_action_of_zero(capfd):
    physics, states = simulator("cartpole").physics, some_states("cartpole")[:1]
    actions = _actions(physics, 1, 2, 4)
    clean = physics.states(states, actions, range(4))
    actions[0, 1, 1] = torch.nan
    shown = physics.states(states, actions, range(4))
    assert np.array_equal(shown[0, 0], clean[0, 0])
    assert np.array_equal(shown[0, 1, :1], clean[0, 1, :1])
    assert np.isnan(shown[0, 1, 1:]).all()
    assert capfd.readouterr() == ("", "")


def test_bad_input_is_refused_with_both_values(unhooked):
    physics, states = simulator("cartpole").physics, some_states("cartpole")[:2]
    size = states.shape[1]
    actions = _actions(physics, 2, 3, 4)
    for state, action, steps, message in (
        (states[:, :-1], actions, [0], rf"expected states \(2, {size}\), got \(2, {size - 1}\)"),
        (states[:1], actions, [0], rf"expected states \(2, {size}\), got \(1, {size}\)"),
        (states, actions.expand(-1, -1, -1, 2), [0], r"expected actions \(B, N, H, 1\), got \(2, 3, 4, 2\)"),
        (states, actions[0], [0], r"expected actions \(B, N, H, 1\), got \(3, 4, 1\)"),
        (states, actions, [4], r"0 to 3 \(the horizon is 4\), got \[4\]"),
        (states, actions, [0, -1], r"0 to 3 \(the horizon is 4\), got \[0, -1\]"),
    ):
        with pytest.raises(ValueError, match=message):
            physics.states(state, action, steps)


def _contacts(physics: Physics, states: np.ndarray) -> np.ndarray:
    data = mujoco.MjData(physics.model)
    counts = []
    for state in states:
        mujoco.mj_setState(physics.model, data, state, int(mujoco.mjtState.mjSTATE_INTEGRATION))
        mujoco.mj_forward(physics.model, data)
        counts.append(data.ncon)
    return np.array(counts)
