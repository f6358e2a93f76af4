"""The marginal targets of the cases are those of a process that has the marginal law: by its forward equation."""

from math import pi

import pytest
import torch

from corrwise.experiments.studies.time_weights import circle, edits, endpoints, gaussians, jumps, tokens
from corrwise.experiments.studies.time_weights.alignments import EDITS, STRINGS, aligned_states, alignments, edited
from corrwise.experiments.studies.time_weights.exact import LAST, trapezoid
from corrwise.predictors.generative.schedules import PATHS, CondOT

T = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)


def derivative(values, x):
    return torch.autograd.grad(values.sum(), x, create_graph=True)[0]


def mixture_density(path, x, t):
    share, mean, deviation = gaussians.MIXTURE.tensors()
    variance = (path.alpha(t)[:, None] * deviation) ** 2 + path.sigma(t)[:, None] ** 2
    off = x[:, None] - path.alpha(t)[:, None] * mean
    return (share * torch.exp(-(off**2) / (2 * variance)) / (2 * pi * variance).sqrt()).sum(dim=1)


@pytest.mark.parametrize("name", PATHS)
def test_the_mixtures_velocity_moves_its_density_and_is_the_mean_by_quadrature(name):
    path = PATHS[name]()
    x, t = torch.meshgrid(torch.linspace(-3, 3, 13, dtype=torch.float64), T, indexing="ij")
    x, t = x.flatten().requires_grad_(), t.flatten().requires_grad_()
    p, v = mixture_density(path, x, t), gaussians.marginal_velocity(gaussians.MIXTURE, path, x, t)
    assert torch.allclose(derivative(p, t), -derivative(p * v, x), rtol=0, atol=1e-12)
    problem = gaussians.flow_matching(path, T).problem
    sums = torch.zeros(len(problem.time), 2, dtype=torch.float64)
    sums.index_add_(0, problem.state, torch.stack([problem.mass * problem.target[:, 0], problem.mass], dim=1))
    assert torch.allclose(sums[:, 0] / sums[:, 1], problem.wanted[:, 0], rtol=1e-10, atol=1e-12)


def test_the_trapezoidal_rule_integrates_what_varies_like_a_posterior():
    nodes, weights = trapezoid(0.05)
    assert weights.sum() == pytest.approx(1, abs=1e-14)
    assert (weights * nodes**4).sum() == pytest.approx(3, abs=1e-12)
    assert (weights * torch.sigmoid(8 * nodes)).sum() == pytest.approx(0.5, abs=1e-14)


def test_drift_and_diffusion_coefficient_keep_the_marginal_law():
    points = endpoints.line(CondOT())
    x, t = torch.meshgrid(torch.linspace(-1, 2, 13, dtype=torch.float64), T, indexing="ij")
    x, t = x.flatten()[:, None].requires_grad_(), t.flatten()[:, None].requires_grad_()
    off = (x - t * points.places.T) / (1 - t)
    p = (points.shares * torch.exp(-(off**2) / 2)).sum(dim=1, keepdim=True) / (1 - t)
    u, a = points.marginal(lambda *args: endpoints.generator(CondOT(), *args), x, t).split(1, dim=1)
    assert (a > 0).all()
    flow = -derivative(p * u, x) + derivative(derivative(p * a, x), x) / 2
    assert torch.allclose(derivative(p, t), flow, rtol=1e-9, atol=1e-9)


def test_the_circles_velocity_moves_its_density_between_jumps():
    x = torch.linspace(-pi, pi, 2001, dtype=torch.float64)[:-1]
    for t in (0.1, 0.5, 0.9):
        density, _ = circle.marginal(x, torch.full_like(x, t))
        assert density.mean() * 2 * pi == pytest.approx(1, abs=2e-3)
    x, t = torch.meshgrid(torch.linspace(-3, 3, 11, dtype=torch.float64), T, indexing="ij")
    x, t = x.flatten().requires_grad_(), t.flatten().requires_grad_()
    p, v = circle.marginal(x, t)
    assert torch.allclose(derivative(p, t), -derivative(p * v, x), rtol=1e-9, atol=1e-9)


def test_a_wrapped_normal_is_a_density_and_periodic():
    x = 2 * pi * torch.arange(64, dtype=torch.float64) / 64
    assert circle.wrapped_normal(x).mean() * 2 * pi == pytest.approx(1, abs=1e-14)
    assert torch.allclose(circle.wrapped_normal(x), circle.wrapped_normal(x + 2 * pi), rtol=1e-13)


def test_tokens_posterior_is_what_its_enumeration_gives():
    case = tokens.tokens(T)
    chance = case.marginal.target.reshape(-1, 2, 3)
    assert torch.allclose(chance.sum(dim=2), torch.ones(len(chance), 2, dtype=torch.float64))
    sums = torch.zeros(len(chance), 6, dtype=torch.float64)
    sums.index_add_(0, case.problem.state, case.problem.mass[:, None] * case.problem.target)
    assert torch.allclose(sums, case.marginal.mass[:, None] * case.marginal.target, atol=1e-15)


def test_marginal_jump_rates_give_the_marginal_law():
    law, slope = jumps.law(T)
    for t, p, change in zip(T, law, slope, strict=True):
        x = torch.arange(jumps.STATES)
        rates = jumps.marginal_rates(t.expand(jumps.STATES), x)
        assert (rates > 0).all()
        flow = torch.zeros(jumps.STATES, dtype=torch.float64)
        for step in range(1, jumps.STATES):
            moved = p * rates[:, step - 1]
            flow += moved.roll(step) - moved
        assert torch.allclose(flow, change, atol=1e-14)


def test_alignments_of_two_strings_are_all_there_and_each_ends_at_the_second():
    assert len(alignments("", "ab")) == 1
    assert len(alignments("a", "b")) == 3  # substitute, or delete and insert in either order of columns
    assert len(alignments("ab", "ba")) == 13, "Delannoy's number"
    assert all(len(columns) <= 4 for columns in alignments("aab", "abba"))
    for columns in alignments("aab", "ab"):
        *_, last = aligned_states(columns)
        first, *_ = aligned_states(columns)
        assert (first.string, last.string, last.remaining) == ("aab", "ab", ())


def test_remaining_edits_lead_to_the_end_one_after_the_other():
    for columns in alignments("aab", "abba"):
        for state in aligned_states(columns):
            string = state.string
            for edit in reversed(state.remaining):  # those on the left keep their places
                string = edited(string, edit)
            assert string == "abba"


def test_marginal_edit_rates_give_the_marginal_law_of_strings():
    t = T.clone().requires_grad_()
    law = edits.strings_at(t)
    change = torch.stack([derivative(law[:, j], t) for j in range(len(STRINGS))], dim=1)
    for rates, p, slope in zip(edits.marginal_rates(T), law, change, strict=True):
        assert torch.allclose(p @ edits.generator(rates), slope, atol=1e-14)
    first, last = edits.strings_at(torch.tensor([0.0, 1.0], dtype=torch.float64))
    for ends, p in ((edits.BEGINS, first), (edits.ENDS, last)):
        assert {string: float(q) for string, q in zip(STRINGS, p, strict=True) if q > 0} == pytest.approx(ends)


def test_rates_of_edits_that_are_not_allowed_are_zero():
    rates = edits.marginal_rates(T)
    assert rates.shape == (3, len(STRINGS), len(EDITS))
    assert (rates[:, edits.allowed_edits() == 0] == 0).all()


def test_the_final_law_is_that_of_the_data_with_the_true_rates_and_another_with_softened_ones():
    from corrwise.experiments.studies.time_weights.controls import softened

    wanted = edits.strings_at(torch.tensor([LAST], dtype=torch.float64))[0]
    right = edits.final_law(torch.ones_like, LAST, steps=60)
    assert float((right - wanted).abs().sum()) / 2 < 1e-3
    wrong = edits.final_law(softened, LAST, steps=60)
    assert float((wrong - wanted).abs().sum()) / 2 > 0.1
