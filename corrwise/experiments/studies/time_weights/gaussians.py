"""Flow matching on a mixture of Gaussians, whose marginal velocity has a closed form.

The conditional loss sums over pairs (x0, x1), the marginal loss over x, each by a rule of its own: the two agree only
as far as both rules are accurate.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.experiments.studies.time_weights.divergences import DIVERGENCES, loss_of
from corrwise.experiments.studies.time_weights.exact import Case, Problem, Terms, grid, trapezoid
from corrwise.predictors.generative.paths import Path

__all__ = ["MIXTURE", "Mixture", "flow_matching", "marginal_velocity", "mixture_density", "shares_at"]


@dataclass(frozen=True)
class Mixture:
    """A mixture of Gaussians on the line: shares, means and standard deviations."""

    shares: tuple[float, ...] = (0.3, 0.5, 0.2)
    means: tuple[float, ...] = (-2.0, 0.5, 2.5)
    deviations: tuple[float, ...] = (0.4, 0.7, 0.25)

    def tensors(self) -> Float[Tensor, "3 c"]:
        """Return shares, means and deviations."""
        return torch.tensor([self.shares, self.means, self.deviations], dtype=torch.float64, device="cpu")


MIXTURE = Mixture()


def _log_normal(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    return -(x - mean).square() / (2 * variance) - variance.log() / 2


def shares_at(mixture: Mixture, path: Path, x: Float[Tensor, "n"], t: Float[Tensor, "n"]) -> Float[Tensor, "n c"]:
    """Return the posterior probability of each component, given x at t."""
    share, mean, deviation = mixture.tensors()
    alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
    logits = share.log() + _log_normal(x[:, None], alpha * mean, (alpha * deviation).square() + sigma.square())
    return logits.softmax(dim=1)


def mixture_density(mixture: Mixture, path: Path, x: Float[Tensor, "n"], t: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Return the density of x at t."""
    share, mean, deviation = mixture.tensors()
    alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
    variance = (alpha * deviation).square() + sigma.square()
    return (share * _log_normal(x[:, None], alpha * mean, variance).exp()).sum(dim=1) / (2 * torch.pi) ** 0.5


def marginal_velocity(mixture: Mixture, path: Path, x: Float[Tensor, "n"], t: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Return the marginal velocity ``E[alpha' x1 + sigma' x0 | x]``, in closed form."""
    _, mean, deviation = mixture.tensors()
    alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
    variance = (alpha * deviation).square() + sigma.square()
    off = (x[:, None] - alpha * mean) / variance
    data, noise = mean + alpha * deviation.square() * off, sigma * off
    velocity = path.alpha_dot(t)[:, None] * data + path.sigma_dot(t)[:, None] * noise
    return (shares_at(mixture, path, x, t) * velocity).sum(dim=1)


def flow_matching(path: Path, times: Float[Tensor, "t"], step: float = 0.2) -> Case:
    """Flow matching on a mixture: z is the pair (x0, x1), the target its velocity, the loss the squared error.

    The conditional loss sums over pairs, the marginal loss over x with the velocity in closed form.
    """
    share, mean, deviation = MIXTURE.tensors()
    xi, weight = trapezoid(step)
    kinds, count = len(share), len(times)
    alpha, sigma = path.alpha(times), path.sigma(times)
    alpha_dot, sigma_dot = path.alpha_dot(times), path.sigma_dot(times)

    i, c, a, b = grid(count, kinds, len(xi), len(xi))
    data = mean[c] + deviation[c] * xi[a]
    conditional = Terms(
        i, (alpha[i] * data + sigma[i] * xi[b])[:, None], share[c] * weight[a] * weight[b],
        (alpha_dot[i] * data + sigma_dot[i] * xi[b])[:, None],
    )  # fmt: skip
    time, x, mass, _ = _about(MIXTURE, path, times, step / 4)
    marginal = Terms(time, x[:, None], mass, marginal_velocity(MIXTURE, path, x, times[time])[:, None])

    i, place = grid(count, 25)
    x = torch.linspace(-3.5, 3.5, 25, dtype=torch.float64, device="cpu")[place]
    s, c, a = grid(len(i), kinds, len(xi))  # nodes of x1 in its posterior, one Gaussian for each component
    own = (alpha[i[s]] * deviation[c]).square() + sigma[i[s]].square()
    centre = mean[c] + alpha[i[s]] * deviation[c].square() * (x[s] - alpha[i[s]] * mean[c]) / own
    data = centre + deviation[c] * sigma[i[s]] / own.sqrt() * xi[a]
    velocity = alpha_dot[i[s]] * data + sigma_dot[i[s]] * (x[s] - alpha[i[s]] * data) / sigma[i[s]]
    mass = shares_at(MIXTURE, path, x, times[i])[s, c] * weight[a]
    wanted = marginal_velocity(MIXTURE, path, x, times[i])[:, None]
    squared = DIVERGENCES["squared"]
    problem = Problem(i, x[:, None], s, mass, velocity[:, None], wanted, loss_of(squared), squared.read)
    return Case(times, conditional, marginal, problem, loss_of(squared))


def _about(mixture: Mixture, path: Path, times: Tensor, step: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return nodes of the law of x at each time, with their masses and the component that each lies about."""
    share, mean, deviation = mixture.tensors()
    xi, weight = trapezoid(step)
    i, c, a = grid(len(times), len(share), len(xi))
    alpha, sigma = path.alpha(times)[i], path.sigma(times)[i]
    x = alpha * mean[c] + ((alpha * deviation[c]).square() + sigma.square()).sqrt() * xi[a]
    return i, x, share[c] * weight[a], c
