"""The contracts of every registered path, time law, weight and solver; and each contract fails for a broken part."""

from dataclasses import dataclass
from functools import partial

import pytest
import torch

from corrwise.predictors.generative import PATHS, SOLVERS, TIME_LAWS, WEIGHTS, solve
from corrwise.predictors.generative.named import make_named
from corrwise.predictors.generative.schedules import CondOT
from corrwise.predictors.generative.time_laws import Shifted, Uniform
from corrwise.predictors.generative.weights import DataWeight
from corrwise.testing import check_path, check_solver, check_time_law, check_time_weight

OPTIONS = {  # beside the defaults of each
    "path": ["vp:low=0.2,high=10", "polynomial:power=3"],
    "time law": ["logit-normal:mean=1,std=0.5", "mode:scale=-0.5", "skewed:mean=-0.4", "shifted:shift=0.5"],
    "weight": ["min-snr:gamma=3", "flowfusion:power=1,epsilon=0.1", "clipped-inverse:gamma=0.5", "edm:sigma_data=1"],
}


@pytest.mark.parametrize("text", [*PATHS, *OPTIONS["path"]])
def test_each_path(text):
    check_path(make_named("path", PATHS, text))


@pytest.mark.parametrize("text", [*TIME_LAWS, *OPTIONS["time law"]])
def test_each_time_law(text):
    check_time_law(make_named("time law", TIME_LAWS, text))


@pytest.mark.parametrize("text", [*WEIGHTS, *OPTIONS["weight"]])
def test_each_weight(text):
    check_time_weight(make_named("weight", WEIGHTS, text))


@pytest.mark.parametrize("method", SOLVERS)
def test_each_solver(method):
    if SOLVERS[method].adaptive:
        pytest.importorskip("torchdiffeq")
    check_solver(partial(solve, method=method), order=None if SOLVERS[method].adaptive else SOLVERS[method].order)


@pytest.mark.parametrize("registry", [PATHS, TIME_LAWS, WEIGHTS], ids=["path", "time law", "weight"])
def test_the_text_of_a_part_makes_it_again(registry):
    what = {id(PATHS): "path", id(TIME_LAWS): "time law", id(WEIGHTS): "weight"}[id(registry)]
    for text in [*registry, *OPTIONS[what]]:
        assert str(make_named(what, registry, text)) == text


def broken(kind, **methods):
    """Return a part of that kind with other methods."""
    return dataclass(frozen=True)(type(kind.__name__, (kind,), methods))()


BROKEN = {
    "alpha must not fall": (check_path, broken(CondOT, alpha=lambda self, t: 1 - t)),
    "alpha(1) must be 1 exactly": (check_path, broken(CondOT, alpha=lambda self, t: 0.5 * t)),
    "alpha_dot is not the derivative of alpha": (check_path, broken(CondOT, alpha=lambda self, t: t**2)),
    "determinant must be": (check_path, broken(CondOT, determinant=lambda self, t: 2 + 0 * t)),
    "alpha must keep the shape and type": (check_path, broken(CondOT, alpha=lambda self, t: t.double())),
    "the density must be positive": (check_time_law, broken(Uniform, density=lambda self, t: 0 * t)),
    "the density must integrate to 1": (check_time_law, broken(Uniform, density=lambda self, t: 0 * t + 1.1)),
    "the distribution must be the integral": (check_time_law, broken(Uniform, distribution=Shifted().distribution)),
    "the quantile must invert": (check_time_law, broken(Uniform, quantile=lambda self, u: u**2)),
    "samples must come from the generator": (
        check_time_law,
        broken(Uniform, sample=lambda self, n, generator, low=0, high=1: torch.rand(n)),
    ),
    "do not follow the law": (
        check_time_law,
        broken(Uniform, sample=lambda self, n, generator, low=0, high=1: torch.rand(n, generator=generator) ** 2),
    ),
    "must be positive and finite inside (0, 1), got 0": (
        check_time_weight,
        broken(DataWeight, factor=lambda self, path, t: (t - 0.5).clamp(min=0)),
    ),
    "keep the shape and type of t": (
        check_time_weight,
        broken(DataWeight, factor=lambda self, path, t: torch.ones_like(t).double()),
    ),
    "a t outside [0, 1] was accepted": (
        check_time_weight,
        broken(DataWeight, __call__=lambda self, path, t: torch.ones_like(t)),
    ),
    "the error must fall by 4": (partial(check_solver, order=2), partial(solve, method="euler")),
    "was evaluated from": (partial(check_solver, order=1), lambda v, x, times: [v(x, 1.0), solve(v, x, times)][1]),
    "x was changed in place": (
        partial(check_solver, order=1),
        lambda v, x, times: [solve(v, x.clone(), times), x.add_(1e-9)][0],
    ),
}


@pytest.mark.parametrize("promise", BROKEN)
def test_each_promise_is_broken_by_a_broken_part(promise):
    check, part = BROKEN[promise]
    with pytest.raises(AssertionError) as failed:
        check(part)
    assert promise in str(failed.value)
