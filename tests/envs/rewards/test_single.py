"""The reward from a goal image, for a single environment."""

import cv2
import gymnasium
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv

from corrwise.costs import CorrespondenceWise, CostSpec, l1, ssim
from corrwise.costs.flow import AllPairsFlow
from corrwise.envs import ImageGoalReward, RenderToInfo
from tests.envs.rewards.worlds import SIDE, Walk, columns, cost

RIGHT = np.ones(1, np.float32)


def _rewards(env, steps=3):
    env.reset(seed=0)
    return [env.step(RIGHT)[1] for _ in range(steps)]


def test_the_reward_is_minus_the_cost_of_what_is_rendered():
    env = ImageGoalReward(Walk(), l1, columns(8))
    assert env.reset()[1] == {"goal_cost": pytest.approx(cost(2))}
    _, reward, _, truncated, info = env.step(RIGHT)
    assert (reward, truncated) == (pytest.approx(-cost(3)), False)
    assert info == {"goal_cost": pytest.approx(cost(3))}
    assert _rewards(env) == pytest.approx([-cost(3), -cost(4), -cost(5)])


@pytest.mark.parametrize(("kind", "source"), [("image", "observation"), ("first", "observation"), ("dict", "pixels")])
def test_the_image_may_be_in_the_observation(kind, source):
    env = ImageGoalReward(Walk(kind=kind, render_mode=None), l1, columns(8), source=source)
    assert _rewards(env) == pytest.approx([-cost(3), -cost(4), -cost(5)])


@pytest.mark.parametrize("kind", ["image", "first"])
def test_of_stacked_frames_the_newest_counts(kind):
    stacked = gymnasium.wrappers.FrameStackObservation(Walk(kind=kind), 2)
    assert _rewards(ImageGoalReward(stacked, l1, columns(8), source="observation"))[0] == pytest.approx(-cost(3))
    axis = -1 if kind == "image" else 0
    space = gymnasium.spaces.Box(
        0, 255, tuple(6 if n == 3 else n for n in Walk(kind=kind).observation_space.shape), np.uint8
    )
    along = gymnasium.wrappers.TransformObservation(stacked, lambda both: np.concatenate(list(both), axis), space)
    assert _rewards(ImageGoalReward(along, l1, columns(8), source="observation"))[0] == pytest.approx(-cost(3))


def test_each_episode_may_have_its_own_goal():
    env = ImageGoalReward(Walk(kind="dict"), l1, goal_key="wanted")
    assert _rewards(env)[2] == pytest.approx(-cost(5, 8))
    assert _rewards(env)[2] == pytest.approx(-cost(5, 9))


def test_the_goal_may_be_a_file_or_have_its_channels_first(tmp_path):
    image = columns(8)
    image[..., 0] = 0  # no red: colours must not be swapped
    cv2.imwrite(str(tmp_path / "goal.png"), image[..., ::-1])
    plain = _rewards(ImageGoalReward(Walk(), l1, image))
    assert _rewards(ImageGoalReward(Walk(), l1, tmp_path / "goal.png")) == plain
    assert _rewards(ImageGoalReward(Walk(), l1, np.moveaxis(image, -1, 0))) == plain


@pytest.mark.parametrize("gamma", [1.0, 0.9])
def test_improvement_telescopes_to_the_first_cost_minus_the_last(gamma):
    rewards = _rewards(ImageGoalReward(Walk(5), l1, columns(8), form="improvement", gamma=gamma), steps=5)
    total = sum(gamma**t * reward for t, reward in enumerate(rewards))
    assert total == pytest.approx(cost(2) - gamma**5 * cost(7))


@pytest.mark.parametrize("terminates", [True, False])
def test_added_improvement_changes_the_return_by_what_no_policy_changes(terminates):
    gamma = 0.9
    env = ImageGoalReward(Walk(terminates=terminates), l1, columns(8), form="improvement", gamma=gamma, added=True)
    shaped = sum(gamma**t * (reward - 10.0) for t, reward in enumerate(_rewards(env)))
    left = 0.0 if terminates else gamma**3 * cost(5)  # what comes after a truncation still has its potential
    assert shaped == pytest.approx(cost(2) - left)


def test_normalised_begins_at_minus_one():
    env = ImageGoalReward(Walk(), l1, columns(8), form="normalised")
    assert _rewards(env) == pytest.approx([-cost(3) / cost(2), -cost(4) / cost(2), -cost(5) / cost(2)])
    at_goal = ImageGoalReward(Walk(begin=8), l1, columns(8), form="normalised")
    at_goal.reset()
    assert at_goal.step(0 * RIGHT)[1] == 0
    assert at_goal.step(RIGHT)[1] == pytest.approx(-cost(9)), "the cost itself, where there is nothing to divide by"


def test_a_distance_that_matches_tells_how_far():
    distance = CorrespondenceWise(l1, AllPairsFlow())
    env = ImageGoalReward(Walk(), distance, columns(8))
    _, info = env.reset()
    assert info["goal_displacement"] > 0
    assert env.step(RIGHT)[1] == pytest.approx(-env.step(0 * RIGHT)[4]["goal_cost"])


def test_it_is_a_gymnasium_environment():
    from gymnasium.utils.env_checker import check_env

    check_env(ImageGoalReward(gymnasium.make("corrwise/Cartpole-v0", size=16), ssim, goal_key="desired_goal",
                              source="observation"), skip_render_check=True)  # fmt: skip


def test_hindsight_asks_the_wrapper_for_rewards_of_its_own_distance():
    env = ImageGoalReward(Walk(kind="dict"), lambda x, y: 2 * l1(x, y), goal_key="wanted", source="pixels")
    pair = np.stack([columns(3), columns(4)]), np.stack([columns(8), columns(8)])
    for images in (pair, [np.moveaxis(each, -1, 1) for each in pair]):
        assert env.get_wrapper_attr("compute_reward")(*images, [{}] * 2) == pytest.approx([-2 * cost(3), -2 * cost(4)])
    assert env.compute_reward(pair[0][0], pair[1][0], {}) == pytest.approx(-2 * cost(3))
    for options in ({"form": "improvement"}, {"added": True}):
        with pytest.raises(ValueError, match="hindsight replay needs form='negative'"):
            ImageGoalReward(Walk(kind="dict"), l1, goal_key="wanted", source="pixels", **options).compute_reward(
                *pair, {}
            )
    with pytest.raises(ValueError, match="hindsight replay needs form='negative'"):
        ImageGoalReward(Walk(), l1, columns(8)).compute_reward(*pair, {})


class _Buffered(Walk):
    """Draws into the same array each time."""

    def render(self):
        self.buffer = getattr(self, "buffer", np.zeros((SIDE, SIDE, 3), np.uint8))
        self.buffer[:] = super().render()
        return self.buffer


def test_a_goal_stays_what_it_was_when_it_was_given():
    env = _Buffered(begin=8)
    env.reset()
    goal = env.render()
    env.first = 2
    assert _rewards(ImageGoalReward(env, l1, goal)) == pytest.approx([-cost(3), -cost(4), -cost(5)])
    info = RenderToInfo(env).reset()[1]
    env.step(RIGHT)
    env.render()
    np.testing.assert_array_equal(info["render"], columns(2))


class _Shows(Walk):
    def __init__(self, shape):
        super().__init__()
        self.observation_space = gymnasium.spaces.Box(0, 255, shape, np.uint8)


@pytest.mark.parametrize(
    "shape",
    [(4, 84, 84), (84, 84, 4), (1, 84, 84), (96, 96, 1), (4, 96, 96), (4, 84, 84, 1), (480, 640, 4), (84, 84), (84,)],
)
def test_what_has_no_three_colours_is_refused_at_every_size(shape):
    with pytest.raises(ValueError, match="to be a uint8 image"):
        ImageGoalReward(_Shows(shape), l1, columns(8), source="observation")


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((84, 84, 3), (84, 84)), ((3, 84, 84), (84, 84)), ((84, 96, 12), (84, 96)), ((12, 84, 96), (84, 96)),
        ((4, 84, 84, 3), (84, 84)), ((4, 3, 84, 84), (84, 84)),
    ],
)  # fmt: skip
def test_what_has_three_colours_is_taken_at_every_size_with_a_goal_of_that_size(shape, size):
    ImageGoalReward(_Shows(shape), l1, np.zeros((*size, 3), np.uint8), source="observation")
    with pytest.raises(ValueError, match=f"the goal is 16 x 16 pixels, the images are {size[0]} x {size[1]}"):
        ImageGoalReward(_Shows(shape), l1, columns(8), source="observation")


def _grey():
    env = Walk(kind="image")
    return gymnasium.wrappers.GrayscaleObservation(env)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (Walk, {}, "expected a goal image, or goal_key"),
        (Walk, {"goal": columns(1), "goal_key": "x"}, "expected a goal image, or goal_key"),
        (lambda: Walk(render_mode=None), {"goal": columns(1)}, "renders no images: make it with render_mode"),
        (Walk, {"goal": columns(1), "source": "pixels"}, "for an observation that is not a Dict, got 'pixels'"),
        (Walk, {"goal": columns(1), "source": "observation"}, "to be a uint8 image"),
        (_grey, {"goal": columns(1), "source": "observation"}, "to be a uint8 image"),
        (lambda: Walk(kind="dict"), {"goal": columns(1), "source": "rgb"}, "no source 'rgb'; there are pixels, wanted"),
        (lambda: Walk(kind="dict"), {"goal_key": "goal"}, "no goal_key 'goal'; there are pixels, wanted"),
        (lambda: Walk(kind="dict"), {"goal_key": "pixels", "source": "pixels"}, "to name different entries"),
        (lambda: Walk(kind="image"), {"goal_key": "observation"}, "expected a Dict observation for goal_key"),
        (Walk, {"goal": columns(1)[..., 0]}, "expected a goal image, uint8"),
        (Walk, {"goal": columns(1) / 255}, "expected a goal image, uint8"),
        (Walk, {"goal": columns(1), "form": "sparse"}, "unknown form 'sparse'; there are negative, improvement"),
        (Walk, {"goal": columns(1), "gamma": 1.5}, r"gamma must be in \[0, 1\], got 1.5"),
    ],
)
def test_bad_input_is_one_sentence(make, options, message):
    with pytest.raises(ValueError, match=message):
        ImageGoalReward(make(), l1, **options)


def test_bad_files_and_sizes_are_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no goal image at"):
        ImageGoalReward(Walk(), l1, tmp_path / "none.png")
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(ValueError, match="is not an image that can be read"):
        ImageGoalReward(Walk(), l1, str(tmp_path / "text.png"))
    with pytest.raises(ValueError, match=f"the goal is 20 x 20 pixels, the images are {SIDE} x {SIDE}"):
        ImageGoalReward(Walk(), l1, np.zeros((20, 20, 3), np.uint8)).reset()
    with pytest.raises(ValueError, match=f"the goal is 20 x 24 pixels, the images are {SIDE} x {SIDE}"):
        ImageGoalReward(Walk(kind="dict"), l1, np.zeros((20, 24, 3), np.uint8), source="pixels")


def test_what_is_no_environment_and_no_distance_is_refused(unhooked):
    with pytest.raises(TypeError, match=r"expected an environment of Gymnasium, got SyncVectorEnv; VectorImageGoal"):
        ImageGoalReward(SyncVectorEnv([Walk]), l1, columns(8))
    with pytest.raises(TypeError, match=r"such as corrwise\.costs\.l1, got None"):
        ImageGoalReward(Walk(), None, columns(8))


def test_a_cost_that_is_not_finite_is_no_reward():
    with pytest.raises(ValueError, match="expected 1 finite costs"):
        ImageGoalReward(Walk(), lambda x, y: l1(x, y) * float("nan"), columns(8)).reset()


def test_a_distance_may_be_named():
    assert _rewards(ImageGoalReward(Walk(), "l1", columns(8))) == _rewards(ImageGoalReward(Walk(), l1, columns(8)))
    named, made = (
        ImageGoalReward(Walk(), each, columns(8))
        for each in (CostSpec.parse("corr-l1:flow=all-pairs"), CorrespondenceWise(l1, AllPairsFlow()))
    )
    assert _rewards(named) == _rewards(made)
    with pytest.raises(ValueError, match="unknown cost 'l2'; there are l1, mse"):
        ImageGoalReward(Walk(), "l2", columns(8))
