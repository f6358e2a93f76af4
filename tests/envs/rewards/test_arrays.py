"""Environments return tensors, mappings and rewards in every form; the image reward stays the same."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv

from corrwise.costs import l1
from corrwise.envs import ImageGoalReward, RenderToInfo, VecImageGoalReward, VectorImageGoalReward, VectorVisualTask
from corrwise.envs import VisualTask as Task
from tests.envs.rewards.worlds import Walk, columns, cost

N, STEPS = 3, 7
RIGHT = np.ones((N, 1), np.float32)


def tensors(value):
    """Return nested results as tensors."""
    if isinstance(value, dict):
        return {name: tensors(each) for name, each in value.items()}
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [each if each is None else tensors(each) for each in value]
    return torch.as_tensor(value, device="cpu").requires_grad_(value.dtype == np.float32)


def stacked(values):
    """Return one array for all copies, or a mapping of arrays; zeros where a copy has nothing."""
    some = next(each for each in values if each is not None)
    if isinstance(some, dict):
        return {name: stacked([each and each[name] for each in values]) for name in some}
    return np.stack([np.zeros_like(some) if each is None else each for each in values])


def one_each(infos):
    """Return one dictionary for each copy, None for those that say nothing."""
    names = [name for name in infos if not name.startswith("_")]
    return np.array(
        [{name: infos[name][i] for name in names if infos[f"_{name}"][i]} or None for i in range(N)], dtype=object
    )


def with_final(observation, info=lambda infos: infos):
    """Return a change of infos: what to do to final_obs and final_info."""
    return lambda infos: (
        {**infos, "final_obs": observation(infos["final_obs"]), "final_info": info(infos["final_info"])}
        if "final_obs" in infos else infos
    )  # fmt: skip


def without_masks(infos):
    return {name: value for name, value in infos.items() if not name.startswith("_")}


class Changed(gymnasium.vector.VectorWrapper):
    """Hands out what its environment does in another form."""

    def __init__(self, env, infos=lambda infos: infos, values=lambda values: values):
        super().__init__(env)
        self.change, self.values = infos, values

    def reset(self, **kwargs):
        observations, infos = self.env.reset(**kwargs)
        return self.values(observations), self.values(self.change(infos))

    def step(self, actions):
        *parts, infos = self.env.step(actions)
        return (*map(self.values, parts), self.values(self.change(infos)))


def rewards_of(envs):
    """Return the rewards of some steps, each an array of NumPy."""
    envs.reset(seed=0)
    rewards = [envs.step(RIGHT)[1] for _ in range(STEPS)]
    assert all(type(each) is np.ndarray and each.dtype == np.float64 for each in rewards)
    return np.array(rewards)


CHANGES = {
    "tensors": {"values": tensors},
    "final_obs as one array or a mapping of arrays": {"infos": with_final(stacked)},
    "final_obs as a list": {"infos": with_final(list)},
    "final_info as one dictionary for each copy": {"infos": with_final(stacked, one_each)},
    "tensors, final_obs as one tensor or a mapping of tensors": {"infos": with_final(stacked), "values": tensors},
    "infos without masks": {"infos": without_masks},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize(("kind", "source"), [("state", "render"), ("image", "observation"), ("dict", "pixels")])
def test_the_form_of_what_an_environment_returns_changes_no_reward(kind, source, mode, change):
    def made(**change):
        copies = [lambda length=length: RenderToInfo(Walk(length, kind=kind)) for length in (2, 3, 5)]
        envs = Changed(SyncVectorEnv(copies, autoreset_mode=mode), **change)
        return VectorImageGoalReward(envs, l1, columns(8), source=source, form="improvement", added=True)

    np.testing.assert_array_equal(rewards_of(made(**change)), rewards_of(made()))


def test_tensors_come_back_as_they_were_given():
    envs = VectorImageGoalReward(
        Changed(SyncVectorEnv([lambda: Walk(kind="dict")] * N), values=tensors), l1, columns(8), source="pixels"
    )
    envs.reset()
    observations, _, terminations, truncations, _ = envs.step(RIGHT)
    assert all(isinstance(each, torch.Tensor) for each in (observations["pixels"], terminations, truncations))


def test_actions_may_be_tensors():
    def one(action):
        env = Task("cartpole", size=16)
        env.reset(seed=0)
        return env.step(action)[0]["observation"]

    def many(actions):
        envs = VectorVisualTask(2, task="cartpole", size=16)
        envs.reset(seed=0)
        return envs.step(actions)[0]["observation"]

    action = np.full((2, 1), 0.5, np.float32)
    tensor = torch.full((2, 1), 0.5, dtype=torch.float64, device="cpu", requires_grad=True)
    np.testing.assert_array_equal(one(tensor[0]), one(action[0]))
    np.testing.assert_array_equal(many(tensor), many(action))


def test_images_of_a_single_environment_may_be_tensors():
    class Tensors(Walk):
        def render(self):
            return tensors(super().render())

        def _observe(self):
            return tensors(super()._observe())

    for env in (Tensors(), Tensors(kind="image")):
        source = "render" if env.kind == "state" else "observation"
        rewarded = ImageGoalReward(env, l1, tensors(columns(8)), source=source)
        rewarded.reset()
        assert rewarded.step(torch.ones(1, device="cpu"))[1] == pytest.approx(-cost(3))


class Own(Walk):
    """Its own reward is what it is made with."""

    def __init__(self, own):
        super().__init__(9)
        self.own = own

    def step(self, action):
        observation, _, *rest = super().step(action)
        return observation, self.own, *rest


def single(own, **options):
    return ImageGoalReward(Own(own), l1, columns(8), **options)


def vector(own, kind=SyncVectorEnv, **options):
    return VectorImageGoalReward(kind([lambda: RenderToInfo(Own(own))] * N), l1, columns(8), **options)


def stable(own, **options):
    return VecImageGoalReward(DummyVecEnv([lambda: RenderToInfo(Own(own))] * N), l1, columns(8), **options)


def first_reward(env):
    env.reset()
    reward = np.ravel(env.step(RIGHT[0] if isinstance(env, gymnasium.Env) else RIGHT)[1])[0]
    env.close()
    return reward


@pytest.mark.filterwarnings("ignore:Conversion of an array with ndim > 0")  # in the vector environments
@pytest.mark.parametrize("own", [None, np.array([2.0]), np.array([None]), "none", float("nan")], ids=repr)
def test_an_own_reward_that_is_discarded_may_be_anything(own):
    assert first_reward(single(own)) == pytest.approx(-cost(3))
    if not isinstance(own, str) and (own is None or own == own):
        assert first_reward(stable(None)) == pytest.approx(-cost(3))
        assert first_reward(vector(None)) == pytest.approx(-cost(3))


@pytest.mark.parametrize("own", [2, np.float32(2), np.array([2.0]), [2.0], np.array(2), torch.tensor([2.0])], ids=repr)
def test_an_own_reward_of_one_number_is_added(own):
    assert first_reward(single(own, added=True)) == pytest.approx(2 - cost(3))


@pytest.mark.parametrize("values", [lambda own: own[:, None], list, lambda own: torch.from_numpy(own)])
def test_own_rewards_of_one_number_for_each_copy_are_added(values):
    def change(part):
        return values(part) if isinstance(part, np.ndarray) and part.dtype == np.float64 else part

    envs = Changed(SyncVectorEnv([lambda: RenderToInfo(Walk(9))] * N), values=change)
    envs = VectorImageGoalReward(envs, l1, columns(8), added=True)
    envs.reset()
    assert envs.step(RIGHT)[1] == pytest.approx([10 - cost(3)] * N)


@pytest.mark.parametrize("make", [single, vector, stable])
def test_no_own_reward_to_add_to_is_refused(make):
    with pytest.raises(ValueError, match=r"added=True needs rewards of the environment itself, got .*n"):
        first_reward(make(None, added=True))


@pytest.mark.parametrize("own", ["much", np.array([1.0, 2.0]), [None, 1.0]])
def test_an_own_reward_that_is_no_number_is_refused(own):
    with pytest.raises(ValueError, match="added=True needs rewards of 1 environments themselves, got"):
        first_reward(single(own, added=True))


@pytest.mark.filterwarnings("ignore:.*is deprecated")
def test_copies_in_processes_may_have_no_own_reward():
    assert first_reward(vector(None, AsyncVectorEnv)) == pytest.approx(-cost(3))


def test_a_last_observation_that_is_missing_is_refused():
    inner = SyncVectorEnv([lambda: Walk(1, kind="image")] * N, autoreset_mode=AutoresetMode.SAME_STEP)
    envs = VectorImageGoalReward(Changed(inner, infos=lambda infos: {}), l1, columns(8), source="observation")
    envs.reset()
    with pytest.raises(ValueError, match="expected final_obs of copy 0, which was reset in the step that ended it"):
        envs.step(RIGHT)


def test_infos_in_a_list_are_refused():
    envs = gymnasium.wrappers.vector.DictInfoToList(SyncVectorEnv([lambda: RenderToInfo(Walk())] * N))
    with pytest.raises(TypeError, match="expected infos as a dictionary, got list; put DictInfoToList around this"):
        VectorImageGoalReward(envs, l1, columns(8)).reset()
