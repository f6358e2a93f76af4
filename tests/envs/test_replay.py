"""Snapshot, step, restore, replay: the same states and the same images, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from corrwise.envs import TASKS, Fleet, VisualTask
from corrwise.envs.arrays import to_uint8
from tests.envs.worlds import SIZE, simulator


def _moves(action_dim: int, steps: int, seed: int = 0) -> torch.Tensor:
    """Actions of many steps in a row, pushed to the bounds so that bodies fall and touch the ground."""
    return (2 * torch.randn(steps, action_dim, generator=torch.Generator().manual_seed(seed))).clamp(-1, 1)


@pytest.mark.parametrize("name", TASKS)
def test_visual_task_replays_exactly(name):
    env = VisualTask(name, size=SIZE)
    env.reset(seed=1)
    moves = _moves(*env.action_space.shape, 60).numpy()
    for action in moves[:20]:
        env.step(action)
    kept = env.snapshot()
    first = [_state_and_image(env, action) for action in moves[20:]]
    here = env.restore(kept)
    assert np.array_equal(here["observation"], to_uint8(env.simulator.render(kept)))
    assert np.array_equal(env.snapshot(), kept)
    for action, (state, image) in zip(moves[20:], first, strict=True):
        again = _state_and_image(env, action)
        assert np.array_equal(again[0], state)
        assert np.array_equal(again[1], image)


def test_a_snapshot_is_a_copy_both_ways():
    env = VisualTask("cartpole", size=SIZE)
    env.reset(seed=0)
    taken = env.snapshot()
    original = taken.copy()
    taken[:] = 0
    assert np.array_equal(env.snapshot(), original)
    given = original.copy()
    env.restore(given)
    given[:] = 0
    assert np.array_equal(env.snapshot(), original)


@pytest.mark.parametrize("name", TASKS)
def test_fleet_replays_exactly(name):
    fleet = Fleet(simulator(name), context_frames=2)
    fleet.reset([0, 1])
    moves = _moves(fleet.simulator.physics.action_dim, 40)[:, None].expand(-1, 2, -1)
    for action in moves[:20]:
        fleet.step(action)
    kept = fleet.snapshot()
    first = [fleet.step(action) for action in moves[20:]]
    again = fleet.restore(kept)
    assert torch.equal(again.frames[:, 0], again.frames[:, 1]), "the context begins anew"
    for action, before in zip(moves[20:], first, strict=True):
        context = fleet.step(action)
        assert np.array_equal(context.state, before.state)
        assert torch.equal(context.frames[:, -1], before.frames[:, -1])


def _state_and_image(env: VisualTask, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    observation, *_ = env.step(action)
    return env.snapshot(), observation["observation"]
