"""The same rewards for vector environments of Gymnasium and Stable-Baselines3, one distance call a step."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecFrameStack, VecMonitor, VecTransposeImage

from corrwise.costs import PerView, l1
from corrwise.envs import (
    ImageGoalReward,
    RenderToInfo,
    VecImageGoalReward,
    VectorImageGoalReward,
    VectorVisualTask,
    VisualTask,
)
from corrwise.envs.rewards.scorer import FORMS
from corrwise.types import Views
from tests.envs.rewards.worlds import Walk, columns, cost

LENGTHS = (2, 3, 5)
STEPS = 9


class Counted:
    """L1 that notes how many pairs each call has."""

    def __init__(self):
        self.calls = []

    def __call__(self, x, y):
        self.calls.append(len(x))
        return l1(x, y)


def _alone(length, steps, terminates=False, **options):
    """Return the rewards and costs of one copy, reset where an episode ends."""
    env = ImageGoalReward(Walk(length, terminates=terminates), l1, columns(8), **options)
    env.reset()
    out = []
    while len(out) < steps:
        _, reward, terminated, truncated, info = env.step(np.ones(1, np.float32))
        out.append((reward, info["goal_cost"]))
        if terminated or truncated:
            env.reset()
    return out


def _copies(wrap=RenderToInfo, **options):
    return [lambda length=length: wrap(Walk(length, **options)) for length in LENGTHS]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize(
    ("kind", "source"), [("state", "render"), ("image", "observation"), ("first", "observation"), ("dict", "pixels")]
)
def test_every_copy_is_rewarded_as_if_it_were_alone(mode, form, kind, source):
    wrap = RenderToInfo if source == "render" else lambda env: env
    distance = Counted()
    inner = SyncVectorEnv(_copies(wrap, kind=kind), autoreset_mode=mode)
    envs = VectorImageGoalReward(inner, distance, columns(8), form=form, source=source)
    _, infos = envs.reset(seed=0)
    assert infos["goal_cost"] == pytest.approx([cost(2)] * 3)
    got, before = [[], [], []], np.zeros(3, bool)
    for _ in range(STEPS):
        calls = len(distance.calls)
        _, rewards, terminations, truncations, infos = envs.step(np.ones((3, 1), np.float32))
        assert len(distance.calls) == calls + 1, "one call for each vector step"
        over = terminations | truncations
        for i in range(3):
            if before[i] and mode == AutoresetMode.NEXT_STEP:
                assert rewards[i] == 0
                assert infos["goal_cost"][i] == pytest.approx(cost(2))
            else:
                got[i].append((rewards[i], infos["goal_cost"][i]))
        assert infos["_goal_cost"].all()
        before = over
    for i, length in enumerate(LENGTHS):
        np.testing.assert_allclose(got[i], _alone(length, len(got[i]), form=form), atol=1e-6)


@pytest.mark.parametrize("terminates", [True, False])
@pytest.mark.parametrize("stable_baselines", [True, False])
def test_the_last_reward_of_an_episode_knows_how_it_ended(stable_baselines, terminates):
    how = {"form": "improvement", "gamma": 0.9, "added": True}
    copies = _copies(terminates=terminates)
    envs = (
        VecImageGoalReward(DummyVecEnv(copies), l1, columns(8), **how) if stable_baselines
        else VectorImageGoalReward(SyncVectorEnv(copies, autoreset_mode=AutoresetMode.SAME_STEP), l1, columns(8), **how)
    )  # fmt: skip
    envs.reset()
    rewards = np.array([envs.step(np.ones((3, 1), np.float32))[1] for _ in range(STEPS)])
    for i, length in enumerate(LENGTHS):
        alone = _alone(length, STEPS, terminates=terminates, **how)
        assert rewards[:, i] == pytest.approx([reward for reward, _ in alone], abs=1e-5)
        gain = 10 + cost(length + 1) - (0 if terminates else 0.9 * cost(length + 2))
        assert rewards[length - 1, i] == pytest.approx(gain, abs=1e-5)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_copies_in_processes_are_rewarded_alike(mode):
    envs = VectorImageGoalReward(AsyncVectorEnv(_copies(), autoreset_mode=mode), l1, columns(8))
    envs.reset()
    rewards = np.array([envs.step(np.ones((3, 1), np.float32))[1] for _ in range(3)])
    assert rewards[:2, 0] == pytest.approx([-cost(3), -cost(4)])
    assert rewards[2, 0] == pytest.approx(0 if mode == AutoresetMode.NEXT_STEP else -cost(3))
    envs.close()


class _Cards(Walk):
    """Observes what is no array."""

    def __init__(self, space):
        super().__init__()
        self.observation_space = space

    def _observe(self):
        return self.observation_space.sample()


@pytest.mark.parametrize(
    "space",
    [
        gymnasium.spaces.Tuple((gymnasium.spaces.Discrete(3), gymnasium.spaces.Discrete(3))),
        gymnasium.spaces.Dict(a=gymnasium.spaces.Dict(b=gymnasium.spaces.Box(0, 1, (2,)))),
        gymnasium.spaces.Discrete(3),
    ],
)
def test_observations_that_are_not_read_may_be_anything(space):
    copies = [lambda: RenderToInfo(_Cards(space))] * 4
    for envs in (
        VectorImageGoalReward(SyncVectorEnv(copies), l1, columns(8)),
        *([] if "b" in str(space) else [VecImageGoalReward(DummyVecEnv(copies), l1, columns(8))]),
    ):
        envs.reset()
        assert envs.step(np.ones((4, 1), np.float32))[1] == pytest.approx([-cost(3)] * 4)


def test_the_reset_infos_are_those_of_the_episodes_that_began():
    envs = VecImageGoalReward(DummyVecEnv([lambda: RenderToInfo(_Counts(2))]), l1, columns(8))
    envs.reset()
    for _ in range(5):
        envs.step(np.ones((1, 1), np.float32))
    assert envs.reset_infos[0]["episode"] == 2
    assert envs.reset_infos[0]["goal_cost"] == pytest.approx(cost(2))


class _Counts(Walk):
    def reset(self, **kwargs):
        observation, info = super().reset(**kwargs)
        return observation, {**info, "episode": self.episode}


def test_hindsight_over_all_copies_is_refused():
    envs = VecImageGoalReward(DummyVecEnv(_copies()), l1, columns(8))
    envs.reset()
    assert envs.env_method("render")[0].shape == (16, 16, 3)
    with pytest.raises(ValueError, match="hindsight replay reads the rewards of the copies"):
        envs.env_method("compute_reward", None, None, None)


def test_some_copies_may_be_reset():
    inner = SyncVectorEnv(_copies(), autoreset_mode=AutoresetMode.DISABLED)
    envs = VectorImageGoalReward(inner, l1, columns(8), form="improvement", gamma=1)
    envs.reset()
    right = np.ones((3, 1), np.float32)
    envs.step(right)
    envs.step(right)
    envs.reset(options={"reset_mask": np.array([True, False, False])})
    rewards = envs.step(right)[1]
    assert rewards == pytest.approx([cost(2) - cost(3), cost(4) - cost(5), cost(4) - cost(5)])


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_each_episode_has_its_own_goal_to_its_end(mode):
    envs = VectorImageGoalReward(
        SyncVectorEnv(_copies(kind="dict"), autoreset_mode=mode), l1, goal_key="wanted", source="pixels"
    )
    envs.reset()
    rewards = np.array([envs.step(np.ones((3, 1), np.float32))[1] for _ in range(4)])
    assert rewards[:2, 0] == pytest.approx([-cost(3, 8), -cost(4, 8)])
    assert rewards[-1, 0] == pytest.approx(-cost(3, 9) if mode == AutoresetMode.NEXT_STEP else -cost(4, 9))


@pytest.mark.parametrize(
    ("form", "kind", "source"),
    [(form, "state", "render") for form in FORMS]
    + [("improvement", "image", "observation"), ("improvement", "dict", "pixels")],
)
def test_stable_baselines_copies_are_rewarded_as_if_they_were_alone(form, kind, source):
    wrap = RenderToInfo if source == "render" else lambda env: env
    _as_if_alone(DummyVecEnv(_copies(wrap, kind=kind)), form=form, source=source)


def test_stable_baselines_copies_in_processes_need_no_own_reward():
    _as_if_alone(SubprocVecEnv(_copies(lambda env: RenderToInfo(Unrewarded(env)))[:2]), form="improvement")


class Unrewarded(gymnasium.Wrapper):
    """An environment without a reward."""

    def step(self, action):
        observation, _, *rest = self.env.step(action)
        return observation, None, *rest


def _as_if_alone(inner, *, form, source="render"):
    distance = Counted()
    envs = VecImageGoalReward(inner, distance, columns(8), form=form, source=source)
    envs.reset()
    assert [info["goal_cost"] for info in envs.reset_infos] == pytest.approx([cost(2)] * envs.num_envs)
    rows = [envs.step(np.ones((envs.num_envs, 1), np.float32)) for _ in range(STEPS)]
    assert len(distance.calls) == STEPS + 1
    for i, length in enumerate(LENGTHS[: envs.num_envs]):
        got = [(rewards[i], infos[i]["goal_cost"]) for _, rewards, _, infos in rows]
        np.testing.assert_allclose(got, _alone(length, STEPS, form=form), atol=1e-6)
    envs.close()


def test_stable_baselines_wrappers_go_below_and_above():
    inner = VecTransposeImage(VecFrameStack(DummyVecEnv(_copies(lambda env: env, kind="image")), 4))
    envs = VecMonitor(VecImageGoalReward(inner, l1, columns(8), source="observation"))
    envs.reset()
    rewards = np.array([envs.step(np.ones((3, 1), np.float32))[1] for _ in range(STEPS)])
    for i, length in enumerate(LENGTHS):
        assert rewards[:, i] == pytest.approx([reward for reward, _ in _alone(length, STEPS)], abs=1e-6)


def test_an_agent_learns_from_it_unmodified():
    from stable_baselines3 import SAC

    envs = VecImageGoalReward(make_vec_env(Walk, 2, wrapper_class=RenderToInfo), l1, columns(8))
    SAC("MlpPolicy", envs, learning_starts=4, batch_size=4, policy_kwargs={"net_arch": [8]}).learn(8)


def test_what_is_missing_is_one_sentence():
    plain = [lambda: Walk()]
    with pytest.raises(ValueError, match="wrap each copy in RenderToInfo"):
        VectorImageGoalReward(SyncVectorEnv(plain), l1, columns(8)).reset()
    with pytest.raises(ValueError, match="wrap each copy in RenderToInfo"):
        VecImageGoalReward(DummyVecEnv(plain), l1, columns(8)).reset()
    with pytest.raises(TypeError, match="expected a VecEnv of Stable-Baselines3, got SyncVectorEnv"):
        VecImageGoalReward(SyncVectorEnv(plain), l1, columns(8))
    with pytest.raises(ValueError, match="renders no images: make it with render_mode='rgb_array'"):
        RenderToInfo(Walk(render_mode=None))
    with pytest.raises(ValueError, match="no source 'rgb'; there are pixels, wanted"):
        VecImageGoalReward(DummyVecEnv(_copies(kind="dict")), l1, columns(8), source="rgb")
    with pytest.raises(TypeError, match="expected a vector environment of Gymnasium, got DummyVecEnv"):
        VectorImageGoalReward(DummyVecEnv(plain), l1, columns(8))
    small, size = np.zeros((20, 20, 3), np.uint8), "the goal is 20 x 20 pixels"
    with pytest.raises(ValueError, match=size):
        VectorImageGoalReward(SyncVectorEnv(_copies(kind="dict")), l1, small, source="pixels")
    with pytest.raises(ValueError, match=size):
        VecImageGoalReward(DummyVecEnv(_copies()), l1, small).reset()
    silent = SyncVectorEnv(_copies())
    silent.metadata = {}
    with pytest.raises(ValueError, match="expected metadata"):
        VectorImageGoalReward(silent, l1, columns(8))


class _Lines(Walk):
    def render(self):
        return "text"


def test_what_renders_no_image_is_refused():
    with pytest.raises(ValueError, match="expected render\\(\\) to return a uint8 image \\(H, W, 3\\), got str"):
        gymnasium.Wrapper(RenderToInfo(_Lines())).reset()


def test_views_are_read_from_the_observation_as_the_distance_asks(unhooked):
    views = PerView(l1, Views(2))
    options = {"task": "ant", "size": 16, "cameras": ("main", "side")}
    keys = {"source": "observation", "goal_key": "desired_goal"}
    envs = VectorImageGoalReward(VectorVisualTask(2, **options), views, **keys)
    observations, infos = envs.reset(seed=3)
    gaps = np.abs(observations["observation"] / 255 - observations["desired_goal"] / 255).mean(axis=(1, 2, 3))
    assert infos["goal_cost"] == pytest.approx(gaps, rel=1e-4)
    one = ImageGoalReward(VisualTask(**options), views, **keys)
    assert one.reset(seed=3)[1]["goal_cost"] == pytest.approx(gaps[0], rel=1e-4)
    last = ImageGoalReward(VisualTask(**options), l1, **keys)
    seen = np.abs(observations["observation"] / 255 - observations["desired_goal"] / 255)[0, ..., 3:].mean()
    assert last.reset(seed=3)[1]["goal_cost"] == pytest.approx(seen, rel=1e-4), "of a stack the newest counts"
    with pytest.raises(ValueError, match="expected source and goal_key, entries of the observation, for 2 views"):
        ImageGoalReward(VisualTask(**options, render_mode="rgb_array"), views, goal_key="desired_goal")
    with pytest.raises(
        ValueError, match=r"one of Views\(count=2, depth=True\); for depth use VisualTask\(distance=\.\.\.\)"
    ):
        ImageGoalReward(VisualTask(**options), PerView(l1, Views(2, depth=True)), **keys)
