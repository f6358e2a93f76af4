"""A goal video is followed: each predicted frame is compared with the goal's frame of its own time."""

import numpy as np
import pytest
import torch

from corrwise.costs import GoalCost, l1
from corrwise.mpc import CEM, AgentConfig, VisualMPC
from corrwise.types import Goal

SIZE, HORIZON = 8, 3


class Recording:
    """A cost that notes the brightness of the goal's frames, and costs nothing."""

    def __init__(self):
        self.seen = []

    def __call__(self, frames, goal):
        self.seen.append(goal.frames[:, :, 0, 0, 0].tolist())
        return torch.zeros(frames.shape[:3])


def still(context, actions, *, steps=None, generators=None):
    """Predict that nothing moves."""
    return context.frames[:, -1, None, None].expand(-1, actions.shape[1], len(list(steps)), -1, -1, -1)


def video(*brightness):
    """Return a goal video for two environments; the second one's is 1 brighter by hundredths."""
    one = torch.tensor(brightness) / 100
    return Goal(torch.stack([one, one + 0.5])[..., None, None, None].expand(-1, -1, 3, SIZE, SIZE).clone())


def agent(goal, aggregate, cost):
    config = AgentConfig(aggregate=aggregate, reproducible=False)
    return VisualMPC(still, cost, CEM(1, horizon=HORIZON, candidates=4, iterations=1), goal=goal, config=config)


IMAGES = np.zeros((2, SIZE, SIZE, 3), np.uint8)


@pytest.mark.parametrize(("aggregate", "steps"), [("mean", [0, 1, 2]), ("last", [2])])
def test_the_window_moves_on_with_each_control_step_and_stands_at_the_end(aggregate, steps):
    cost, state = Recording(), None
    following = agent(video(1, 2, 3, 4), aggregate, cost)
    for _ in range(4):
        _, state = following.predict(IMAGES, state)
    wanted = [[min(c + s, 3) + 1 for s in steps] for c in range(4)]
    for seen, window in zip(cost.seen, wanted, strict=True):
        assert seen[0] == pytest.approx([w / 100 for w in window])
        assert seen[1] == pytest.approx([w / 100 + 0.5 for w in window])


def test_an_environment_that_begins_anew_follows_the_video_from_its_beginning():
    cost = Recording()
    following = agent(video(1, 2, 3, 4, 5, 6), "mean", cost)
    _, state = following.predict(IMAGES)
    _, state = following.predict(IMAGES, state)
    following.predict(IMAGES, state, episode_start=[False, True])
    assert cost.seen[-1][0] == pytest.approx([0.03, 0.04, 0.05])
    assert cost.seen[-1][1] == pytest.approx([0.51, 0.52, 0.53])


@pytest.mark.parametrize("aggregate", ["mean", "last", "sum"])
def test_a_video_of_one_image_is_that_goal(aggregate):
    plans = []
    for frames in (1, HORIZON + 5):
        goal = Goal(torch.full((2, frames, 3, SIZE, SIZE), 0.3))
        state, actions = None, []
        following = agent(goal, aggregate, GoalCost(l1))
        for _ in range(2):
            action, state = following.predict(IMAGES, state)
            actions.append(action)
        plans.append(np.stack(actions))
    assert np.array_equal(*plans)
