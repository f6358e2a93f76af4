"""Aggregates by hand, and chunks that nobody can notice."""

from __future__ import annotations

import math

import pytest
import torch

from corrwise.mpc import Aggregate, generator
from corrwise.mpc.config import AGGREGATE_NAMES
from corrwise.mpc.score import score
from corrwise.types import Context, Goal
from tests.fakes import FakeCost, FakePredictor

COSTS = torch.tensor([[[4.0, 1.0, 2.0], [1.0, 1.0, 8.0]]])


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        (Aggregate("sum"), [7.0, 10.0]),
        (Aggregate("mean"), [7 / 3, 10 / 3]),
        (Aggregate("discounted", gamma=0.5), [4 + 0.5 + 0.5, 1 + 0.5 + 2]),
        (Aggregate("discounted", gamma=1.0), [7.0, 10.0]),
        (Aggregate("last-times-k", k=3.0), [11.0, 26.0]),
        (Aggregate("min"), [1.0, 1.0]),
    ],
)
def test_aggregates_by_hand(aggregate, expected):
    torch.testing.assert_close(aggregate(COSTS)[0], torch.tensor(expected))
    assert tuple(aggregate.steps(3)) == (0, 1, 2)


def test_last_asks_for_the_last_step_only():
    assert tuple(Aggregate().steps(8)) == (7,)
    assert torch.equal(Aggregate("last")(COSTS[..., -1:])[0], torch.tensor([2.0, 8.0]))


@pytest.mark.parametrize("name", AGGREGATE_NAMES)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_one_step_that_is_not_finite_loses(name, value):
    aggregate = Aggregate(name)
    costs = COSTS[..., -len(aggregate.steps(3)) :].clone()
    costs[0, 1, -1] = value
    assert aggregate(costs).isfinite().tolist() == [[True, False]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"name": "median"},
            r"unknown aggregate 'median' \(did you mean mean\?\); there are last, sum, mean, discounted, last-",
        ),
        ({"gamma": 0.0}, r"gamma must be in \(0, 1\], got 0.0"),
        ({"gamma": 1.5}, r"gamma must be in \(0, 1\], got 1.5"),
        ({"k": 0.0}, "k must be above zero and finite, got 0.0"),
    ],
)
def test_bad_aggregates_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Aggregate(**values)


def world(batch=2, candidates=13, horizon=5):
    pixels = generator(0, 0)
    context = Context(torch.rand(batch, 1, 3, 8, 8, generator=pixels), torch.zeros(batch, 0, 2))
    goal = Goal(torch.rand(batch, 1, 3, 8, 8, generator=pixels))
    return context, goal, torch.rand(batch, candidates, horizon, 2, generator=pixels) * 2 - 1


@pytest.mark.parametrize("name", AGGREGATE_NAMES)
@pytest.mark.parametrize("max_frames", [1, 7, 30, 100])
def test_chunks_change_nothing_and_bound_the_frames(name, max_frames):
    context, goal, actions = world()
    aggregate, chunked = Aggregate(name), FakePredictor()
    whole = score(FakePredictor(), FakeCost(), context, goal, actions, aggregate=aggregate)
    costs = score(chunked, FakeCost(), context, goal, actions, aggregate=aggregate, max_frames=max_frames)
    assert torch.equal(costs, whole)
    for shape, steps in chunked.asked:
        assert steps == tuple(aggregate.steps(5))
        assert shape[:2] == (1, 1) or shape[0] * shape[1] * len(steps) <= max_frames
    assert sum(shape[0] * shape[1] for shape, _ in chunked.asked) == 2 * 13


def test_a_cost_sees_one_environment_at_a_time_and_the_same_batch_whatever_is_beside_it():
    context, goal, actions = world()
    seen: list[torch.Size] = []

    def cost(frames, goal):
        seen.append(frames.shape)
        return FakeCost()(frames, goal)

    for max_frames in (13, 26, 1000):
        score(FakePredictor(), cost, context, goal, actions, aggregate=Aggregate("last"), max_frames=max_frames)
    assert set(seen) == {(1, 13, 1, 3, 8, 8)}


@pytest.mark.parametrize(("max_frames", "groups"), [(1000, [2]), (13, [1, 1]), (5, [1] * 6)])
def test_a_cost_sees_all_environments_of_a_group_in_one_call_where_that_is_asked_for(max_frames, groups):
    context, goal, actions = world()
    seen = []

    def cost(frames, goal):
        seen.append((len(frames), goal))
        return FakeCost()(frames, goal)

    options = {"aggregate": Aggregate("last"), "max_frames": max_frames}
    costs = score(FakePredictor(), cost, context, goal, actions, reproducible=False, **options)
    assert [batch for batch, _ in seen] == groups
    torch.testing.assert_close(costs, score(FakePredictor(), FakeCost(), context, goal, actions, **options))
    assert groups != [2] or seen[0][1] is goal, "costs know a goal by identity"


@pytest.mark.parametrize("name", AGGREGATE_NAMES)
def test_candidates_and_environments_are_scored_for_themselves(name):
    context, goal, actions = world()
    order = torch.randperm(13, generator=generator(0, 1))
    run = lambda c, g, a: score(FakePredictor(), FakeCost(), c, g, a, aggregate=Aggregate(name))  # noqa: E731
    costs = run(context, goal, actions)
    assert torch.equal(run(context, goal, actions[:, order]), costs[:, order])
    for row in (slice(0, 1), slice(1, 2)):
        alone = run(Context(context.frames[row], context.actions[row]), Goal(goal.frames[row]), actions[row])
        assert torch.equal(alone, costs[row])


def test_wrong_shapes_and_budgets_are_refused():
    context, goal, actions = world()
    run = lambda p, c, **kw: score(p, c, context, goal, actions, aggregate=Aggregate("sum"), **kw)  # noqa: E731
    with pytest.raises(ValueError, match=r"the predictor must return frames of \(B,N,T\) = \(2, 13, 5\), got"):
        run(lambda context, actions, **_: torch.zeros(2, 13, 1, 3, 8, 8), FakeCost())
    with pytest.raises(ValueError, match=r"images of the observation's \(C,h,w\) = \(3, 8, 8\), got \(3, 6, 6\)"):
        run(lambda context, actions, **_: torch.zeros(2, 13, 5, 3, 6, 6), FakeCost())
    with pytest.raises(ValueError, match="the cost must return a tensor of values, got 'three'"):
        score(FakePredictor(), lambda frames, goal: "three", context, goal, actions, aggregate=Aggregate("sum"))
    with pytest.raises(ValueError, match=r"the cost must return values of \(B,N,T\) = \(1, 13, 5\), got \(2, 13\)"):
        run(FakePredictor(), lambda frames, goal: torch.zeros(2, 13))
    for goals in (1, 3):
        with pytest.raises(ValueError, match=f"expected goals for 2 environments, got {goals}"):
            score(FakePredictor(), FakeCost(), context, Goal(torch.zeros(goals, 1, 3, 8, 8)), actions,
                  aggregate=Aggregate("last"))  # fmt: skip
    with pytest.raises(ValueError, match="max_frames must be at least 1, got 0"):
        run(FakePredictor(), FakeCost(), max_frames=0)
