"""What all planners share, over the registry, and how near each comes to the optimum of a quadratic."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from corrwise.mpc import CEM, ICEM, MPPI, PLANNERS, RandomShooting, generator, planned_actions
from corrwise.mpc.optimize import optimize
from corrwise.testing import check_planner
from tests.fakes import quadratic

ALL = pytest.mark.parametrize("make", PLANNERS.values(), ids=PLANNERS.keys())


@ALL
def test_keeps_the_contract(make):
    check_planner(make)


def test_best_executing_cem_keeps_the_contract():
    check_planner(partial(CEM, executes="best"))


@pytest.mark.parametrize(
    ("planner", "reaches"),
    [
        (RandomShooting(1, horizon=3, candidates=256, iterations=10), 0.02),
        (CEM(2, horizon=4, candidates=128, iterations=10), 0.003),
        (ICEM(2, horizon=4, candidates=64, iterations=10), 0.01),
        (MPPI(2, horizon=4, candidates=256, iterations=10), 0.01),
    ],
    ids=lambda value: type(value).__name__,
)
def test_reaches_the_optimum_of_a_quadratic(planner, reaches):
    score = quadratic(torch.linspace(-0.8, 0.5, planner.action_dim))
    proposal, _ = optimize(planner, score, planner.init(8), [generator(0, i) for i in range(8)])
    costs = score(planned_actions(planner, proposal)[:, None])
    assert costs.max() < reaches


@ALL
@pytest.mark.parametrize("horizon", [1, 2, 7, 8])
@pytest.mark.parametrize("action_dim", [1, 17])
def test_three_environments_equal_three_runs_of_one_to_the_last_bit(make, horizon, action_dim):
    planner = make(action_dim, horizon=horizon, candidates=48)
    targets = torch.rand(3, 1, horizon, action_dim, generator=generator(1, 0)) * 2 - 1
    together, trace = optimize(planner, quadratic(targets), planner.init(3), [generator(5, i) for i in range(3)])
    for row in range(3):
        alone, single = optimize(planner, quadratic(targets[row]), planner.init(1), [generator(5, row)])
        for name in ("mean", "std", "elites", "elite_costs", "best", "best_cost"):
            assert torch.equal(getattr(together, name)[row], getattr(alone, name)[0]), name
        assert torch.equal(trace.best_cost[:, row], single.best_cost[:, 0])


@ALL
def test_the_order_of_candidates_does_not_matter(make):
    planner = make(3)
    start = planner.init(2)
    actions = planner.sample(start, [generator(0, 0), generator(0, 1)])
    costs = quadratic(torch.tensor(0.3))(actions)
    order = torch.randperm(actions.shape[1], generator=generator(2, 0))
    one, two = planner.refit(start, actions, costs), planner.refit(start, actions[:, order], costs[:, order])
    for name in ("mean", "std", "elites", "elite_costs", "best", "best_cost"):
        assert torch.equal(getattr(one, name), getattr(two, name)), name


@ALL
def test_smallest_sizes_work(make):
    planner = make(1, horizon=1, candidates=1, iterations=1)
    proposal, _ = optimize(planner, quadratic(torch.tensor(0.5)), planner.init(1), [generator(0, 0)])
    assert proposal.best_cost.isfinite().all()
    assert proposal.std.isfinite().all()


@ALL
@pytest.mark.parametrize("size", ["action_dim", "horizon", "candidates", "iterations"])
@pytest.mark.parametrize("value", [0, -3])
def test_sizes_below_one_are_refused(make, size, value):
    with pytest.raises(ValueError, match=f"{size} must be at least 1, got {value}"):
        make(**{"action_dim": 2, size: value})


@ALL
@pytest.mark.parametrize("size", ["action_dim", "horizon", "candidates", "iterations"])
def test_sizes_that_are_not_whole_are_refused(make, size, unhooked):
    with pytest.raises(ValueError, match=f"{size} must be a whole number, got 2.5"):
        make(**{"action_dim": 2, size: 2.5})


@ALL
def test_no_environments_are_refused(make):
    with pytest.raises(ValueError, match="batch must be at least 1, got 0"):
        make(2).init(0)
