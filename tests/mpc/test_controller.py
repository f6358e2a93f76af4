"""VisualMPC behind Stable-Baselines3's predict convention."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from corrwise.mpc import CEM, ICEM, AgentConfig, RandomShooting, VisualMPC, planned_actions
from corrwise.mpc.controller import action_change
from corrwise.types import Goal
from tests.fakes import FakeCost, FakePredictor

SIZE = 12


def grey(value, *lead, first=False):
    return np.full((*lead, 3, SIZE, SIZE) if first else (*lead, SIZE, SIZE, 3), value, np.uint8)


def observed(value, goal, *lead, first=False):
    image = grey(value, *lead, first=first)
    return {"observation": image, "achieved_goal": image, "desired_goal": grey(goal, *lead, first=first)}


def agent(*, planner=None, predictor=None, goal=None, **config):
    planner = planner or ICEM(2, horizon=3, candidates=16, iterations=2)
    return VisualMPC(predictor or FakePredictor(), FakeCost(), planner, goal=goal, config=AgentConfig(**config))


@pytest.mark.parametrize("first", [False, True], ids=["gymnasium", "sb3"])
@pytest.mark.parametrize("lead", [(), (1,), (3,)])
def test_shapes_of_single_and_vector_observations(lead, first):
    planner = CEM(2, horizon=1, candidates=32)
    actions, state = agent(planner=planner).predict(observed(50, 200, *lead, first=first))
    assert actions.shape == (*lead, 2)
    assert actions.dtype == np.float32
    assert (actions[..., 0] > 0.5).all()  # brighter is nearer
    assert np.abs(actions).max() <= 1
    again, _ = agent(planner=planner).predict(observed(50, 200, *lead, first=first))
    assert np.array_equal(actions, again)
    assert len(state.proposal.mean) == (lead or (1,))[0]


@pytest.mark.parametrize(
    "goal",
    [
        grey(200),
        grey(200, first=True),
        grey(200)[None],
        grey(200).astype(np.float32) / 255,
        grey(200).astype(np.float64) / 255,
        torch.full((3, SIZE, SIZE), 200 / 255, dtype=torch.float64, requires_grad=True),
        Goal(torch.full((1, 1, 3, SIZE, SIZE), 200 / 255)),
        Goal(torch.full((1, 1, 3, SIZE, SIZE), 200 / 255, dtype=torch.float64)),
    ],
)
def test_a_goal_given_beforehand_is_for_all_environments(goal):
    expected, _ = agent().predict(observed(50, 200, 2))
    actions, _ = agent(goal=goal).predict(grey(50, 2))
    np.testing.assert_allclose(actions, expected, atol=1e-5)
    wins, _ = agent(goal=goal).predict(observed(50, 0, 2))
    assert np.array_equal(wins, actions)


def test_closes_the_loop():
    mpc, state, brightness = agent(planner=CEM(1, horizon=1, candidates=32)), None, np.array([20.0, 230.0])
    for _ in range(12):
        obs = np.stack([grey(round(value)) for value in brightness])
        actions, state = mpc.predict({"observation": obs, "desired_goal": grey(128, 2)}, state)
        brightness += 25.5 * actions[:, 0]
    assert np.abs(brightness - 128).max() < 2


def test_state_is_a_value():
    mpc = agent()
    _, state = mpc.predict(observed(50, 200))
    mean = state.proposal.mean.clone()
    one, _ = mpc.predict(observed(60, 200), state)
    two, _ = mpc.predict(observed(60, 200), state)
    assert np.array_equal(one, two)
    assert torch.equal(state.proposal.mean, mean)


def test_two_environments_equal_two_agents():
    both = np.stack([grey(20), grey(240)])
    mpc, state = agent(context_frames=2), None
    for _ in range(3):
        actions, state = mpc.predict({"observation": both, "desired_goal": grey(128, 2)}, state)
    alone, single = agent(context_frames=2), None
    for _ in range(3):
        action, single = alone.predict(observed(20, 128), single)
    assert np.array_equal(actions[0], action)


def test_episode_start_begins_its_rows_anew_and_no_others():
    predictor = FakePredictor()
    mpc = agent(predictor=predictor, context_frames=3)
    actions, state = mpc.predict(observed(10, 200, 2))
    context = predictor.contexts[-1]
    assert context.frames.shape == (2, 3, 3, SIZE, SIZE)
    assert (context.frames == 10 / 255).all()
    assert not context.actions.any()

    plain, _ = mpc.predict(observed(20, 200, 2), state, np.array([False, False]))
    mixed, after = mpc.predict(observed(20, 200, 2), state, np.array([False, True]))
    assert np.array_equal(mixed[0], plain[0])
    assert not np.array_equal(mixed[1], plain[1])
    context = predictor.contexts[-1]
    seen = torch.round(context.frames[:, :, 0, 0, 0] * 255).tolist()
    assert seen == [[10, 10, 20], [20, 20, 20]]
    np.testing.assert_array_equal(context.actions[0, -1], actions[0])
    assert not context.actions[1].any()

    mpc.predict(observed(30, 200, 2), after)
    np.testing.assert_array_equal(predictor.contexts[-1].actions[1, -1], mixed[1])
    assert torch.round(predictor.contexts[-1].frames[:, :, 0, 0, 0] * 255).tolist() == [[10, 20, 30], [20, 20, 30]]


@pytest.mark.parametrize("states", [np.zeros(5, np.float32), np.zeros((1, 5), np.float32)])
def test_simulator_state_reaches_the_predictor_in_float64(states):
    predictor = FakePredictor()
    mpc = VisualMPC(predictor, FakeCost(), CEM(2), goal=grey(3), state_source=lambda: states)
    mpc.predict(grey(1))
    assert predictor.contexts[-1].state.shape == (1, 5)
    assert predictor.contexts[-1].state.dtype == np.float64
    with pytest.raises(ValueError, match=r"expected a state_source of shape \(2, S\), got \("):
        mpc.predict(grey(1, 2))


@pytest.mark.parametrize(
    ("obs", "message"),
    [
        (observed(0, 0)["observation"], "no goal: give VisualMPC a goal= or observe"),
        ({"observation": grey(0)}, "no goal"),
        ({"image": grey(0)}, r"expected the key 'observation', got \['image'\]"),
        (
            {"observation": np.full((3, 64, 64), 255.0)},
            r"observation: expected uint8 \(or float in \[0,1\]\) image \(H,W,3\) or \(3,H,W\), "
            r"got float64 \(3,64,64\) with max 255",
        ),
        ({"observation": grey(0)[..., :1]}, r"got uint8 \(12,12,1\) with max 0"),
        ({"observation": grey(0)[0]}, r"got uint8 \(12,3\) with max 0"),
        ({"observation": grey(0, 0)}, r"got uint8 \(0,12,12,3\)"),
        (
            {"observation": grey(0), "desired_goal": np.zeros((6, 6, 3), np.uint8)},
            r"expected a goal of the observation's \(C,H,W\) = \(3, 12, 12\), got \(3, 6, 6\)",
        ),
        ({"observation": grey(0, 3), "desired_goal": grey(0, 2)}, "expected 1 goal or 3, one per environment, got 2"),
    ],
)
def test_bad_observations_get_a_clear_error(obs, message):
    with pytest.raises(ValueError, match=message):
        agent().predict(obs)


@pytest.mark.parametrize("goal", [grey(0).astype(np.float32) + 2, grey(0).astype(np.int64), np.full((4, 4, 3), np.nan)])
def test_bad_goals_get_a_clear_error(goal):
    with pytest.raises(ValueError, match=r"goal: expected uint8 \(or float in \[0,1\]\) image"):
        agent(goal=goal)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (torch.full((1, 1, 3, SIZE, SIZE), 255, dtype=torch.uint8), r"got uint8 \(1,1,3,12,12\) from 255 to 255"),
        (torch.full((1, 1, 3, SIZE, SIZE), 2.0), r"got float32 \(1,1,3,12,12\) from 2 to 2"),
        (torch.full((1, 1, 3, SIZE, SIZE), math.nan), "from nan to nan"),
        (torch.zeros(1, 3, SIZE, SIZE), r"got float32 \(1,3,12,12\) from 0 to 0"),
        (torch.zeros(0, 1, 3, SIZE, SIZE), r"got float32 \(0,1,3,12,12\)"),
    ],
)
def test_a_bad_goal_object_gets_a_clear_error(frames, message):
    goal = object.__new__(Goal)  # the shape checks under test would refuse it before the agent sees it
    object.__setattr__(goal, "frames", frames)
    expected = r"goal: expected floating point frames \(B,G,C,h,w\) in \[0,1\], "
    with pytest.raises(ValueError, match=expected + ".*" + message):
        agent(goal=goal)


def test_simulator_states_that_are_not_finite_are_refused():
    states = np.zeros((2, 5))
    states[1, 3] = np.nan
    mpc = VisualMPC(FakePredictor(), FakeCost(), CEM(2), goal=grey(3), state_source=lambda: states)
    with pytest.raises(ValueError, match="expected finite states from state_source, got nan in environment 1"):
        mpc.predict(grey(1, 2))


def test_a_state_that_no_call_returned_is_refused(unhooked):
    with pytest.raises(TypeError, match="expected the AgentState of the call before, or None, got 5"):
        agent().predict(observed(0, 9), 5)


def test_changes_between_calls_get_a_clear_error():
    mpc = agent()
    _, state = mpc.predict(observed(0, 9, 2))
    with pytest.raises(ValueError, match="expected 2 environments as in the call before, got 3"):
        mpc.predict(observed(0, 9, 3), state)
    with pytest.raises(ValueError, match="expected episode_start for 2 environments, got 3"):
        mpc.predict(observed(0, 9, 2), state, np.zeros(3, bool))
    small = np.zeros((2, 6, 6, 3), np.uint8)
    with pytest.raises(ValueError, match=r"expected images of \(3, 12, 12\), got \(3, 6, 6\)"):
        mpc.predict({"observation": small, "desired_goal": small}, state)


def test_runs_on_where_no_candidate_can_be_scored():
    mpc = VisualMPC(FakePredictor(gain=float("nan")), FakeCost(), ICEM(2), goal=grey(9))
    actions, state = mpc.predict(grey(0))
    assert np.array_equal(actions, np.zeros(2, np.float32))
    assert np.isfinite(mpc.predict(grey(0), state)[0]).all()


@pytest.mark.parametrize(
    "values",
    [
        {"context_frames": 0},
        {"max_frames": 0},
        {"seed": -1},
        {"seed": 2**32},
        {"gamma": 0.0},
        {"k": math.inf},
        {"seed": 0.5},
        {"max_frames": 1.5},
        {"seed": (0, -1)},
        {"seed": (0, 0.5)},
        {"action_change_penalty": -1.0},
        {"action_change_penalty": math.inf},
    ],
)
def test_bad_agent_settings_are_refused(values, unhooked):
    (name,) = values
    with pytest.raises(ValueError, match=f"{name} must be"):
        agent(**values)


class _Elsewhere(FakeCost):
    """Notes which goals it sees, and on which device the frames are."""

    def __init__(self):
        self.goals, self.devices = [], set()

    def __call__(self, frames, goal):
        self.goals.append(goal)
        self.devices.add((frames.device.type, goal.frames.device.type))
        return torch.zeros(frames.shape[:3])


def test_costs_are_computed_where_they_are_asked_for():
    cost = _Elsewhere()
    mpc = VisualMPC(FakePredictor(), cost, CEM(2, candidates=8), goal=grey(200), config=AgentConfig(device="meta"))
    action, _ = mpc.predict(grey(50))
    assert cost.devices == {("meta", "meta")}
    assert np.isfinite(action).all()


def test_a_goal_that_lies_right_stays_the_same_object():
    cost = _Elsewhere()
    mpc = VisualMPC(FakePredictor(), cost, CEM(2, candidates=8), goal=grey(200), config=AgentConfig(device="cpu"))
    _, state = mpc.predict(grey(50))
    mpc.predict(grey(50), state)
    assert all(goal is cost.goals[0] for goal in cost.goals)


def test_a_seed_for_each_row_gives_the_rows_of_agents_alone():
    both = np.stack([grey(20), grey(240)])
    mpc, state = agent(seed=(7, 3)), None
    for _ in range(3):
        actions, state = mpc.predict({"observation": both, "desired_goal": grey(128, 2)}, state)
    for row, (seed, brightness) in enumerate([(7, 20), (3, 240)]):
        alone, mine = agent(seed=(seed,)), None
        for _ in range(3):
            action, mine = alone.predict(observed(brightness, 128), mine)
        assert np.array_equal(action, actions[row])
    same, _ = agent(seed=7).predict(observed(20, 128))
    assert np.array_equal(same, agent(seed=(7,)).predict(observed(20, 128))[0]), "one seed is that of row 0"
    with pytest.raises(ValueError, match="expected 2 environments, one for each seed, got 3"):
        mpc.predict(observed(0, 9, 3))


def test_images_as_floats_plan_as_those_of_bytes():
    floats = {name: image.astype(np.float32) / 255 for name, image in observed(50, 200, 2).items()}
    assert np.array_equal(agent().predict(floats)[0], agent().predict(observed(50, 200, 2))[0])


def test_any_score_may_stand_in_the_place_of_predicted_images():
    seen = []

    def score(context, goal, actions, generators):
        seen.append((context.frames.shape, goal.frames.shape, context.state, len(generators)))
        return (actions - 0.5).square().mean(dim=(-2, -1))

    planner = CEM(2, horizon=1, candidates=64, iterations=6)
    mpc = VisualMPC(None, None, planner, goal=grey(9), score=score, state_source=lambda: np.ones((2, 4)))
    actions, state = mpc.predict(grey(1, 2))
    np.testing.assert_allclose(actions, 0.5, atol=0.15)
    shape = (2, 1, 3, SIZE, SIZE)
    assert [each[0] for each in seen] == [each[1] for each in seen] == [shape] * 6
    assert all(each[2].tolist() == np.ones((2, 4)).tolist() and each[3] == 2 for each in seen)
    assert state.trace.candidates == 6 * 64
    assert state.trace.best_cost.shape == (6, 2)


@pytest.mark.parametrize(("predictor", "cost"), [(None, FakeCost()), (FakePredictor(), None), (None, None)])
def test_an_agent_that_cannot_score_is_refused(predictor, cost):
    with pytest.raises(ValueError, match="expected a predictor and a cost, or a score in their place, got no "):
        VisualMPC(predictor, cost, CEM(2))


def test_the_change_of_actions_by_hand():
    actions = torch.tensor([0.0, 1.0, -1.0])[None, None, :, None].expand(2, 1, 3, 1)
    torch.testing.assert_close(action_change(actions), torch.full((2, 1), (1 + 4) / 2))
    executed = torch.tensor([[0.5], [math.nan]])
    torch.testing.assert_close(action_change(actions, executed), torch.tensor([[(0.25 + 1 + 4) / 3], [(1 + 4) / 2]]))
    assert action_change(actions[:, :, :1]).tolist() == [[0.0], [0.0]], "a first action alone is free"


def test_a_penalty_on_changes_makes_smoother_plans_and_none_changes_nothing():
    def planned(weight):
        planner = CEM(2, horizon=8, candidates=64, iterations=6)
        mpc = agent(planner=planner, action_change_penalty=weight, aggregate="sum")
        _, state = mpc.predict(observed(50, 60))
        return action_change(planned_actions(planner, state.proposal)[:, None]).item()

    assert planned(10.0) < 0.5 * planned(0.1) < 0.5 * planned(0.0)
    plain, free = (agent(**config).predict(observed(50, 200, 2))[0] for config in ({}, {"action_change_penalty": 0.0}))
    assert np.array_equal(plain, free)


def test_the_penalty_knows_what_was_executed_last_and_not_before_an_episode():
    """The cost asks for actions of 0.8 at once; a heavy penalty holds the next one near the last."""

    def score(context, goal, actions, generators):
        return (actions - 0.8).square().mean(dim=(-2, -1))

    planner = RandomShooting(1, horizon=1, candidates=128)
    config = AgentConfig(action_change_penalty=9.0)
    mpc = VisualMPC(None, None, planner, goal=grey(9), score=score, config=config)
    first, state = mpc.predict(grey(1, 2))
    np.testing.assert_allclose(first, 0.8, atol=0.1)
    moved = replace(state, actions=torch.full_like(state.actions, -1.0))
    second, _ = mpc.predict(grey(1, 2), moved, np.array([False, True]))
    np.testing.assert_allclose(second[:, 0], [(0.8 - 9) / 10, 0.8], atol=0.1)


def test_several_actions_of_a_plan_are_executed_where_that_is_asked_for():
    mpc, state, plans, actions = agent(planner=CEM(1, horizon=5, candidates=16), plan_every=3), None, [], []
    for _ in range(7):
        action, state = mpc.predict(observed(50, 200), state)
        plans.append(planned_actions(mpc.planner, state.proposal)[0, :, 0].numpy())
        actions.append(action)
        assert (state.trace.candidates > 0) == (len(plans) % 3 == 1)
    for first in (0, 3):
        np.testing.assert_array_equal(np.concatenate(actions[first : first + 3]), plans[first][:3])
    assert not np.array_equal(plans[3][:2], plans[0][3:]), "a new plan was made"
    every, _ = agent(planner=CEM(1, horizon=5, candidates=16)).predict(observed(50, 200))
    assert np.array_equal(actions[0], every)


def test_environments_take_turns_to_plan_as_they_would_alone():
    def run(rows, starts):
        mpc, state, actions = agent(planner=CEM(1, horizon=4, candidates=8), plan_every=2, seed=rows), None, []
        for start in starts:
            action, state = mpc.predict(observed(50, 200, len(rows)), state, np.array(start))
            actions.append(action)
        return np.stack(actions, axis=1)

    starts = [[True, True], [False, True], [False, False], [False, False]]
    both = run((3, 4), starts)
    for row, seed in enumerate((3, 4)):
        assert np.array_equal(both[row : row + 1], run((seed,), [[each[row]] for each in starts]))


def test_all_environments_are_compared_in_one_call_where_that_is_asked_for():
    class Counted(FakeCost):
        batches = ()

        def __call__(self, frames, goal):
            self.batches = (*self.batches, len(frames))
            return super().__call__(frames, goal)

    one, many = Counted(), Counted()
    actions = []
    for cost, reproducible in ((one, True), (many, False)):
        planner = ICEM(2, horizon=3, candidates=16, iterations=2)
        mpc = VisualMPC(FakePredictor(), cost, planner, config=AgentConfig(reproducible=reproducible))
        actions.append(mpc.predict(observed(50, 200, 5))[0])
    assert one.batches == (1,) * 10
    assert many.batches == (5, 5)
    np.testing.assert_allclose(*actions, atol=1e-5)


@pytest.mark.parametrize("lead", [(), (2,)])
def test_views_and_depth_reach_the_predictor_in_their_order(lead):
    seen, wanted = (np.arange(6, dtype=np.uint8) * 10 + base for base in (0, 100))
    metres = np.broadcast_to(np.array([2.0, 3.0], np.float32), (*lead, SIZE, SIZE, 2))
    obs = {
        "observation": np.broadcast_to(seen, (*lead, SIZE, SIZE, 6)),
        "desired_goal": np.broadcast_to(wanted, (*lead, SIZE, SIZE, 6)),
    }
    for given, channels in ((obs, 6), ({**obs, "depth": metres, "desired_depth": metres + 1}, 8)):
        predictor = FakePredictor()
        actions, _ = agent(predictor=predictor).predict(given)
        assert actions.shape == (*lead, 2)
        frames = predictor.contexts[0].frames
        assert frames.shape == ((lead or (1,))[0], 1, channels, SIZE, SIZE)
        colours = torch.tensor(seen) / 255
        order = (
            colours
            if channels == 6
            else torch.cat([colours[:3], torch.tensor([2.0]), colours[3:], torch.tensor([3.0])])
        )
        assert torch.allclose(frames[0, 0, :, 0, 0], order)
    first = {name: np.moveaxis(values, -1, -3) for name, values in obs.items()}
    assert np.array_equal(agent().predict(first)[0], agent().predict(obs)[0])


@pytest.mark.parametrize(
    ("depths", "message"),
    [
        (
            {"depth": np.ones((SIZE, SIZE, 1), np.float32)},
            r"desired_depth: expected metres, floats of shape \(12, 12, 1\)",
        ),
        (
            {"depth": np.ones((SIZE, SIZE), np.float32)},
            r"depth: expected metres, floats of shape .* got float32 \(12, 12\)",
        ),
        ({"depth": np.ones((SIZE, SIZE, 1), np.uint8)}, r"depth: expected metres, .* got uint8 \(12, 12, 1\)"),
    ],
)
def test_depth_that_does_not_fit_is_refused(depths, message):
    with pytest.raises(ValueError, match=message):
        agent().predict({**observed(50, 200), **depths})


def test_a_goal_with_depth_may_be_far_away_and_colours_may_not():
    far = torch.full((1, 1, 4, SIZE, SIZE), 0.5)
    far[:, :, 3] = 80.0
    agent(goal=Goal(far))
    far[:, :, 2] = 1.5
    with pytest.raises(ValueError, match="goal: expected floating point frames"):
        agent(goal=Goal(far))
