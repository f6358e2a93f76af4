"""The Gymnasium side: the checkers of Gymnasium and Stable-Baselines3, rewards, and what a user gets for bad input."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from corrwise.costs import CorrespondenceWise, PerView, l1
from corrwise.costs.flow import AllPairsFlow
from corrwise.envs import TASKS, VisualTask
from corrwise.types import Views
from tests.envs.worlds import near, shorter

SIZE = 36  # what Stable-Baselines3's smallest image network needs


def _squared(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (x - y).square().mean(dim=(-3, -2, -1))


@pytest.fixture
def env() -> VisualTask:
    env = VisualTask("cartpole", size=SIZE)
    env.reset(seed=0)
    return env


@pytest.mark.parametrize("name", TASKS)
def test_gymnasiums_checker_has_no_complaint(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        options = {"id": f"corrwise/{name.title().replace('-', '')}-v0", "size": SIZE, "render_mode": "rgb_array"}
        made = gymnasium.make(**options)
        check_env(gymnasium.make(**options, task=near(name)).unwrapped)  # resets often
    made.reset(seed=0)
    assert made.render().shape == (SIZE, SIZE, 3)


def test_every_registered_id_is_a_task():
    ids = {each for each in gymnasium.registry if each.startswith("corrwise/")}
    names = ("Cartpole", "CartpoleShort", "CartpoleGusts", "Ant", "Humanoid")
    assert ids == {f"corrwise/{name}-v0" for name in names}


def test_an_agent_with_hindsight_learns_a_step():
    from stable_baselines3 import SAC, HerReplayBuffer
    from stable_baselines3.common.env_checker import check_env as check_sb3

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="We detected your env to be a GoalEnv")
        check_sb3(VisualTask("cartpole", size=SIZE))
    asked = []

    def noted(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        asked.append(x.shape)
        return _squared(x, y)

    env = VisualTask(shorter(TASKS["cartpole"], 10), size=SIZE, distance=noted)
    network = {"net_arch": [8], "features_extractor_kwargs": {"cnn_output_dim": 8}}
    agent = SAC(
        "MultiInputPolicy", env, replay_buffer_class=HerReplayBuffer, buffer_size=100, learning_starts=22, batch_size=8,
        policy_kwargs=network, seed=0,
    )  # fmt: skip
    agent.learn(25)
    assert {tuple(shape) for shape in asked if len(shape) == 4} <= {(n, 3, SIZE, SIZE) for n in range(1, 9)}
    assert any(len(shape) == 4 for shape in asked), "no reward was relabelled"


def test_rewards_of_many_pairs_equal_those_of_one(env):
    images = [env.reset(seed=seed)[0] for seed in range(3)]
    achieved = np.stack([each["achieved_goal"] for each in images])
    desired = np.stack([each["desired_goal"] for each in images])
    for distance in (None, _squared):
        env.distance = distance
        one = [env.compute_reward(a, d, {}) for a, d in zip(achieved, desired, strict=True)]
        assert all(np.ndim(each) == 0 and each < 0 for each in one)
        last = env.compute_reward(achieved, desired, [{}] * 3)
        first = env.compute_reward(achieved.transpose(0, 3, 1, 2), desired.transpose(0, 3, 1, 2), [{}] * 3)
        for rewards in (last, first):
            assert rewards.shape == (3,)
            assert rewards.dtype == np.float32
            assert rewards == pytest.approx(one, rel=1e-5)
        assert env.compute_reward(achieved, achieved, [{}] * 3) == pytest.approx(0)


def test_the_reward_is_minus_the_distance_of_what_is_seen_to_the_goal(env):
    observation, reward, *_ = env.step(np.zeros(1))
    gap = observation["achieved_goal"].astype(float) - observation["desired_goal"]
    assert reward == pytest.approx(-np.abs(gap).mean() / 255, rel=1e-5)
    assert type(reward) is float
    other = VisualTask("cartpole", size=SIZE, distance=_squared)
    other.reset(seed=0)
    assert other.step(np.zeros(1))[1] == pytest.approx(-np.square(gap / 255).mean(), rel=1e-5)


def test_an_episode_is_cut_after_its_steps_and_never_ends_by_itself():
    env = VisualTask(shorter(TASKS["ant"], 5), size=SIZE)
    for seed in (0, None):
        env.reset(seed=seed)
        ends = [env.step(np.zeros(env.action_space.shape))[2:4] for _ in range(5)]
        assert ends == [(False, False)] * 4 + [(False, True)]


def test_an_episode_ends_when_the_physics_diverges(env):
    kept = env.snapshot()
    kept[3:5] = 9e9  # velocities that carry the bodies beyond MuJoCo's limit
    env.restore(kept)
    observation, reward, terminated, _, info = env.step(np.zeros(1))
    assert terminated
    assert info["diverged"]
    assert np.isfinite(reward)
    assert np.array_equal(env.snapshot(), kept), "it stays at the last good state"
    assert env.observation_space.contains(observation)


def test_the_same_seed_is_the_same_episode_and_another_is_not(env):
    first, again, other = (env.reset(seed=seed)[0] for seed in (3, 3, 4))
    assert all(np.array_equal(first[key], again[key]) for key in first)
    assert not np.array_equal(first["desired_goal"], other["desired_goal"])
    following = env.reset()[0]
    assert not np.array_equal(following["observation"], other["observation"])


def test_info_tells_the_true_distance_and_observations_do_not(env):
    observation, info = env.reset(seed=5)
    assert set(observation) == {"observation", "achieved_goal", "desired_goal"}
    assert all(each.dtype == np.uint8 for each in observation.values())
    assert info["state_distance"] == env.state_distance(env.snapshot(), env._goal_state)
    assert info["state_distance"] >= TASKS["cartpole"].goal.min_distance
    env.restore(env._goal_state)
    *_, info = env.step(np.zeros(1))
    assert info["state_distance"] < 1.5


def test_what_is_handed_out_is_the_users_own(env):
    observation, _ = env.reset(seed=5)
    goal = observation["desired_goal"].copy()
    for each in observation.values():
        each[:] = 0
    after, *_ = env.step(np.zeros(1))
    assert np.array_equal(after["desired_goal"], goal)
    assert after["observation"].any()


def test_render_mode():
    assert VisualTask("cartpole", size=SIZE).render() is None
    shown = VisualTask("cartpole", size=SIZE, render_mode="rgb_array")
    observation, _ = shown.reset(seed=0)
    assert np.array_equal(shown.render(), observation["observation"])
    assert shown.metadata["render_fps"] == 20
    with pytest.raises(ValueError, match="render_mode must be None or 'rgb_array', got 'human'"):
        VisualTask("cartpole", render_mode="human")


def test_an_unknown_task_lists_those_that_exist():
    with pytest.raises(ValueError, match="unknown task 'carpole'; there are cartpole, ant, humanoid"):
        VisualTask("carpole")


@pytest.mark.parametrize("action", [[np.nan], [np.inf], [0.0, 0.0], 0.0, [[0.0]], []])
def test_a_wrong_action_is_refused_and_changes_nothing(env, action):
    kept = env.snapshot()
    with pytest.raises(ValueError, match=r"expected a finite action \(1,\) in \[-1, 1\], got array\("):
        env.step(np.array(action))
    assert np.array_equal(env.snapshot(), kept)


def test_actions_beyond_the_bounds_count_as_the_bound(env):
    kept = env.snapshot()
    env.step(np.array([9.0]))
    beyond = env.snapshot()
    env.restore(kept)
    env.step(np.array([1.0]))
    assert np.array_equal(env.snapshot(), beyond)


@pytest.mark.parametrize(
    ("achieved", "desired", "message"),
    [
        (np.zeros((8, 8, 3)), np.zeros((8, 8, 3)), r"expected uint8 images .* got float64 \(8, 8, 3\)"),
        (np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8), r"expected uint8 images .* got uint8 \(8, 8\)"),
        (np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 4), np.uint8), r"got uint8 \(8, 8, 4\)"),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((9, 8, 3), np.uint8), r"one shape, got \(8, 8, 3\) and \(9, 8, 3\)"),
        (np.zeros((2, 8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8), r"got \(2, 8, 8, 3\) and \(8, 8, 3\)"),
    ],
)
def test_wrong_images_are_refused(env, achieved, desired, message, unhooked):
    with pytest.raises(ValueError, match=message):
        env.compute_reward(achieved, desired, {})


def test_a_distance_that_reduces_the_batch_is_refused(env):
    images = np.zeros((4, 8, 8, 3), np.uint8)
    env.distance = lambda x, y: (x - y).abs().mean()
    with pytest.raises(ValueError, match=r"one distance for each pair of images \(4,\), got \(\) from <function"):
        env.compute_reward(images, images, [{}] * 4)


def test_a_wrong_snapshot_is_refused(env):
    size = len(env.snapshot())
    for wrong in (env.snapshot()[:-1], env.snapshot()[None], env.snapshot() * np.nan):
        with pytest.raises(ValueError, match=rf"expected a snapshot \({size},\) of cartpole, all finite, got \("):
            env.restore(wrong)


def test_nothing_works_before_the_first_reset():
    fresh = VisualTask("cartpole", size=SIZE, render_mode="rgb_array")
    for call in (lambda: fresh.step(np.zeros(1)), fresh.snapshot, fresh.render):
        with pytest.raises(gymnasium.error.ResetNeeded, match=r"call reset\(\) first"):
            call()


@pytest.mark.parametrize("seed", [0.5, -1, "a"])
def test_a_wrong_seed_is_refused(env, seed, unhooked):
    with pytest.raises(gymnasium.error.Error, match=r"[Ss]eed must be"):
        env.reset(seed=seed)


@pytest.mark.parametrize("size", [3, 0, -5, 32.5, "64"])
def test_a_wrong_size_is_refused(size, unhooked):
    with pytest.raises(ValueError, match=f"size must be a whole number of at least 4 pixels, got {size!r}"):
        VisualTask("cartpole", size=size)


def test_numpy_integers_are_sizes():
    made = VisualTask("cartpole", size=np.int64(32))
    observation, _ = made.reset(seed=0)
    assert made.observation_space.contains(observation)
    assert observation["observation"].shape == (32, 32, 3)
    assert isinstance(made.simulator.renderer.height, int)


def test_supersample_smooths_the_images():
    plain, smooth = VisualTask("cartpole", size=SIZE), VisualTask("cartpole", size=SIZE, supersample=2)
    assert smooth.simulator.renderer.supersample == 2
    images = [each.reset(seed=0)[0]["observation"] for each in (plain, smooth)]
    assert not np.array_equal(*images)
    with pytest.raises(ValueError, match="supersample must be at least 1"):
        VisualTask("cartpole", size=SIZE, supersample=0)


def test_threads_change_no_image():
    one, all_cores = VisualTask("cartpole", size=16, threads=1), VisualTask("cartpole", size=16)
    for env in (one, all_cores):
        env.reset(seed=3)
    action = np.full(1, 0.7, np.float32)
    (seen, *_), (expected, *_) = one.step(action), all_cores.step(action)
    assert all(np.array_equal(seen[name], expected[name]) for name in expected)


def test_the_distance_of_the_reward_may_be_named():
    images = [np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), np.uint8) for seed in (0, 1)]
    plain, doubled = (VisualTask("cartpole", size=SIZE, distance=each) for each in (None, "corr-l1:flow=zero"))
    assert doubled.compute_reward(*images, {}) == pytest.approx(2 * plain.compute_reward(*images, {}))


def test_a_named_distance_compares_view_by_view():
    images = [np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 6), np.uint8) for seed in (0, 1)]
    named, made = (
        VisualTask("ant", size=SIZE, cameras=("main", "side"), distance=each)
        for each in ("corr-l1:flow=all-pairs", PerView(CorrespondenceWise(l1, AllPairsFlow()), Views(2)))
    )
    assert named.compute_reward(*images, {}) == made.compute_reward(*images, {})
