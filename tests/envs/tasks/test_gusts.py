"""Gusts act on environments and on nothing else, and depend on seed and time alone."""

from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

from corrwise.envs import TASKS, Fleet, VectorVisualTask, VisualTask
from corrwise.envs.tasks.cartpole import EDGE, RIGHT, SHELTER
from corrwise.envs.tasks.gusts import Gusts
from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.runs.collect import acted
from tests.envs.worlds import SIZE, simulator

GUSTS = "cartpole-gusts"
STEPS = 12


def places(states):
    return states[..., 1]


def begun(seeds, *, at=1.0):
    """A fleet whose carts stand at a place, at rest."""
    fleet = Fleet(simulator(GUSTS))
    fleet.reset(seeds)
    states = fleet.snapshot()
    states[:, 1] = at
    fleet.begin(states, fleet.goal_states, seeds)
    return fleet


def track(fleet, steps=STEPS, action=0.0):
    return np.stack(
        [fleet.step(torch.full((len(fleet.snapshot()), 1), action)).state.copy() for _ in range(steps)], axis=1
    )


def test_environments_meet_gusts_and_rollouts_do_not():
    fleet = begun([1, 2])
    start, idle = fleet.snapshot(), torch.zeros(2, 1, STEPS, 1)
    calm = fleet.simulator.states(start, idle, range(STEPS))[:, 0]
    windy = track(fleet)
    assert np.ptp(places(calm)) < 1e-9
    assert (np.abs(places(windy)[:, 3] - 1.0) > 1e-3).all()
    assert not np.allclose(windy[0], windy[1]), "each seed has its own"
    forces = np.stack([TASKS[GUSTS].gusts.of_episode(fleet.simulator.model, seed, range(STEPS)) for seed in (1, 2)])
    assert np.array_equal(fleet.simulator.states(start, idle, range(STEPS), forces[:, None])[:, 0], windy)


def test_a_state_holds_no_gust():
    windy = begun([1])
    after = windy.step(torch.zeros(1, 1)).state
    model = windy.simulator.model
    assert not np.allclose(after[0, 1 + model.nq], 0), "the gust left a velocity"
    again = windy.simulator.states(after, torch.zeros(1, 1, 1, 1), [0])[0, 0, 0]
    assert again[1 + model.nq] == pytest.approx(after[0, 1 + model.nq], rel=1e-3), "and no force"


def test_the_shelter_is_calm():
    fleet = begun([1, 2], at=SHELTER - 0.05)
    assert np.ptp(places(track(fleet))) < 1e-9


def test_beyond_the_edge_no_action_helps():
    fleet = begun([3], at=EDGE + 0.15)
    assert places(track(fleet, 20, action=-1.0))[0, -1] > RIGHT - 0.3


def test_an_episode_that_continues_meets_the_same_gusts():
    fleet = begun([5, 6])
    first = track(fleet, 4)
    kept = fleet.snapshot()
    then = track(fleet, 4)
    fleet.restore(kept)
    assert np.array_equal(track(fleet, 4), then)
    other = Fleet(simulator(GUSTS))
    other.begin(kept, fleet.goal_states, [5, 6])
    assert np.array_equal(track(other, 4), then)
    assert first.shape == then.shape
    alone = begun([6])
    assert np.array_equal(track(alone, 4), first[1:])


def test_episodes_without_seeds_are_refused():
    fleet = begun([5])
    fleet.begin(fleet.snapshot(), fleet.goal_states)
    with pytest.raises(ValueError, match="cartpole-gusts has gusts: expected 1 seeds of episodes, got None"):
        fleet.step(torch.zeros(1, 1))


def driven(env, steps=20):
    return np.stack([env.step(np.ones(env.action_space.shape, np.float32)) and env.snapshot() for _ in range(steps)])


def test_gymnasium_environments_meet_the_gusts_of_their_seeds():
    env, envs = VisualTask(GUSTS, size=SIZE), VectorVisualTask(2, task=GUSTS, size=SIZE)
    env.reset(seed=7)
    one = driven(env)
    envs.reset(seed=6)
    assert np.array_equal(driven(envs)[:, 1], one)
    fleet = Fleet(simulator(GUSTS))
    fleet.reset([7])
    assert np.array_equal(track(fleet, 20, action=1.0)[0], one)
    env.reset()
    other = driven(env)
    env.reset(seed=7)
    env.reset()
    assert np.array_equal(driven(env), other), "episodes that follow are reproducible, too"
    calm = VisualTask(replace(TASKS[GUSTS], gusts=None), size=SIZE)
    calm.reset(seed=7)
    assert not np.array_equal(driven(calm), one)
    assert gymnasium.spec("corrwise/CartpoleGusts-v0") is not None


@pytest.mark.parametrize("behaviour", ["random", "coloured"])
def test_collected_clips_have_gusts(behaviour):
    config = CollectConfig(task=GUSTS, size=SIZE, steps=30, behaviours=(behaviour,), out="unused")
    world = simulator(GUSTS)
    clips = list(acted(config, world, range(6)))
    differ = []
    for clip in clips:
        actions = torch.from_numpy(clip.actions)[None, None]
        start, seed = clip.states[None, 0], clip.about["seed"]
        calm = world.states(start, actions, range(len(clip.actions)))[0, 0]
        forces = TASKS[GUSTS].gusts.of_episode(world.model, seed, range(len(clip.actions)))
        windy = world.states(start, actions, range(len(clip.actions)), forces[None, None])[0, 0]
        assert np.array_equal(windy, clip.states[1:])
        differ.append(not np.array_equal(calm, windy))
    assert any(differ)


def test_gusts_are_normal_and_of_mean_zero():
    gusts, model = Gusts("slider", force=30.0, beyond=0.0), simulator(GUSTS).model
    forces = gusts.of_episode(model, 3, range(2000))[:, 0]
    assert abs(forces.mean()) < 3 * 30 / 2000**0.5
    assert forces.std() == pytest.approx(30, rel=0.05)


def test_bad_gusts_and_forces_are_refused():
    with pytest.raises(ValueError, match="force must be zero or above, got -1"):
        Gusts("slider", force=-1.0, beyond=0.0)
    world = simulator(GUSTS)
    state = begun([1]).snapshot()
    with pytest.raises(ValueError, match=r"expected forces \(1, 1, 3, 1\), got \(1, 1, 3, 2\)"):
        world.states(state, torch.zeros(1, 1, 3, 1), [2], np.zeros((1, 1, 3, 2)))
