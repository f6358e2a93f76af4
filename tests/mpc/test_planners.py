"""What makes each planner itself."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest
import torch

from corrwise.mpc import (
    CEM,
    ICEM,
    MPPI,
    AgentConfig,
    RandomShooting,
    first_action,
    generator,
    planned_actions,
    shift,
)
from corrwise.mpc.optimize import optimize
from corrwise.mpc.planners import softmin
from tests.fakes import quadratic


def sampled(planner, proposal, seed=0):
    return planner.sample(proposal, [generator(seed, i) for i in range(len(proposal.mean))])


def test_random_shooting_covers_the_box_evenly():
    planner = RandomShooting(1, candidates=20_000, horizon=1)
    actions = sampled(planner, planner.init(1))
    assert actions.min() < -0.99
    assert actions.max() > 0.99
    assert actions.std().item() == pytest.approx(3**-0.5, rel=0.02)


def test_actions_held_longer_than_the_horizon_take_no_more_memory():
    whole, longer = (
        sampled(planner, planner.init(1))
        for planner in (RandomShooting(2, horizon=5, hold=hold) for hold in (5, 10**30))
    )
    assert torch.equal(whole, longer)


def test_random_shooting_holds_its_actions():
    planner = RandomShooting(2, horizon=5, hold=2)
    steps = sampled(planner, planner.init(1)).unbind(dim=2)
    assert len(steps) == 5
    assert torch.equal(steps[0], steps[1])
    assert torch.equal(steps[2], steps[3])
    assert not torch.equal(steps[1], steps[2])


def test_random_shooting_executes_the_best_of_all_iterations():
    planner = RandomShooting(2, iterations=5)
    seen = []

    def score(actions):
        seen.append(actions)
        return quadratic(torch.tensor(0.4))(actions)

    proposal, trace = optimize(planner, score, planner.init(1), [generator(0, 0)])
    candidates = torch.cat(seen, dim=1)
    cheapest = quadratic(torch.tensor(0.4))(candidates).argmin()
    assert torch.equal(first_action(planner, proposal)[0], candidates[0, cheapest, 0])
    assert proposal.best_cost[0] == trace.best_cost.min()


def test_cem_scores_its_mean_and_fits_the_elites_by_hand():
    planner = CEM(1, horizon=1, candidates=4, elite_fraction=0.5, momentum=0.5, min_std=0.0)
    start = planner.init(1)
    assert sampled(planner, start)[0, 0].item() == 0
    actions = torch.tensor([-1.0, 0.2, 0.6, 1.0])[None, :, None, None]
    proposal = planner.refit(start, actions, torch.tensor([[4.0, 1.0, 2.0, 3.0]]))
    assert proposal.mean.item() == pytest.approx(0.5 * 0.4)  # the elites are 0.2 and 0.6
    assert proposal.std.item() == pytest.approx(0.5 * 0.5 + 0.5 * 0.2)


def test_cem_leaves_rejected_candidates_out_of_the_fit():
    planner = CEM(1, horizon=1, candidates=4, elite_fraction=0.5, momentum=0.0, min_std=0.01)
    actions = torch.tensor([-1.0, 0.2, 0.6, 1.0])[None, :, None, None]
    costs = torch.tensor([[math.inf, 1.0, math.inf, math.inf]])
    proposal = planner.refit(planner.init(1), actions, costs)
    assert proposal.mean.item() == pytest.approx(0.2)
    assert proposal.std.item() == pytest.approx(0.01)


@pytest.mark.parametrize("executes", ["mean", "best"])
def test_cem_executes_what_it_is_told_to(executes):
    planner = CEM(2, executes=executes)
    proposal, _ = optimize(planner, quadratic(torch.tensor(0.4)), planner.init(1), [generator(0, 0)])
    assert torch.equal(planned_actions(planner, proposal), getattr(proposal, executes))
    assert not torch.equal(proposal.mean, proposal.best)


def test_icem_population_decays_to_twice_the_elites():
    planner = ICEM(1, candidates=40, iterations=6, elite_fraction=0.25)
    assert planner.elites == 10
    assert [planner.population(i) for i in range(6)] == [40, 32, 25, 20, 20, 20]
    _, trace = optimize(planner, quadratic(torch.tensor(0.0)), planner.init(1), [generator(0, 0)])
    assert trace.candidates == 40 + 32 + 25 + 20 + 20 + 20


def test_icem_scores_its_kept_elites_again_within_and_after_a_plan():
    planner = ICEM(2, candidates=40, elite_fraction=0.25, keep_fraction=0.3)
    start = planner.init(1)
    fresh = sampled(planner, start)
    proposal = planner.refit(start, fresh, quadratic(torch.tensor(0.4))(fresh))
    assert torch.equal(sampled(planner, proposal)[:, :3], proposal.elites[:, :3])
    later = sampled(planner, shift(proposal))
    assert torch.equal(later[:, :3, :-1], proposal.elites[:, :3, 1:])
    assert not torch.equal(later[:, 3, :-1], proposal.elites[:, 3, 1:])


def test_icem_fills_empty_slots_without_drawing_differently():
    planner = ICEM(2)
    start = planner.init(1)
    fresh = sampled(planner, start)
    warm = shift(planner.refit(start, fresh, quadratic(torch.tensor(0.4))(fresh)))
    one, two = [generator(3, 0)], [generator(3, 0)]
    planner.sample(start, one)
    planner.sample(warm, two)
    assert torch.equal(one[0].get_state(), two[0].get_state())


def test_icem_adds_its_mean_in_the_last_iteration_only():
    planner = ICEM(2, iterations=2)
    scored = []

    def score(actions):
        scored.append(actions)
        return quadratic(torch.tensor(0.4))(actions)

    first = sampled(planner, planner.init(1))
    middle = replace(planner.refit(planner.init(1), first, score(first)), iteration=1)
    assert torch.equal(sampled(planner, middle)[:, -1], middle.mean)
    assert not torch.equal(scored[0][:, -1], planner.init(1).mean)


def test_mppi_temperature_goes_from_the_best_to_the_mean():
    actions = sampled(planner := MPPI(3), start := planner.init(1))
    costs = quadratic(torch.tensor(0.4))(actions)

    def mean(temperature):
        return MPPI(3, temperature=temperature).refit(start, actions, costs).mean

    torch.testing.assert_close(mean(1e-4)[0], actions[0, costs[0].argmin()])
    torch.testing.assert_close(mean(1e6), actions.mean(dim=1), atol=1e-5, rtol=0)


def test_mppi_weights_by_hand():
    costs = torch.tensor([1.0, 3.0, math.inf])  # the finite ones have standard deviation 1
    expected = torch.tensor([1.0, math.exp(-2 / 0.5), 0.0])
    torch.testing.assert_close(softmin(costs, 0.5), expected / expected.sum())


@pytest.mark.parametrize(("scale", "offset"), [(1e-6, 0.0), (1e4, 0.0), (1.0, 100.0), (1e30, 0.0)])
def test_mppi_does_not_mind_the_unit_of_the_costs(scale, offset):
    costs = torch.rand(32, generator=generator(0, 0))
    torch.testing.assert_close(softmin(costs * scale + offset, 0.5), softmin(costs, 0.5), atol=1e-4, rtol=1e-3)


def test_mppi_weighs_equal_costs_alike():
    torch.testing.assert_close(softmin(torch.full((4,), 0.1), 0.5), torch.full((4,), 0.25))


@pytest.mark.parametrize(
    ("planner", "values", "message"),
    [
        (CEM, {"elite_fraction": 0.0}, r"elite_fraction must be in \(0, 1\], got 0.0"),
        (CEM, {"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
        (CEM, {"initial_std": 0.0}, "initial_std must be above zero and finite, got 0.0"),
        (ICEM, {"decay": 0.5}, "decay must be at least 1 and finite, got 0.5"),
        (ICEM, {"keep_fraction": 2.0}, r"keep_fraction must be in \[0, 1\], got 2.0"),
        (ICEM, {"noise_beta": -1.0}, "noise_beta must be zero or above, got -1.0"),
        (MPPI, {"temperature": 0.0}, "temperature must be above zero and finite, got 0.0"),
        (MPPI, {"temperature": math.nan}, "temperature must be above zero and finite, got nan"),
        (MPPI, {"temperature": "high"}, "temperature must be a number, got high"),
        (MPPI, {"temperature": True}, "temperature must be a number, got True"),
        (ICEM, {"noise_beta": math.inf}, "noise_beta must be zero or above and finite, got inf"),
        (CEM, {"executes": "worst"}, "unknown executes 'worst'; there are mean, best"),
        (MPPI, {"correlation": 1.0}, r"correlation must be in \[0, 1\), got 1.0"),
        (RandomShooting, {"hold": 1.5}, "hold must be a whole number, got 1.5"),
        (RandomShooting, {"hold": 0}, "hold must be at least 1, got 0"),
    ],
)
def test_options_out_of_range_are_refused(planner, values, message, unhooked):
    with pytest.raises(ValueError, match=message):
        planner(2, **values)


FLOATS = [
    (config, option.name)
    for config in (CEM, ICEM, MPPI, AgentConfig)
    for option in fields(config)
    if isinstance(option.default, float)
]


@pytest.mark.parametrize(("config", "option"), FLOATS, ids=lambda value: getattr(value, "__name__", value))
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_settings_that_are_not_finite_are_refused(config, option, value):
    with pytest.raises(
        ValueError, match=rf"{option} must be (finite|zero or above|.* and finite|in [\[(].*), got {value}"
    ):
        config(**({} if config is AgentConfig else {"action_dim": 2}), **{option: value})
