"""The contracts of the parts of generative predictors: paths, time laws, weights over time and solvers."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import TYPE_CHECKING, Any

from corrwise.testing.expectations import expect, refuses

if TYPE_CHECKING:
    from corrwise.predictors.generative import Path, TimeLaw, Weight


def check_path(path: Path) -> None:
    """Check a probability path (``corrwise.predictors.generative.Path``) in double precision.

    alpha rises to 1, sigma falls from 1 to 0, and their derivatives are those of the functions. Data, velocity and
    noise determine each other inside (0, 1). Shapes and types of times are kept.

    Raises:
        AssertionError: a requirement is not met; the message names it.
    """
    import torch

    from corrwise.predictors.generative import convert, interpolate, velocity
    from corrwise.predictors.generative.paths import QUANTITIES

    def close(one: Any, two: Any, tolerance: float = 1e-8) -> bool:
        return bool(torch.allclose(one, two, rtol=tolerance, atol=tolerance))

    grid = torch.linspace(0, 1, 1001, dtype=torch.float64, device="cpu")
    alpha, sigma = path.alpha(grid), path.sigma(grid)
    expect((alpha.diff() >= 0).all(), "alpha must not fall from noise (t = 0) to data (t = 1)")
    expect((sigma.diff() <= 0).all(), "sigma must not rise from noise (t = 0) to data (t = 1)")
    for name, end, exact in (("alpha(1)", alpha[-1], 1.0), ("sigma(1)", sigma[-1], 0.0)):
        expect(end == exact, f"{name} must be {exact:g} exactly, got {float(end)}")
    expect(abs(sigma[0] - 1) < 1e-2, f"sigma(0) must be 1, got {float(sigma[0])}")
    expect(alpha[0] < 0.1, f"alpha(0) must be near 0, got {float(alpha[0])}")

    t = torch.linspace(0.02, 0.98, 16, dtype=torch.float64, device="cpu").requires_grad_()
    for name in ("alpha", "sigma"):
        (slope,) = torch.autograd.grad(getattr(path, name)(t).sum(), t)
        derivative = getattr(path, f"{name}_dot")(t.detach())
        expect(close(derivative, slope), f"{name}_dot is not the derivative of {name}")
    t = t.detach()
    whole = path.alpha_dot(t) * path.sigma(t) - path.sigma_dot(t) * path.alpha(t)
    expect(close(path.determinant(t), whole), "determinant must be alpha_dot sigma - sigma_dot alpha")
    expect((whole > 0).all(), "determinant must be positive inside (0, 1): the velocity must determine the data")
    for kind in (t.float(), t[0], t.reshape(4, 4)):
        for name in ("alpha", "sigma", "alpha_dot", "sigma_dot", "determinant"):
            value = getattr(path, name)(kind)
            kept = value.shape == kind.shape and value.dtype == kind.dtype
            expect(kept, f"{name} must keep the shape and type of t, got {tuple(value.shape)} of {value.dtype}")

    generator = torch.Generator("cpu").manual_seed(0)
    data, noise = torch.randn(2, 16, 3, 2, generator=generator, dtype=torch.float64, device="cpu")
    x_t = interpolate(path, data, noise, t)
    values = {"data": data, "velocity": velocity(path, data, noise, t), "noise": noise}
    for given, wanted in permutations(QUANTITIES, 2):
        converted = convert(path, values[given], x_t, t, given, wanted)
        expect(close(converted, values[wanted]), f"{wanted} from {given} is not that of the path")
    for outside in (-0.5, 1.5):
        refuses(lambda outside=outside: interpolate(path, data, noise, outside), f"t = {outside} was accepted")  # type: ignore[misc]


def check_time_law(law: TimeLaw) -> None:
    """Check a time law (``corrwise.predictors.generative.TimeLaw``).

    Its density is positive and integrates to its distribution, which its quantile inverts. Samples follow it, come from
    the generator, and can be restricted to an interval.

    Raises:
        AssertionError: a requirement is not met; the message names it.
    """
    import torch

    edges = torch.linspace(0, 1, 40_001, dtype=torch.float64, device="cpu")
    density = law.density((edges[1:] + edges[:-1]) / 2)
    expect(((density > 0) & density.isfinite()).all(), "the density must be positive and finite inside (0, 1)")
    mass = torch.cumsum(density * edges.diff(), 0)
    expect(abs(mass[-1] - 1) < 1e-5, f"the density must integrate to 1, got {float(mass[-1])}")
    distribution = law.distribution(edges)
    expect((distribution[1:] - mass).abs().max() < 1e-5, "the distribution must be the integral of the density")
    expect(distribution[[0, -1]].tolist() == [0, 1], "the distribution must be 0 at t = 0 and 1 at t = 1")
    u = torch.linspace(0, 1, 101, dtype=torch.float64, device="cpu")
    quantile = law.quantile(u)
    expect((law.distribution(quantile) - u).abs().max() < 1e-9, "the quantile must invert the distribution")
    expect(quantile[[0, -1]].tolist() == [0, 1], "the quantiles of 0 and 1 must be 0 and 1")
    for name in ("density", "distribution", "quantile"):
        value = getattr(law, name)(torch.full((2, 3), 0.25, dtype=torch.float32, device="cpu"))
        kept = value.shape == (2, 3) and value.dtype == torch.float32
        expect(kept, f"{name} must keep shape and type, got {tuple(value.shape)} of {value.dtype}")

    def drawn(seed: int, *ends: float) -> Any:
        return law.sample(2000, torch.Generator("cpu").manual_seed(seed), *ends)

    first = drawn(0)
    shaped = first.shape == (2000,) and first.dtype == torch.float32
    expect(shaped, f"sample(2000) must give (2000,) of float32, got {tuple(first.shape)} of {first.dtype}")
    expect(torch.equal(first, drawn(0)), "samples must come from the generator alone")
    expect(not torch.equal(first, drawn(1)), "another generator must give other samples")
    rank = (torch.arange(2000, dtype=torch.float64, device="cpu") + 0.5) / 2000
    for low, high in ((0.0, 1.0), (0.2, 0.6)):
        part = drawn(2, low, high).double().sort().values
        expect(part[0] >= low and part[-1] <= high, f"samples restricted to [{low}, {high}] lie outside")
        below, above = law.distribution(torch.tensor([low, high], dtype=torch.float64, device="cpu"))
        apart = ((law.distribution(part) - below) / (above - below) - rank).abs().max()
        expect(apart < 1.95 / 2000**0.5, f"samples on [{low}, {high}] do not follow the law (Kolmogorov-Smirnov)")
    refuses(lambda: drawn(0, 0.5, 0.5), "an empty interval was accepted")
    refuses(lambda: drawn(0, 0.5, 1.5), "an interval beyond t = 1 was accepted")


def check_time_weight(weight: Weight) -> None:
    """Check a weight of the loss over time (``corrwise.predictors.generative.Weight``) on all paths.

    It is positive and finite inside (0, 1), gives one loss whatever is predicted, and keeps shape and type of times.

    Raises:
        AssertionError: a requirement is not met; the message names it.
    """
    import torch

    from corrwise.predictors.generative import PATHS, check_weight, convert, weight_of
    from corrwise.predictors.generative.paths import QUANTITIES

    t = torch.linspace(0.02, 0.98, 16, dtype=torch.float64, device="cpu")
    generator = torch.Generator("cpu").manual_seed(0)
    x_t, data, guess = torch.randn(3, 16, 4, generator=generator, dtype=torch.float64, device="cpu")
    for kind in PATHS.values():
        path = kind()
        try:
            check_weight(weight, path)
        except ValueError as error:
            raise AssertionError(f"on path {path}: {error}") from error
        losses = {}
        for quantity in QUANTITIES:
            true, predicted = (convert(path, value, x_t, t, "data", quantity) for value in (data, guess))
            losses[quantity] = weight_of(weight, path, t, quantity) * (true - predicted).square().sum(1)
        for quantity, loss in losses.items():
            expect(torch.allclose(loss, losses["data"], rtol=1e-7), f"another loss on {quantity} than on data, {path}")
        for times in (t.float(), t[0], t.reshape(4, 4)):
            value = weight(path, times)
            kept = value.shape == times.shape and value.dtype == times.dtype
            expect(kept, f"keep the shape and type of t, got {tuple(value.shape)} of {value.dtype}")
        refuses(lambda path=path: weight(path, t + 1), "a t outside [0, 1] was accepted")  # type: ignore[misc]


def check_solver(solve: Callable[[Callable[[Any, float], Any], Any, Any], Any], *, order: int | None) -> None:
    """Check a solver of ordinary differential equations on ``dx/dt = (1 + t) x - 1``, from t = 0 to 1.

    It converges, keeps the type of x, and evaluates the velocity in [0, 1) alone: a network that predicts the data has
    no velocity at t = 1.

    Args:
        solve: ``solve(velocity, x (B, *rest), times) -> x`` at the last time, where ``velocity(x, t)`` takes a float t.
        order: with twice the steps the error falls by 2 to this power; None for a solver that chooses its steps, whose
            error must be below 1e-3.

    Raises:
        AssertionError: a requirement is not met; the message names it.
    """
    import torch

    asked: list[float] = []

    def velocity(x: Any, t: float) -> Any:
        expect(isinstance(t, float), f"the velocity takes t as a float, got {type(t).__name__}")
        asked.append(t)
        return (1 + t) * x - 1

    # exp(3/2) x0 - integral of exp(3/2 - s - s^2 / 2) over s in [0, 1], by Gauss-Legendre
    nodes = torch.tensor(_nodes(), dtype=torch.float64, device="cpu")
    lost = (nodes[1] * torch.exp(1.5 - nodes[0] - nodes[0] ** 2 / 2)).sum()
    x = torch.linspace(-1, 1, 6, dtype=torch.float64, device="cpu").reshape(2, 3)
    exact, before = torch.exp(torch.tensor(1.5, dtype=torch.float64, device="cpu")) * x - lost, x.clone()

    def error(steps: int) -> float:
        return float((solve(velocity, x, [k / steps for k in range(steps + 1)]) - exact).abs().max())

    if order is None:
        expect(error(1) < 1e-3, f"the error must be below 1e-3, got {error(1)}")
    else:
        fell = error(64) / error(128)
        right = 0.8 * 2**order < fell < 1.3 * 2**order
        expect(right, f"the error must fall by {2**order} with twice the steps, fell by {fell:.3g}")
    expect(torch.equal(x, before), "x was changed in place: work on a copy")
    expect(min(asked) >= 0 and max(asked) < 1, f"the velocity was evaluated from t = {min(asked)} to {max(asked)}")
    single = solve(velocity, x.float(), [0.0, 1.0])
    kept = single.dtype == torch.float32 and single.shape == x.shape
    expect(kept, f"keep the shape and type of x, got {tuple(single.shape)} of {single.dtype}")
    refuses(lambda: solve(velocity, x, [0.0, 0.0]), "times that do not increase were accepted")
    refuses(lambda: solve(velocity, x, [0.0, 1.5]), "a time beyond 1 was accepted")


def _nodes() -> Any:
    import numpy as np

    places, weights = np.polynomial.legendre.leggauss(16)
    return np.stack([(places + 1) / 2, weights / 2])
