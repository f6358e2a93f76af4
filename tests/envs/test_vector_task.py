"""Copies in one vector environment are what single environments are, bit for bit."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from corrwise.costs import l1
from corrwise.envs import TASKS, VectorImageGoalReward, VectorVisualTask, VisualTask
from tests.envs.worlds import shorter

N = 3


def _actions(space, steps):
    space.seed(0)
    return [space.sample() for _ in range(steps)]


def _same(one, two):
    assert one.keys() == two.keys()
    for name in one:
        if isinstance(one[name], dict):
            _same(one[name], two[name])
        elif one[name].dtype == object:
            for a, b in zip(one[name], two[name], strict=True):
                assert (a is None) == (b is None)
                if a is not None:
                    _same(a, b)
        else:
            np.testing.assert_array_equal(one[name], two[name], err_msg=name)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("task", TASKS)
def test_it_is_what_single_environments_are(task, mode):
    near = replace(TASKS[task], goal=replace(TASKS[task].goal, min_distance=0.1))
    short = shorter(near, 6)
    sync = SyncVectorEnv([lambda: VisualTask(short, size=16)] * N, autoreset_mode=mode)
    ours = VectorVisualTask(N, task=short, size=16, autoreset_mode=mode)
    assert ours.observation_space == sync.observation_space
    assert ours.action_space == sync.action_space
    for one, two in zip(ours.reset(seed=5), sync.reset(seed=5), strict=True):
        _same(one, two)
    for action in _actions(sync.action_space, 2 * short.episode_steps + 3):
        one, two = ours.step(action), sync.step(action)
        _same(one[0], two[0])
        _same(one[4], two[4])
        for values, expected in zip(one[1:4], two[1:4], strict=True):
            np.testing.assert_array_equal(values, expected)
    for one, two in zip(ours.reset(), sync.reset(), strict=True):
        _same(one, two)


def test_gymnasium_makes_it_and_its_wrappers_take_it():
    envs = gymnasium.make_vec("corrwise/Cartpole-v0", num_envs=2, size=16, render_mode="rgb_array")
    assert isinstance(envs.unwrapped, VectorVisualTask)
    assert envs.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    rewarded = VectorImageGoalReward(envs, l1, goal_key="desired_goal", source="observation")
    observation, _ = rewarded.reset(seed=0)
    again, rewards, _, _, infos = rewarded.step(np.zeros((2, 1), np.float32))
    assert rewards == pytest.approx(-infos["goal_cost"])
    own = envs.unwrapped._one.compute_reward(again["achieved_goal"], again["desired_goal"], {})
    assert rewards == pytest.approx(own, abs=1e-6), "L1 is what a task's own reward is made of"
    np.testing.assert_array_equal(np.stack(envs.render()), again["observation"])
    assert observation["observation"].shape == (2, 16, 16, 3)


def test_some_copies_may_be_reset_and_the_others_stay():
    near = replace(TASKS["cartpole"], goal=replace(TASKS["cartpole"].goal, min_distance=0.1))
    envs = VectorVisualTask(N, task=shorter(near, 3), size=16, autoreset_mode="Disabled")
    envs.reset(seed=0)
    still = np.zeros((N, 1), np.float32)
    for _ in range(3):
        *_, truncations, _ = envs.step(still)
    assert truncations.all()
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset"):
        envs.step(still)
    before = envs.snapshot()
    _, infos = envs.reset(options={"reset_mask": np.array([True, False, True])})
    assert infos["_state_distance"].tolist() == [True, False, True]
    assert (envs.snapshot() == before).all(axis=1).tolist() == [False, True, False]


@pytest.mark.parametrize("mask", [np.array([0, 2]), [True, False, True], np.ones(5, bool), np.zeros(N, bool)])
def test_a_mask_is_a_truth_value_for_each_copy(mask):
    envs = VectorVisualTask(N, task="cartpole", size=16)
    envs.reset(seed=[3, None, 4])
    with pytest.raises(ValueError, match="expected reset_mask to be a bool array"):
        envs.reset(options={"reset_mask": mask})


def test_seeds_may_be_listed_and_episodes_cut_short():
    envs = gymnasium.make_vec("corrwise/Cartpole-v0", num_envs=2, size=16, max_episode_steps=2)
    single = VisualTask("cartpole", size=16)
    envs.reset(seed=(7, 5))
    for row, seed in enumerate((7, 5)):
        single.reset(seed=seed)
        np.testing.assert_array_equal(envs.unwrapped.snapshot()[row], single.snapshot())
    ends = [envs.step(np.zeros((2, 1), np.float32))[3].tolist() for _ in range(3)]
    assert ends == [[False, False], [True, True], [False, False]]


def test_seeds_and_generators_follow_gymnasium():
    made, same = (
        VectorVisualTask(2, task="cartpole", size=16),
        SyncVectorEnv([lambda: VisualTask("cartpole", size=16)] * 2),
    )
    for envs in (made, same):
        envs.reset(seed=[7, 3])
    assert made.np_random_seed == same.np_random_seed == (7, 3)
    assert [each.random() for each in made.np_random] == [each.random() for each in same.np_random]


def test_a_copy_that_diverges_terminates_alone(monkeypatch):
    envs = VectorVisualTask(2, task="cartpole", size=16)
    envs.reset(seed=0)
    good, states = envs.snapshot(), envs.simulator.states

    def broken(*args):
        after = states(*args)
        after[0] = np.nan
        return after

    monkeypatch.setattr(envs.simulator, "states", broken)
    _, _, terminations, _, infos = envs.step(np.ones((2, 1), np.float32))
    assert terminations.tolist() == infos["diverged"].tolist() == [True, False]
    assert (envs.snapshot() == good).all(axis=1).tolist() == [True, False]


def test_bad_input_is_one_sentence():
    with pytest.raises(ValueError, match="num_envs must be at least 1, got 0"):
        VectorVisualTask(0, task="cartpole")
    with pytest.raises(ValueError, match="unknown task 'walker'"):
        VectorVisualTask(2, task="walker")
    envs = VectorVisualTask(2, task="cartpole", size=16, render_mode="rgb_array")
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset"):
        envs.step(np.zeros((2, 1), np.float32))
    for early in (envs.snapshot, envs.render):
        with pytest.raises(gymnasium.error.ResetNeeded, match=r"call reset\(\) first"):
            early()
    with pytest.raises(gymnasium.error.ResetNeeded, match="the first reset must be of all copies"):
        envs.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(ValueError, match="expected 2 seeds, got 3"):
        envs.reset(seed=[0, 1, 2])
    envs.reset(seed=[0, None])
    with pytest.raises(ValueError, match="expected finite actions \\(2, 1\\)"):
        envs.step(np.zeros((1, 1), np.float32))
    with pytest.raises(ValueError, match="expected finite actions"):
        envs.step(np.full((2, 1), np.nan, np.float32))
