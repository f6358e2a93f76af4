"""Solvers of ``dx/dt = velocity(x, t)`` from noise to data, and the time grids that they step on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.costs.option_text import check_known
from corrwise.predictors.generative.time_laws import make_time_law
from corrwise.predictors.generative.weights import END

__all__ = ["SOLVERS", "Solver", "Velocity", "solve", "solver_evaluations", "time_grid"]

Velocity = Callable[[Tensor, float], Tensor]
Step = Callable[[Velocity, Tensor, float, float], Tensor]


@dataclass(frozen=True)
class Solver:
    """A way to solve an ordinary differential equation.

    Attributes:
        order: the error falls with the step size to this power.
        step: from x at one time to x at the next; None for an adaptive solver of torchdiffeq, which chooses its steps.
        evaluations: of the velocity in each step.
        saved: evaluations that a last step into t = 1 does without.
    """

    order: int
    step: Step | None = None
    evaluations: int = 1
    saved: int = 0

    @property
    def adaptive(self) -> bool:
        """Whether it chooses its steps."""
        return self.step is None


def _euler(velocity: Velocity, x: Tensor, start: float, end: float) -> Tensor:
    return x + (end - start) * velocity(x, start)


def _midpoint(velocity: Velocity, x: Tensor, start: float, end: float) -> Tensor:
    half = (end - start) / 2
    return x + (end - start) * velocity(x + half * velocity(x, start), start + half)


def _heun(velocity: Velocity, x: Tensor, start: float, end: float) -> Tensor:
    first = velocity(x, start)
    straight = x + (end - start) * first
    if end >= 1:  # as in EDM: a network that predicts the data has no velocity at t = 1
        return straight
    return x + (end - start) / 2 * (first + velocity(straight, end))


SOLVERS: dict[str, Solver] = {
    "euler": Solver(1, _euler),
    "midpoint": Solver(2, _midpoint, evaluations=2),
    "heun": Solver(2, _heun, evaluations=2, saved=1),
    "dopri5": Solver(5),
    "bosh3": Solver(3),
}


def solve(
    velocity: Velocity,
    x: Float[Tensor, "B *rest"],
    times: Sequence[float],
    method: str = "euler",
    *,
    tolerance: float = 1e-5,
) -> Float[Tensor, "B *rest"]:
    """Return x at the last time.

    No solver evaluates the velocity at t = 1, where a network that predicts the data has none: the step of "heun" that
    ends there is Euler's, and so is the last thousandth of an adaptive solver.

    Args:
        velocity: of x at a time.
        x: at the first time.
        times: increasing, in [0, 1].
        method: a name in ``SOLVERS``.
        tolerance: of an adaptive solver, absolute and relative.

    Raises:
        ValueError: an unknown method, or times that do not increase or lie outside [0, 1].
        ModuleNotFoundError: an adaptive solver without torchdiffeq.
    """
    check_known("solver", method, SOLVERS)
    _check_grid(times)
    step = SOLVERS[method].step
    if step is not None:
        for start, end in pairwise(times):
            x = step(velocity, x, start, end)
        return x
    inside = [min(each, 1 - END) for each in times]
    if inside[-1] > inside[0]:
        x = _adaptive(velocity, x, inside[0], inside[-1], method, tolerance)
    return x if inside[-1] == times[-1] else _euler(velocity, x, inside[-1], times[-1])


def _adaptive(velocity: Velocity, x: Tensor, start: float, end: float, method: str, tolerance: float) -> Tensor:
    odeint = _odeint(method)
    precision = torch.promote_types(x.dtype, torch.float32)
    ends = torch.tensor([start, end], dtype=precision, device=x.device)

    def derivative(t: Tensor, x: Tensor) -> Tensor:
        return velocity(x, min(max(float(t), start), end))

    # Without step_t the last step reaches beyond the end, where the velocity is not defined.
    options = {"step_t": ends[1:]}
    solved: Tensor = odeint(derivative, x, ends, rtol=tolerance, atol=tolerance, method=method, options=options)
    return solved[-1]


def _odeint(method: str) -> Any:
    try:
        from torchdiffeq import odeint
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"solver {method} needs the package torchdiffeq, which is not installed: pip install 'corrwise[generative]'"
        ) from error
    return odeint


def time_grid(name: str, evaluations: int, method: str = "euler", *, start: float = 0.0) -> tuple[float, ...]:
    """Return the times from ``start`` to 1 that a solver steps on, for a number of function evaluations (NFE).

    Args:
        name: a time law, with its options, such as "uniform" or "shifted:shift=3"; the grid is its quantiles at equal
            steps, so that steps are small where the law is dense.
        evaluations: at most so many evaluations of the velocity are made.
        method: a name in ``SOLVERS``; an adaptive one chooses its own steps and evaluations, and has the ends alone.
        start: the first time, where a velocity does not exist at 0.

    Raises:
        ValueError: an unknown name or method, or fewer evaluations than one step takes.
    """
    check_known("solver", method, SOLVERS)
    law = make_time_law(name)
    if evaluations < 1:
        raise ValueError(f"number of function evaluations must be at least 1, got {evaluations}")
    solver = SOLVERS[method]
    steps = 1 if solver.adaptive else (evaluations + solver.saved) // solver.evaluations
    if steps < 1:
        raise ValueError(f"solver {method} takes {solver.evaluations} function evaluations a step, got {evaluations}")
    ends = torch.tensor([start, 1.0], dtype=torch.float64, device="cpu")
    below, above = law.distribution(ends).tolist()
    inner = torch.linspace(below, above, steps + 1, dtype=torch.float64, device="cpu")[1:-1]
    times = (float(start), *law.quantile(inner).tolist(), 1.0)
    _check_grid(times)
    return times


def solver_evaluations(times: Sequence[float], method: str) -> int | None:
    """Return how often a solver evaluates the velocity on a time grid; None for an adaptive one."""
    check_known("solver", method, SOLVERS)
    solver = SOLVERS[method]
    return None if solver.adaptive else (len(times) - 1) * solver.evaluations - solver.saved * (times[-1] >= 1)


def _check_grid(times: Sequence[float]) -> None:
    if len(times) < 2 or not all(a < b for a, b in pairwise(times)):
        raise ValueError(f"times must be two or more that increase, got {' '.join(f'{each:g}' for each in times)}")
    for each in times:
        if not 0 <= each <= 1:
            raise ValueError(f"t must lie in [0, 1], got {each:g}")
