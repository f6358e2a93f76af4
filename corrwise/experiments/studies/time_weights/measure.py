"""What a case is measured by: gradients of its two losses in a network, and its unrestricted minimiser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import torch
from jaxtyping import Float
from torch import Tensor, nn

from corrwise.experiments.studies.time_weights.exact import Case, Terms, group_sum

__all__ = ["Gradients", "gradients", "minimiser", "network", "relative_difference", "scaled_difference"]

_MOST_STEPS = 100
_ENOUGH = 1e-14  # relative length of Newton's step
_ROUNDING = 1e-9  # below this length a step that is no shorter than the last is rounding


def network(inputs: int, outputs: int, *, hidden: int, seed: int) -> nn.Module:
    """Return a perceptron of (t, x) with random weights, in float64."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = [nn.Linear(1 + inputs, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh()]
        return nn.Sequential(*layers, nn.Linear(hidden, outputs)).double()


@dataclass(frozen=True)
class Gradients:
    """Gradients of the loss at each time in all weights of a network, of the conditional and of the marginal loss."""

    conditional: Float[Tensor, "t p"]
    marginal: Float[Tensor, "t p"]


def gradients(case: Case, model: nn.Module) -> Gradients:
    """Return both losses' gradients at each time, each by automatic differentiation of its own sum."""
    return Gradients(*(_gradients(case, terms, model) for terms in (case.conditional, case.marginal)))


def _gradients(case: Case, terms: Terms, model: nn.Module) -> Float[Tensor, "t p"]:
    each = []
    for i in range(len(case.times)):
        here = terms.time == i
        t, x = case.times[i].expand(int(here.sum()), 1), terms.x[here]
        loss = (terms.mass[here] * case.loss(terms.target[here], model(torch.cat([t, x], dim=1)), t, x)).sum()
        each.append(torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(model.parameters()))]))
    return torch.stack(each)


def relative_difference(one: Float[Tensor, "p"], two: Float[Tensor, "p"]) -> float:
    """Return the largest difference of two gradients, relative to the largest entry of the second."""
    return float((one - two).abs().max() / two.abs().max())


def scaled_difference(one: Float[Tensor, "s m"], two: Float[Tensor, "s m"]) -> float:
    """Return the largest difference of two sets of targets, each relative to 1 + the size of the second."""
    return float(((one - two).abs() / (1 + two.abs())).max())


def minimiser(case: Case, factor: Float[Tensor, "t"]) -> Float[Tensor, "s m"]:
    """Return the targets that minimise the conditional loss, weighted by time, where every (t, x) has its own output.

    Newton's method on all pairs at once, which do not depend on each other: where the curvature is negative its size
    counts, and steps are halved until the loss falls.

    Raises:
        ArithmeticError: it did not converge.
    """
    problem = case.problem
    count = len(problem.time)
    t = case.times[problem.time][:, None]
    scale = problem.mass * factor[problem.time][problem.state]

    def losses(output: Tensor) -> Tensor:
        each = problem.loss(problem.target, output[problem.state], t[problem.state], problem.x[problem.state])
        return group_sum(scale * each, problem.state, count)

    output = torch.zeros((count, problem.outputs), dtype=torch.float64, device="cpu")
    last = inf
    for _ in range(_MOST_STEPS):
        loss, slope, curvature = _expand(losses, output)
        sizes, axes = torch.linalg.eigh(curvature)
        sizes = sizes.abs().clamp_min(1e-12 * sizes.abs().amax(dim=-1, keepdim=True))
        step = -(axes @ ((axes.mT @ slope[..., None]) / sizes[..., None]))[..., 0]
        length = torch.ones((count, 1), dtype=torch.float64, device="cpu")
        small = (step.abs() <= 1e-6 * (1 + output.abs())).all(dim=1)  # there rounding hides whether the loss falls
        for _ in range(40):
            worse = ~((losses(output + length * step) <= loss) | small)
            if not worse.any():
                break
            length[worse] /= 2
        output = output + length * step
        longest = float((step.abs() / (1 + output.abs())).max())
        if longest <= _ENOUGH or last <= longest <= _ROUNDING:
            return problem.read(output)
        last = longest
    raise ArithmeticError(f"expected Newton's method to converge in {_MOST_STEPS} steps")


def _expand(losses: Callable[[Tensor], Tensor], output: Float[Tensor, "s o"]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss of each output, its gradient and its Hessian."""
    with torch.enable_grad():
        output = output.detach().requires_grad_()
        loss = losses(output)
        (slope,) = torch.autograd.grad(loss.sum(), output, create_graph=True)
        rows = [torch.autograd.grad(slope[:, j].sum(), output, retain_graph=True)[0] for j in range(output.shape[1])]
    return loss.detach(), slope.detach(), torch.stack(rows, dim=1)
