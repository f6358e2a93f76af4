"""Solvers against the exact flow of a Gaussian; grids and their number of evaluations."""

import sys

import pytest
import torch

from corrwise.predictors.generative import PATHS, SOLVERS, TIME_LAWS, convert, make_path, solve, time_grid
from corrwise.predictors.generative.solvers import solver_evaluations

MEAN, STD = 0.7, 0.4
PATH = make_path("cosine")
START = torch.linspace(-2, 2, 9, dtype=torch.float64)


class GaussianFlow:
    """The velocity of the path to N(MEAN, STD^2), in closed form; it carries x to MEAN alpha + spread(t) x."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, x: torch.Tensor, t: float) -> torch.Tensor:
        self.times.append(t)
        at = torch.tensor(t, dtype=torch.float64)
        a, b, da, db = PATH.alpha(at), PATH.sigma(at), PATH.alpha_dot(at), PATH.sigma_dot(at)
        return da * MEAN + (a * da * STD**2 + b * db) / (a**2 * STD**2 + b**2) * (x - a * MEAN)


EXACT = MEAN + STD * START


def error(method: str, steps: int) -> float:
    times = [each / steps for each in range(steps + 1)]
    return float((solve(GaussianFlow(), START, times, method) - EXACT).abs().max())


@pytest.mark.parametrize("method", [name for name, solver in SOLVERS.items() if not solver.adaptive])
def test_fixed_steps_converge_at_their_order(method: str) -> None:
    halved = error(method, 64) / error(method, 128)
    assert 2 ** SOLVERS[method].order * 0.9 < halved < 2 ** SOLVERS[method].order * 1.15


@pytest.mark.parametrize("method", [name for name, solver in SOLVERS.items() if solver.adaptive])
def test_adaptive_steps_keep_their_tolerance(method: str) -> None:
    pytest.importorskip("torchdiffeq")
    flow = GaussianFlow()
    solved = solve(flow, START, (0.0, 1.0), method)
    assert (solved - EXACT).abs().max() < 1e-4
    assert max(flow.times) < 1


@pytest.mark.parametrize("name", PATHS)
def test_the_flow_carries_the_quantiles_of_noise_to_those_of_a_mixture(name: str) -> None:
    """In one dimension the flow keeps the order, so what lies below x stays the same share."""
    path, weights, means, std = (
        make_path(name),
        torch.tensor([0.3, 0.7]).double(),
        torch.tensor([-1.0, 1.5]).double(),
        0.3,
    )

    def velocity(x: torch.Tensor, t: float) -> torch.Tensor:
        at = torch.tensor(t, dtype=torch.float64)
        a, variance = path.alpha(at), (path.alpha(at) * std) ** 2 + path.sigma(at) ** 2
        away = x[:, None] - a * means
        share = torch.softmax(weights.log() - away**2 / (2 * variance), dim=1)
        mean = (share * (means + a * std**2 / variance * away)).sum(1)  # of the data, given x
        return convert(path, mean, x, at, "data", "velocity")

    below = torch.linspace(0.02, 0.98, 25, dtype=torch.float64)
    x = solve(velocity, torch.special.ndtri(below), time_grid("uniform", 400, "midpoint"), "midpoint")
    reached = (weights * torch.special.ndtr((x[:, None] - means) / std)).sum(1)
    torch.testing.assert_close(reached, below, rtol=0, atol=5e-3 if name == "vp" else 1e-3)  # vp leaves data at t = 0


@pytest.mark.parametrize("method", [name for name, solver in SOLVERS.items() if not solver.adaptive])
@pytest.mark.parametrize("evaluations", [2, 3, 8])
@pytest.mark.parametrize("law", TIME_LAWS)
def test_a_grid_spends_at_most_its_evaluations(law: str, evaluations: int, method: str) -> None:
    times = time_grid(law, evaluations, method)
    flow = GaussianFlow()
    solve(flow, START, times, method)
    assert times[0] == 0
    assert times[-1] == 1
    assert len(flow.times) == solver_evaluations(times, method)
    assert evaluations - 1 <= len(flow.times) <= evaluations
    assert max(flow.times) < 1


def test_grids_are_dense_where_their_law_is() -> None:
    assert time_grid("uniform", 4) == (0, 0.25, 0.5, 0.75, 1)
    assert time_grid("shifted:shift=3", 2) == (0, 0.25, 1)  # noise time 1/2 becomes 3/4
    assert time_grid("uniform", 2, start=0.5) == (0.5, 0.75, 1)


def test_one_evaluation_is_one_step() -> None:
    assert time_grid("uniform", 1) == (0, 1)
    assert time_grid("uniform", 1, "heun") == (0, 1)


@pytest.mark.parametrize("evaluations", [0, -1])
def test_no_evaluations_are_refused(evaluations: int) -> None:
    with pytest.raises(ValueError, match=f"function evaluations must be at least 1, got {evaluations}"):
        time_grid("uniform", evaluations)


def test_fewer_evaluations_than_a_step_takes_are_refused() -> None:
    with pytest.raises(ValueError, match="solver midpoint takes 2 function evaluations a step, got 1"):
        time_grid("uniform", 1, "midpoint")


def test_a_solver_without_its_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchdiffeq", None)
    with pytest.raises(ModuleNotFoundError, match=r"dopri5 needs the package torchdiffeq.*corrwise\[generative\]"):
        solve(GaussianFlow(), START, (0.0, 1.0), "dopri5")


@pytest.mark.parametrize(
    ("times", "sentence"),
    [
        ((0.0,), "two or more that increase, got 0"),
        ((0.0, 0.5, 0.5), "two or more that increase, got 0 0.5 0.5"),
        ((0.5, 1.5), r"t must lie in \[0, 1\], got 1.5"),
    ],
)
def test_times_that_are_no_grid_are_refused(times: tuple[float, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        solve(GaussianFlow(), START, times)
    with pytest.raises(ValueError, match=r"unknown solver 'euller' .did you mean euler"):
        solve(GaussianFlow(), START, (0.0, 1.0), "euller")
