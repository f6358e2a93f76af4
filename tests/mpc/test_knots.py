"""Splines between knots: what they pass through, how they move on, and that every planner plans with them."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from corrwise.mpc import CEM, ICEM, PLANNERS, Knots, first_action, generator, planned_actions, shift
from corrwise.mpc.optimize import optimize
from corrwise.testing import check_planner
from tests.fakes import quadratic

INTERPOLATIONS = ("zero", "linear", "cubic")
ALL = pytest.mark.parametrize("interpolation", INTERPOLATIONS)


def spline(interpolation, *, knots=4, horizon=11, action_dim=2, make=CEM, **options):
    return Knots(make(action_dim, horizon=knots, **options), horizon, interpolation)


def drawn(knots, action_dim=2):
    return 2 * torch.rand(3, 5, knots, action_dim, generator=generator(0, 0)) - 1


@pytest.mark.parametrize("make", PLANNERS.values(), ids=PLANNERS.keys())
@ALL
def test_every_planner_with_knots_keeps_the_contract(make, interpolation):
    def with_knots(action_dim, *, horizon, **sizes):
        return Knots(make(action_dim, horizon=3, **sizes), horizon, interpolation)

    check_planner(with_knots)


@ALL
@pytest.mark.parametrize(("knots", "horizon"), [(1, 1), (1, 7), (2, 2), (3, 8), (4, 11), (5, 12), (7, 7)])
def test_constant_knots_give_constant_actions_of_any_horizon(interpolation, knots, horizon):
    planner = spline(interpolation, knots=knots, horizon=horizon)
    same = torch.tensor([0.3, -1.0]).expand(2, 5, knots, 2)
    torch.testing.assert_close(planner.to_actions(same), torch.tensor([0.3, -1.0]).expand(2, 5, horizon, 2))
    torch.testing.assert_close(planner.one_step_later(same), same)


@ALL
def test_as_many_knots_as_steps_are_the_actions_and_move_on_as_they_do(interpolation):
    planner, knots = spline(interpolation, knots=7, horizon=7), drawn(7)
    assert torch.equal(planner.to_actions(knots), knots)
    moved = planner.one_step_later(knots)
    assert torch.equal(moved, torch.cat([knots[..., 1:, :], knots[..., -1:, :]], dim=-2))


@pytest.mark.parametrize("make", PLANNERS.values(), ids=PLANNERS.keys())
def test_plans_with_as_many_held_knots_as_steps_are_those_without(make):
    score, sizes = quadratic(torch.tensor([0.4, -0.9])), {"horizon": 5, "candidates": 16}
    plain, held = make(2, **sizes), Knots(make(2, **sizes), 5, "zero")
    proposals = []
    for planner in (plain, held):
        gens, proposal = [generator(0, 0)], planner.init(1)
        for _ in range(2):
            proposal, _ = optimize(planner, score, shift(proposal, planner), gens)
        proposals.append(proposal)
    assert torch.equal(planned_actions(plain, proposals[0]), planned_actions(held, proposals[1]))
    assert torch.equal(proposals[0].std, proposals[1].std)


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
def test_splines_pass_through_their_knots(interpolation):
    planner, knots = spline(interpolation, knots=4, horizon=13), drawn(4)
    torch.testing.assert_close(planner.to_actions(knots)[..., [0, 4, 8, 12], :], knots)


def test_a_line_between_two_knots_is_straight():
    planner = spline("linear", knots=2, horizon=5, action_dim=1)
    line = planner.to_actions(torch.tensor([[-1.0], [1.0]]))
    torch.testing.assert_close(line[:, 0], torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0]))


def test_held_knots_share_the_horizon():
    planner = spline("zero", knots=3, horizon=8, action_dim=1)
    held = planner.to_actions(torch.tensor([[0.1], [0.2], [0.3]]))
    torch.testing.assert_close(held[:, 0], torch.tensor([0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.3, 0.3]))


def test_a_cubic_that_overshoots_is_clipped_and_elsewhere_smoother_than_lines():
    bumps = torch.tensor([[0.0], [1.0], [1.0], [0.0]])
    cubic, linear = (spline(name, knots=4, horizon=31, action_dim=1).to_actions(bumps) for name in ("cubic", "linear"))
    assert cubic.max() == 1
    assert (cubic[10:21] == 1).all(), "between the two ones it would rise above them"
    bend = lambda actions: actions.diff(dim=0).diff(dim=0).abs().max()  # noqa: E731
    small = [spline(name, knots=4, horizon=31, action_dim=1).to_actions(0.5 * bumps) for name in ("cubic", "linear")]
    assert small[0].max() > 0.5
    assert bend(small[0]) < bend(small[1])
    assert linear.max() == 1


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
def test_the_spline_moves_on_by_one_control_step(interpolation):
    planner, knots = spline(interpolation, knots=4, horizon=13), drawn(4)
    before, after = planner.to_actions(knots), planner.to_actions(planner.one_step_later(knots))
    torch.testing.assert_close(after[..., [0, 4, 8], :], before[..., [1, 5, 9], :])
    torch.testing.assert_close(after[..., 12, :], before[..., 12, :])


def test_held_knots_move_on_though_a_step_is_less_than_a_knot():
    planner = spline("zero", knots=2, horizon=6, action_dim=1)
    knots = torch.tensor([[0.0], [0.9]])
    torch.testing.assert_close(planner.one_step_later(knots), torch.tensor([[0.3], [0.9]]))
    for _ in range(40):
        knots = planner.one_step_later(knots)
    torch.testing.assert_close(knots, torch.full((2, 1), 0.9))


def test_the_warm_start_of_knots_beats_a_cold_one_and_executes_the_spline():
    planner = spline("linear", knots=3, horizon=12, make=ICEM)
    score, gens = quadratic(torch.linspace(-0.9, 0.9, 12)[:, None].expand(12, 2)), [generator(0, i) for i in range(8)]
    proposal, cold = optimize(planner, score, planner.init(8), gens)
    assert proposal.mean.shape == (8, 3, 2)
    assert planned_actions(planner, proposal).shape == (8, 12, 2)
    assert torch.equal(first_action(planner, proposal), planned_actions(planner, proposal)[:, 0])
    _, warm = optimize(planner, score, shift(proposal, planner), gens)
    assert (warm.best_cost[0] < cold.best_cost[0]).all()


def test_three_environments_with_knots_equal_three_runs_of_one_to_the_last_bit():
    planner = spline("cubic", knots=4, horizon=11, action_dim=17)
    targets = torch.rand(3, 1, 11, 17, generator=generator(1, 0)) * 2 - 1
    together, _ = optimize(planner, quadratic(targets), planner.init(3), [generator(5, i) for i in range(3)])
    for row in range(3):
        alone, _ = optimize(planner, quadratic(targets[row]), planner.init(1), [generator(5, row)])
        for plan in (lambda proposal: proposal, partial(shift, planner=planner)):
            assert torch.equal(plan(together).mean[row], plan(alone).mean[0])
        assert torch.equal(planned_actions(planner, together)[row], planned_actions(planner, alone)[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: spline("linear", knots=5, horizon=4), "knots must be at most the horizon of 4 steps, got 5"),
        (lambda: Knots(CEM(1), 12, "quartic"), "unknown interpolation 'quartic'; there are zero, linear, cubic"),
        (lambda: Knots(CEM(1, horizon=1), 0), "horizon must be at least 1, got 0"),
        (lambda: Knots(CEM(1, horizon=1), 2.5), "horizon must be a whole number, got 2.5"),
    ],
)
def test_splines_that_cannot_be_are_refused(make, message, unhooked):
    with pytest.raises(ValueError, match=message):
        make()
