"""Data of a few points under a Gaussian path: any target that depends on (t, x) and the endpoint, any divergence.

Nodes of x lie about each endpoint. The conditional loss sums over them with the target of that endpoint alone, the
marginal loss with the marginal target, which mixes all endpoints: the two agree only as far as the rule is accurate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from corrwise.experiments.studies.time_weights.divergences import DIVERGENCES, loss_of
from corrwise.experiments.studies.time_weights.exact import Case, Loss, Problem, Terms, grid, trapezoid
from corrwise.predictors.generative.paths import Path

__all__ = ["ENDPOINTS", "Points", "diffusion", "endpoint", "generator", "line", "matrix_field", "plane", "points_case"]

Target = Callable[[Tensor, Tensor, Tensor], Tensor]  # x (n, d), t (n, 1), endpoint (n, d) -> (n, m)


@dataclass(frozen=True)
class Points:
    """Data that takes one of K places in d dimensions, on a path.

    Attributes:
        path: from noise to data.
        shares: probability of each place.
        places: the endpoints.
    """

    path: Path
    shares: Float[Tensor, "k"]
    places: Float[Tensor, "k d"]

    def posterior(self, x: Float[Tensor, "n d"], t: Float[Tensor, "n 1"]) -> Float[Tensor, "n k"]:
        """Return the probability of each endpoint, given x at t."""
        off = x[:, None] - self.path.alpha(t)[:, None] * self.places
        logits = self.shares.log() - off.square().sum(dim=2) / (2 * self.path.sigma(t).square())
        return logits.softmax(dim=1)

    def marginal(self, target: Target, x: Float[Tensor, "n d"], t: Float[Tensor, "n 1"]) -> Float[Tensor, "n m"]:
        """Return the marginal target: its mean over endpoints, given x at t."""
        each = torch.stack([target(x, t, place.expand_as(x)) for place in self.places], dim=1)
        return (self.posterior(x, t)[:, :, None] * each).sum(dim=1)

    def about(
        self, times: Float[Tensor, "t"], step: float
    ) -> tuple[Int[Tensor, "n"], Float[Tensor, "n d"], Float[Tensor, "n"], Int[Tensor, "n"]]:
        """Return nodes of x at each time: time's index, x, mass, and the endpoint that each lies about."""
        xi, weight = trapezoid(step)
        i, k, *axes = grid(len(times), len(self.shares), *[len(xi)] * self.places.shape[1])
        alpha, sigma = self.path.alpha(times)[i, None], self.path.sigma(times)[i, None]
        noise, mass = xi[torch.stack(axes, dim=1)], weight[torch.stack(axes, dim=1)].prod(dim=1)
        return i, alpha * self.places[k] + sigma * noise, self.shares[k] * mass, k


def line(path: Path) -> Points:
    """Return three points on the line, between 0 and 1."""
    return Points(path, _tensor([0.3, 0.45, 0.25]), _tensor([[0.15], [0.4], [0.9]]))


def plane(path: Path) -> Points:
    """Return three points in the plane."""
    return Points(path, _tensor([0.3, 0.45, 0.25]), _tensor([[-1.0, 0.2], [0.8, 1.0], [0.4, -0.9]]))


def _tensor(values: list[float] | list[list[float]]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, device="cpu")


def points_case(
    points: Points, target: Target, loss: Loss, read: Callable[[Tensor], Tensor], times: Tensor, step: float
) -> Case:
    """Return the case of a target; the unrestricted problem has 11 states along each axis at each time."""
    i, x, mass, k = points.about(times, step)
    t = times[i][:, None]
    conditional = Terms(i, x, mass, target(x, t, points.places[k]))
    marginal = Terms(i, x, mass, points.marginal(target, x, t))

    low, high = points.places.amin(dim=0) - 0.7, points.places.amax(dim=0) + 0.7
    i, *axes = grid(len(times), *[11] * len(low))
    x, t = low + (high - low) * torch.stack(axes, dim=1) / 10, times[i][:, None]
    state, k = grid(len(i), len(points.shares))
    mass = points.posterior(x, t).flatten()
    each = target(x[state], t[state], points.places[k])
    outputs = each.shape[1]
    problem = Problem(i, x, state, mass, each, points.marginal(target, x, t), loss, read, outputs)
    return Case(times, conditional, marginal, problem, loss, outputs)


# Targets that are affine in the endpoint, with factors that depend on (t, x): each determines the drift.
ENDPOINTS: dict[str, Target] = {
    "data": lambda x, t, z: z,
    "residual": lambda x, t, z: (z - x) / (1.05 - t),  # the raw output of a network that puts out x + (1.05 - t) raw
    "gated": lambda x, t, z: (1 + t * torch.sin(3 * x).square()) * z,
}


def endpoint(divergence: str, target: str, path: Path, times: Tensor, step: float = 0.05) -> Case:
    """Return a Bregman divergence on a target that is affine in the endpoint."""
    bregman = DIVERGENCES[divergence]
    return points_case(line(path), ENDPOINTS[target], loss_of(bregman), bregman.read, times, step)


def by_state(path: Path, times: Tensor, step: float = 0.05) -> Case:
    """Return the Poisson deviance on the data, times a positive factor that depends on (t, x)."""
    bregman = DIVERGENCES["kl"]

    def loss(target: Tensor, raw: Tensor, t: Tensor, x: Tensor) -> Tensor:
        return (0.2 + t * x.square())[:, 0] * bregman(target, raw)

    return points_case(line(path), ENDPOINTS["data"], loss, bregman.read, times, step)


def matrix_field(path: Path, times: Tensor, step: float = 0.2) -> Case:
    """Return a squared error in the plane whose inner product is another at every (t, x)."""

    def loss(target: Tensor, raw: Tensor, t: Tensor, x: Tensor) -> Tensor:
        off, bend = raw - target, torch.sin(x.sum(dim=1)) * t[:, 0]
        return off[:, 0].square() + 2 * off[:, 1].square() + 2 * bend * off.prod(dim=1)

    return points_case(plane(path), ENDPOINTS["data"], loss, lambda raw: raw, times, step)


def generator(path: Path, x: Float[Tensor, "n 1"], t: Float[Tensor, "n 1"], z: Float[Tensor, "n 1"]) -> Tensor:
    """Return drift and squared diffusion coefficient (n, 2) of a process with the law ``N(alpha z, sigma^2)`` at t.

    The coefficient a differs between endpoints and between states. The drift is the path's velocity and what balances
    the diffusion of the density p, ``(d/dx a p) / (2 p)``.
    """
    alpha, sigma = path.alpha(t), path.sigma(t)
    noise = (x - alpha * z) / sigma
    shape, wave = 0.5 + z, torch.tanh(2 * x)
    diffusion = sigma.square() * (1.6 + shape * wave)
    slope = sigma.square() * 2 * shape * (1 - wave.square())
    velocity = path.alpha_dot(t) * z + path.sigma_dot(t) * noise
    return torch.cat([velocity + slope / 2 - diffusion * noise / (2 * sigma), diffusion], dim=1)


def diffusion(path: Path, times: Tensor, step: float = 0.05) -> Case:
    """Return a diffusion generator, as ``L f = u f' + a f'' / 2``: squared error on u and Itakura-Saito's on a.

    The network puts out u and the logarithm of a. Losses of several components add.
    """
    drift, spread = DIVERGENCES["squared"], DIVERGENCES["itakura-saito"]

    def loss(target: Tensor, raw: Tensor, t: Tensor, x: Tensor) -> Tensor:
        return drift(target[:, :1], raw[:, :1]) + spread(target[:, 1:], raw[:, 1:])

    def read(raw: Tensor) -> Tensor:
        return torch.cat([drift.read(raw[:, :1]), spread.read(raw[:, 1:])], dim=1)

    return points_case(line(path), partial(generator, path), loss, read, times, step)
