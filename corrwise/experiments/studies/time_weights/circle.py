"""Flow matching on the circle: geodesics from wrapped normal noise to a few angles; tangent vectors as targets.

An endpoint z and noise at z - d, with d in (-pi, pi), give the state ``x_t = z - (1 - t) d`` and the velocity d. The
geodesic turns over where d passes pi, so p_t(x | z) jumps at ``z +- (1 - t) pi``: the marginal loss is summed between
these angles, the conditional one over d.
"""

from __future__ import annotations

from itertools import pairwise
from math import pi

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.experiments.studies.time_weights.divergences import DIVERGENCES, loss_of
from corrwise.experiments.studies.time_weights.exact import Case, Problem, Terms, gauss_legendre, grid

__all__ = ["circle", "conditional_density", "marginal", "wrap", "wrapped_normal"]

ANGLES = (-2.0, 0.4, 1.9)
SHARES = (0.3, 0.45, 0.25)
_WRAPS = 6  # turns to either side: of a deviation of 1 the next one weighs below 1e-300


def wrap(angle: Tensor) -> Tensor:
    """Return the same angles in [-pi, pi)."""
    return torch.remainder(angle + pi, 2 * pi) - pi


def wrapped_normal(angle: Float[Tensor, "..."], mean: float = 0.5, deviation: float = 1.0) -> Float[Tensor, "..."]:
    """Return the density of a normal variable modulo 2 pi, as the sum over all turns that float64 can see."""
    turns = 2 * pi * torch.arange(-_WRAPS, _WRAPS + 1, dtype=torch.float64, device="cpu")
    off = (wrap(angle - mean)[..., None] + turns) / deviation
    return torch.exp(-off.square() / 2).sum(dim=-1) / (deviation * (2 * pi) ** 0.5)


def conditional_density(x: Tensor, t: Tensor, z: Tensor) -> Tensor:
    """Return the density of x_t = x given the endpoint, which is zero where no geodesic to it passes x at t.

    States, times and endpoints have shapes that broadcast.
    """
    d = wrap(z - x) / (1 - t)
    return torch.where(d.abs() < pi, wrapped_normal(z - d) / (1 - t), 0.0)


def circle(times: Float[Tensor, "t"], nodes: int = 120) -> Case:
    """Return the case: the network gets the state as a point of the plane and puts out the speed along the tangent."""
    angles, shares = _angles()
    d, length = gauss_legendre(nodes, -pi, pi)
    i, k, a = grid(len(times), len(angles), nodes)
    x = wrap(angles[k] - (1 - times[i]) * d[a])
    mass = shares[k] * length[a] * wrapped_normal(angles[k] - d[a])
    conditional = Terms(i, _point(x), mass, d[a, None])

    i, x, width = _between_jumps(times, nodes)
    density, velocity = marginal(x, times[i])
    there = density > 0  # late geodesics leave angles out
    marginals = Terms(i[there], _point(x[there]), (width * density)[there], velocity[there, None])

    i, place = grid(len(times), 40)
    x = 2 * pi * (place + 0.5) / 40
    density, velocity = marginal(x, times[i])
    i, x, velocity = (each[density > 0] for each in (i, x, velocity))
    state, k = grid(len(i), len(angles))
    t, z = times[i][state], angles[k]
    mass = shares[k] * conditional_density(x[state], t, z)
    there = mass > 0
    each = wrap(z - x[state]) / (1 - t)
    squared, x = DIVERGENCES["squared"], _point(x)
    problem = Problem(
        i, x, state[there], mass[there], each[there, None], velocity[:, None], loss_of(squared), squared.read
    )
    return Case(times, conditional, marginals, problem, loss_of(squared))


def marginal(x: Float[Tensor, "n"], t: Float[Tensor, "n"]) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    """Return the density of x at t and the marginal velocity, which is 0 where the density is."""
    angles, shares = _angles()
    each = shares * conditional_density(x[:, None], t[:, None], angles)
    density = each.sum(dim=1)
    flow = (each * wrap(angles - x[:, None]) / (1 - t[:, None])).sum(dim=1)
    return density, torch.where(density > 0, flow / density.clamp_min(1e-300), 0.0)


def _between_jumps(times: Float[Tensor, "t"], nodes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the time's index, angle and width of nodes between the jumps of the densities, at each time."""
    angles, _ = _angles()
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for i, t in enumerate(times):
        jumps = wrap(torch.cat([angles + (1 - t) * pi, angles - (1 - t) * pi])).sort().values.tolist()
        for low, high in pairwise([*jumps, jumps[0] + 2 * pi]):
            x, width = gauss_legendre(nodes, low, high)
            parts.append((torch.full((nodes,), i, dtype=torch.long, device="cpu"), wrap(x), width))
    index, x, width = (torch.cat(each) for each in zip(*parts, strict=True))
    return index, x, width


def _angles() -> tuple[Tensor, Tensor]:
    angles, shares = (torch.tensor(each, dtype=torch.float64, device="cpu") for each in (ANGLES, SHARES))
    return angles, shares


def _point(angle: Float[Tensor, "n"]) -> Float[Tensor, "n 2"]:
    return torch.stack([angle.cos(), angle.sin()], dim=1)
