"""Episodes in lockstep: each is what it would be alone, and a broken one stays behind without stopping the others."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from corrwise.envs import TASKS, Fleet, MujocoSimulator, VisualTask
from corrwise.envs.arrays import to_uint8
from tests.envs.worlds import SIZE, simulator


@pytest.mark.parametrize("name", TASKS)
def test_two_environments_equal_two_fleets_of_one(name):
    world = simulator(name)
    both, alone = Fleet(world, context_frames=3), [Fleet(world, context_frames=3) for _ in range(2)]
    contexts = [both.reset([7, 3]), alone[0].reset([7]), alone[1].reset([3])]
    for row in range(2):
        assert torch.equal(contexts[0][1].frames[row], contexts[1 + row][1].frames[0])
    generator = torch.Generator().manual_seed(0)
    for step in range(5):
        if step:
            actions = 2 * torch.rand(2, world.physics.action_dim, generator=generator) - 1
            contexts = [(both.step(actions), None), *((alone[i].step(actions[i : i + 1]), None) for i in range(2))]
        for row in range(2):
            one, two = contexts[0][0], contexts[1 + row][0]
            assert torch.equal(one.frames[row], two.frames[0])
            assert torch.equal(one.actions[row], two.actions[0])
            assert np.array_equal(one.state[row], two.state[0])
            assert both.distance()[row] == alone[row].distance()[0]
            assert both.distance(full=True)[row] == alone[row].distance(full=True)[0]


@pytest.mark.parametrize("name", TASKS)
def test_a_visual_task_draws_the_same_episode_and_takes_the_same_steps(name):
    env, fleet = VisualTask(name, size=SIZE), Fleet(simulator(name))
    observation, info = env.reset(seed=11)
    context, goal = fleet.reset([11])
    actions = 2 * torch.rand(4, fleet.simulator.physics.action_dim, generator=torch.Generator().manual_seed(0)) - 1
    for action in [None, *actions]:
        if action is not None:
            observation, _, _, _, info = env.step(action.numpy())
            context = fleet.step(action[None])
        assert np.array_equal(env.snapshot(), context.state[0])
        assert np.array_equal(observation["observation"], to_uint8(context.frames[0, -1]))
        assert np.array_equal(observation["desired_goal"], to_uint8(goal.frames[0, 0]))
        assert info["state_distance"] == fleet.distance()[0]


def test_an_episode_starts_with_its_first_frame_repeated_and_actions_of_zero():
    fleet = Fleet(simulator("cartpole"), context_frames=3)
    context, goal = fleet.reset([0, 1])
    assert context.frames.shape == (2, 3, 3, SIZE, SIZE)
    assert torch.equal(context.frames, context.frames[:, :1].expand_as(context.frames))
    assert torch.equal(context.actions, torch.zeros(2, 2, 1))
    assert goal.frames.shape == (2, 1, 3, SIZE, SIZE)
    first = context.frames[:, 0].clone()
    taken = torch.tensor([[[0.5], [-0.5]], [[1.0], [0.25]], [[-1.0], [0.0]]])
    frames = []
    for action in taken:
        context = fleet.step(action)
        frames.append(context.frames[:, -1].clone())
        assert torch.equal(context.actions[:, -1], action)
    assert torch.equal(context.frames, torch.stack(frames, dim=1))
    assert torch.equal(context.actions, taken[1:].transpose(0, 1))
    assert not torch.equal(first, frames[0])
    assert Fleet(simulator("cartpole")).reset([0])[0].actions.shape == (1, 0, 1)


def test_a_context_already_handed_out_never_changes():
    fleet = Fleet(simulator("cartpole"), context_frames=2)
    context, _ = fleet.reset([0])
    kept = context.frames.clone(), context.actions.clone(), context.state.copy()
    for _ in range(3):
        fleet.step(torch.ones(1, 1))
    assert torch.equal(context.frames, kept[0])
    assert torch.equal(context.actions, kept[1])
    assert np.array_equal(context.state, kept[2])


def test_an_environment_that_diverges_stays_where_it_was():
    fleet, other = Fleet(simulator("cartpole")), Fleet(simulator("cartpole"))
    before, _ = fleet.reset([0, 1])
    other.reset([0, 1])
    context = fleet.step(torch.tensor([[0.5], [torch.nan]]))
    healthy = other.step(torch.tensor([[0.5], [0.5]]))
    assert fleet.diverged.tolist() == [False, True]
    assert np.array_equal(context.state[1], before.state[1])
    assert torch.equal(context.frames[0], healthy.frames[0])
    fleet.step(torch.zeros(2, 1))
    assert fleet.diverged.tolist() == [False, True], "once diverged, marked for the episode"
    fleet.reset([0, 1])
    assert not fleet.diverged.any()


def test_episodes_can_begin_at_given_states():
    fleet = Fleet(simulator("cartpole"))
    context, goal = fleet.reset([4, 5])
    starts, goals = fleet.snapshot(), fleet.goal_states
    fleet.reset([8, 9])
    again, same_goal = fleet.begin(starts, goals)
    assert torch.equal(again.frames, context.frames)
    assert torch.equal(same_goal.frames, goal.frames)
    starts[:] = 0
    assert fleet.snapshot().any(), "the fleet keeps its own copy"


def test_bad_input_is_one_sentence(unhooked):
    world = simulator("cartpole")
    for seeds in ([], [0.5], [-1], 0, ["a"], [None]):
        with pytest.raises(ValueError, match="expected at least one seed, each a whole number from 0 up, got"):
            Fleet(world).reset(seeds)
    with pytest.raises(ValueError, match="context_frames must be at least 1, got 0"):
        Fleet(world, context_frames=0)
    with pytest.raises(RuntimeError, match="no episodes yet: call reset"):
        Fleet(world).step(torch.zeros(1, 1))
    fleet = Fleet(world)
    fleet.reset(np.arange(2))
    for shape in ((1, 1), (2, 2), (2,)):
        with pytest.raises(ValueError, match=rf"one action for each environment \(2, 1\), got \({shape[0]}"):
            fleet.step(torch.zeros(shape))
    states = fleet.snapshot()
    for starts, goals in ((states[:1], states), (states[:, :3], states[:, :3]), (states * np.nan, states)):
        with pytest.raises(ValueError, match=rf"finite starts and goals \(B, {states.shape[1]}\), got"):
            fleet.begin(starts, goals)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 3}, "size must be a whole number of at least 4 pixels, got 3"),
        ({"size": 32.0}, "size must be a whole number of at least 4 pixels, got 32.0"),
        ({"renderer": "crayon"}, "unknown renderer 'crayon'; there are raycast, gl"),
        ({"renderer": "gl", "supersample": 2}, "supersample is an option of the raycast renderer, got 2 for 'gl'"),
        ({"supersample": 0}, "must be at least 1, got 64, 64, 0"),
    ],
)
def test_a_simulator_refuses_what_it_cannot_draw(options, message, unhooked):
    with pytest.raises(ValueError, match=message):
        MujocoSimulator(TASKS["cartpole"], **options)


def test_a_simulator_wants_a_task(unhooked):
    with pytest.raises(TypeError, match=r"expected a Task, such as corrwise.envs.TASKS\['cartpole'\], got 'cartpole'"):
        MujocoSimulator("cartpole")


@pytest.mark.parametrize("size", [4, 7, 15, 33])
def test_odd_sizes_can_be_drawn(size):
    fleet = Fleet(MujocoSimulator(TASKS["ant"], size=size))
    context, goal = fleet.reset([0])
    assert context.frames.shape == goal.frames.shape == (1, 1, 3, size, size)
