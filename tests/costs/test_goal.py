import pickle

import pytest
import torch

from corrwise.costs import CorrespondenceWise, GoalCost, Perceptual, l1, mse
from corrwise.costs.flow import AllPairsFlow
from corrwise.testing import check_cost
from corrwise.types import Goal
from tests.costs.images import texture


@pytest.mark.parametrize(
    "distance", [l1, CorrespondenceWise(l1, AllPairsFlow()), Perceptual(None)], ids=["l1", "corr-l1", "encoded"]
)
def test_keeps_the_contract(distance):
    check_cost(GoalCost(distance))


@pytest.mark.parametrize("distance", [l1, CorrespondenceWise(l1, AllPairsFlow())], ids=["l1", "corr-l1"])
def test_every_frame_is_compared_with_its_own_environments_goal(distance):
    frames, goal = texture(2, 3, 2), Goal(texture(2, 1, seed=1))
    costs = GoalCost(distance)(frames, goal)
    assert costs.shape == (2, 3, 2)
    assert torch.equal(costs[1, 2, 0], distance(frames[1, 2, 0], goal.frames[1, 0]))


def test_a_goal_video_is_followed_frame_by_frame():
    frames, goal = texture(2, 3, 4), Goal(texture(2, 4, seed=1))
    costs = GoalCost(mse)(frames, goal)
    assert torch.equal(costs[1, 0, 3], mse(frames[1, 0, 3], goal.frames[1, 3]))


@pytest.mark.parametrize("distance", [mse, Perceptual(None)], ids=["direct", "encoded"])
def test_a_single_frame_is_compared_with_the_last_of_a_goal_video(distance):
    frames, goal = texture(2, 3, 1), Goal(texture(2, 4, seed=1))
    costs = GoalCost(distance)(frames, goal)
    assert torch.equal(costs, GoalCost(distance)(frames, Goal(goal.frames[:, -1:])))
    assert not torch.allclose(costs, GoalCost(distance)(frames, Goal(goal.frames[:, :1])))


class _Counting:
    def __init__(self):
        self.encoded = []

    def encode(self, images):
        self.encoded.append(tuple(images.shape[:-3]))
        return (2 * images, images.mean(dim=-3, keepdim=True))

    def compare(self, first, second):
        return l1(first[0], second[0]) + l1(first[1], second[1])

    def __call__(self, x, y):
        raise AssertionError("the features were there to be compared")


@pytest.mark.parametrize("steps", [1, 2])
def test_a_goal_is_encoded_once(steps):
    frames, distance = texture(2, 3, 2), _Counting()
    goal, other = Goal(texture(2, steps, seed=1)), Goal(texture(2, steps, seed=2))
    cost = GoalCost(distance)
    first = cost(frames, goal)
    assert torch.equal(cost(frames, goal), first)
    assert distance.encoded == [(2, 3, 2), (2, steps), (2, 3, 2)]
    assert not torch.equal(cost(frames, other), first), "another goal was taken for the last one"
    expected = distance.compare(distance.encode(frames[0, 1, 0]), distance.encode(goal.frames[0, 0]))
    assert torch.allclose(first[0, 1, 0], expected)


def test_perceptual_goals_equal_the_distance_itself():
    frames, goal, distance = texture(1, 2, 1), Goal(texture(1, 1, seed=1)), Perceptual(None)
    direct = distance(frames, goal.frames[:, None].expand_as(frames))
    assert torch.allclose(GoalCost(distance)(frames, goal), direct, rtol=1e-4)


def test_nan_frames_cost_nan_and_leave_the_others_alone():
    frames, goal = texture(1, 3, 1), Goal(texture(1, 1, seed=1))
    broken = frames.clone()
    broken[0, 1] = torch.nan
    cost = GoalCost(CorrespondenceWise(l1, AllPairsFlow()))
    assert cost(broken, goal).isnan().tolist() == [[[False], [True], [False]]]
    assert torch.equal(cost(broken, goal)[0, 0], cost(frames, goal)[0, 0])


def test_can_be_sent_to_another_process():
    frames, goal = texture(1, 2, 1), Goal(texture(1, 1, seed=1))
    cost = GoalCost(CorrespondenceWise(l1, AllPairsFlow()))
    assert torch.equal(pickle.loads(pickle.dumps(cost))(frames, goal), cost(frames, goal))


def test_errors_name_both_values(unhooked):
    frames, cost = texture(2, 3, 2), GoalCost(l1)
    with pytest.raises(ValueError, match=r"\(2, 3, 2, 3, 32, 32\) and \(2, 1, 3, 16, 16\)"):
        cost(frames, Goal(texture(2, 1, size=16)))
    with pytest.raises(ValueError, match="2 environments, got 1"):
        cost(frames, Goal(texture(1, 1)))
    with pytest.raises(ValueError, match="goal video of 2 frames, got 5"):
        cost(frames, Goal(texture(2, 5)))
    with pytest.raises(ValueError, match=r"got \(3, 2, 3, 32, 32\)"):
        cost(frames[0], Goal(texture(2, 1)))
    with pytest.raises(TypeError, match=r"torch\.uint8"):
        cost((255 * frames).byte(), Goal(texture(2, 1)))
