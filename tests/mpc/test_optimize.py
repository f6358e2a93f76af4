"""The loop, and how a proposal moves from one plan to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch

from corrwise.mpc import CEM, ICEM, first_action, generator, new_proposal, reset, shift
from corrwise.mpc.optimize import optimize
from tests.fakes import quadratic


@dataclass(frozen=True)
class Careless:
    """A third-party planner that forgets everything a refit could get wrong."""

    iterations: int = 2

    def init(self, batch):
        return new_proposal(batch, 2, action_dim=1)

    def sample(self, proposal, generators):
        draws = [torch.rand(4, 2, 1, generator=each) for each in generators]
        return torch.stack(draws) * 2 - 1

    def refit(self, proposal, actions, costs):
        weights = torch.softmax(-costs, dim=1)  # NaN where every cost is +inf
        return replace(proposal, mean=(weights[..., None, None] * actions).sum(dim=1))


def filled(seed=0, batch=2):
    planner = ICEM(3, horizon=4, candidates=12)
    gens = [generator(seed, i) for i in range(batch)]
    return optimize(planner, quadratic(torch.tensor(0.5)), planner.init(batch), gens)[0]


def test_loop_keeps_a_careless_planner_safe():
    def score(actions):
        costs = quadratic(torch.tensor(0.5))(actions)
        costs[1] = math.nan
        costs[0, 2] = -math.inf
        return costs

    planner = Careless()
    proposal, trace = optimize(planner, score, planner.init(2), [generator(0, 0), generator(0, 1)])
    assert proposal.iteration == 2
    assert proposal.mean.isfinite().all()
    assert torch.equal(proposal.mean[1], torch.zeros(2, 1))
    assert proposal.best_cost[0] == trace.best_cost[:, 0].min()
    assert proposal.best_cost[1] == math.inf
    assert torch.equal(first_action(planner, proposal), proposal.mean[:, 0])
    assert trace.rejected.tolist() == [2, 8]
    assert trace.candidates == 8


def test_trace_by_hand():
    costs = torch.tensor([[1.0, 2.0, math.nan, 6.0], [math.inf] * 4])
    proposal = replace(Careless(), iterations=1)
    _, trace = optimize(proposal, lambda actions: costs, proposal.init(2), [generator(0, 0), generator(0, 1)])
    assert trace.best_cost.tolist() == [[1.0, math.inf]]
    assert trace.mean_cost.tolist() == [[3.0, math.inf]]
    assert trace.rejected.tolist() == [1, 4]


def test_costs_that_overflow_are_rejected():
    planner = CEM(1)
    score = lambda actions: actions.mean(dim=(-2, -1)).double() * 0 + 1e300  # noqa: E731
    _, trace = optimize(planner, score, planner.init(1), [generator(0, 0)])
    assert trace.rejected.tolist() == [trace.candidates]


def test_shift_moves_every_sequence_on_by_one_step():
    old = filled()
    new = shift(old)
    for name in ("mean", "elites", "best"):
        before, after = getattr(old, name), getattr(new, name)
        assert torch.equal(after[..., :-1, :], before[..., 1:, :]), name
        assert torch.equal(after[..., -1, :], before[..., -1, :]), name
    assert (new.std == old.initial_std).all()
    assert new.iteration == 0
    assert (new.best_cost == math.inf).all()
    assert new.elite_costs.isfinite().all()
    assert (shift(new_proposal(1, 4, action_dim=3, elites=2)).elite_costs == math.inf).all()


def test_reset_begins_the_masked_rows_anew_and_leaves_the_others():
    old = shift(filled(batch=3))
    new = reset(old, torch.tensor([False, True, False]))
    assert not new.mean[1].any()
    assert (new.std[1] == old.initial_std).all()
    assert (new.elite_costs[1] == math.inf).all()
    assert not new.best[1].any()
    assert new.best_cost[1] == math.inf
    for name in ("mean", "std", "elites", "elite_costs", "best", "best_cost"):
        assert torch.equal(getattr(new, name)[[0, 2]], getattr(old, name)[[0, 2]]), name


def test_warm_start_beats_a_cold_one():
    planner = CEM(4, horizon=6)
    score = quadratic(torch.tensor([0.9, -0.9, 0.9, -0.9]))
    gens = [generator(0, i) for i in range(8)]
    proposal, cold = optimize(planner, score, planner.init(8), gens)
    _, warm = optimize(planner, score, shift(proposal), gens)
    assert (warm.best_cost[0] < cold.best_cost[0]).all()


def test_wrong_numbers_of_generators_and_costs_are_refused():
    planner = CEM(1)
    with pytest.raises(ValueError, match="expected 2 generators, one per environment, got 1"):
        optimize(planner, quadratic(torch.tensor(0.0)), planner.init(2), [generator(0, 0)])
    with pytest.raises(ValueError, match=r"expected costs of shape \(1, 48\), got \(48,\)"):
        optimize(planner, lambda actions: torch.zeros(48), planner.init(1), [generator(0, 0)])
