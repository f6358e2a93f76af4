"""Each case of the weight theorem: its sums are accurate, its minimiser the marginal target, and controls fail."""

import pytest
import torch

from corrwise.experiments.studies.time_weights.cases import CASES, path_of
from corrwise.experiments.studies.time_weights.controls import CONTROLS, LOG_ONLY, SMALL_MODEL, small_model
from corrwise.experiments.studies.time_weights.divergences import DIVERGENCES
from corrwise.experiments.studies.time_weights.exact import FIRST, LAST, gauss_legendre
from corrwise.experiments.studies.time_weights.gaussians import flow_matching
from corrwise.experiments.studies.time_weights.measure import (
    gradients,
    minimiser,
    network,
    relative_difference,
    scaled_difference,
)
from corrwise.experiments.studies.time_weights.weighting import all_laws, all_weights, factors
from corrwise.predictors.generative.schedules import CondOT

TIMES, WIDTHS = gauss_legendre(3, FIRST, LAST)
FEW = ["velocity", "data", "min-snr"]


@pytest.fixture(scope="module")
def cases():
    return {name: build(TIMES) for name, build in CASES.items()}


def differences(case, factor):
    model = network(case.conditional.x.shape[1], case.outputs, hidden=8, seed=0)
    both = gradients(case, model)
    return relative_difference(factor @ both.conditional, factor @ both.marginal)


@pytest.mark.parametrize("name", CASES)
def test_masses_are_probabilities_of_each_time(cases, name):
    for terms in (cases[name].conditional, cases[name].marginal):
        total = torch.zeros(len(TIMES), dtype=torch.float64).index_add(0, terms.time, terms.mass)
        assert torch.allclose(total, torch.ones_like(total), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_gradients_of_both_losses_are_equal_for_every_weight_and_law(cases, name):
    case = cases[name]
    model = network(case.conditional.x.shape[1], case.outputs, hidden=8, seed=0)
    both = gradients(case, model)
    assert (both.marginal.abs().amax(dim=1) > 0).all()
    for weight in all_weights(()):
        for factor in factors(weight, all_laws(()), path_of(name), TIMES, WIDTHS):
            assert relative_difference(factor @ both.conditional, factor @ both.marginal) <= 1e-10


@pytest.mark.parametrize("name", CASES)
def test_the_unrestricted_minimiser_is_the_marginal_target_for_every_weight(cases, name):
    for weight in FEW:
        (factor,) = factors(weight, ["uniform"], path_of(name), TIMES, WIDTHS)
        assert scaled_difference(minimiser(cases[name], factor), cases[name].problem.wanted) <= 1e-8


@pytest.mark.parametrize("name", [name for name in CONTROLS if name != SMALL_MODEL])
def test_controls_fail_both_checks(name):
    control = CONTROLS[name]
    right = control.build(TIMES)
    factor = 1 / (1.2 - TIMES)
    changed = control.change(right, factor)
    assert differences(changed, WIDTHS) > 1e-3
    assert scaled_difference(minimiser(changed, WIDTHS), right.problem.wanted) > 1e-3


def test_a_weight_on_the_logarithm_alone_multiplies_the_rates():
    control, factor = CONTROLS[LOG_ONLY], 1 / (1.2 - TIMES)
    right = control.build(TIMES)
    rates, wanted = minimiser(control.change(right, factor), WIDTHS), right.problem.wanted
    predicted = factor[right.problem.time][:, None] * wanted
    assert scaled_difference(rates, predicted) <= 1e-8
    same = control.change(right, torch.ones_like(factor))
    assert scaled_difference(minimiser(same, WIDTHS), wanted) <= 1e-8, "a weight of 1 changes nothing"


def test_a_small_models_minimiser_depends_on_the_weight_but_not_its_gradient():
    case = CONTROLS[SMALL_MODEL].build(TIMES)
    one, two = (factors(weight, ["uniform"], CondOT(), TIMES, WIDTHS)[0] for weight in ("data", "velocity"))
    assert differences(case, two) <= 1e-10
    assert scaled_difference(small_model(case, one), small_model(case, two)) > 1e-2


@pytest.mark.parametrize("step", [0.8, 1.2])
def test_a_coarse_rule_fails_the_check_so_the_two_sums_are_no_identity(step):
    case = flow_matching(CondOT(), TIMES, step=step)
    assert differences(case, WIDTHS) > 1e-10


@pytest.mark.parametrize("name", DIVERGENCES)
def test_slopes_are_derivatives_and_divergences_are_zero_at_equal_values_alone(name):
    divergence = DIVERGENCES[name]
    raw = torch.linspace(-2, 1.5, 8, dtype=torch.float64, requires_grad=True)
    b = divergence.read(raw)
    (slope,) = torch.autograd.grad(divergence.phi(b).sum(), b)
    assert torch.allclose(slope, divergence.slope(b))
    pairs = divergence(b[:, None].repeat(1, 8).reshape(-1, 1), raw.repeat(8)[:, None]).reshape(8, 8)
    assert torch.allclose(pairs.diag(), torch.zeros(8, dtype=torch.float64), atol=1e-14)
    assert (pairs + torch.eye(8) > 1e-6).all()
