"""A jump process of six states with rates that depend on time, endpoint and state; the network predicts multipliers.

Given the endpoint z, ``p_t(. | z) = (1 - k) p0 + k delta_z`` with a schedule k of its own. The process jumps to z with
rate ``k' / (1 - k)``, and between all states with rates that balance each other under p_t(. | z). Hazards that depend
on (t, x) and the jump belong to the parameterisation: rate = hazard * multiplier.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from corrwise.experiments.studies.time_weights.exact import Case, Problem, Terms, grid

__all__ = ["STATES", "conditional_law", "conditional_rates", "hazards", "jump", "law", "marginal_rates"]

STATES = 6
SHARES = (0.25, 0.1, 0.2, 0.05, 0.3, 0.1)  # of the endpoints
POWERS = (1.0, 1.5, 2.0, 2.5, 3.0, 1.2)  # of their schedules t^power
_START = (0.1, 0.25, 0.05, 0.3, 0.1, 0.2)
_BALANCED = 0.7


def _tensor(values: tuple[float, ...]) -> Float[Tensor, "6"]:
    return torch.tensor(values, dtype=torch.float64, device="cpu")


def conditional_law(t: Float[Tensor, "n"], z: Int[Tensor, "n"]) -> tuple[Float[Tensor, "n 6"], Float[Tensor, "n 6"]]:
    """Return the probability of each state given the endpoint, and its derivative in t."""
    power = _tensor(POWERS)[z]
    k, slope = (t**power)[:, None], (power * t ** (power - 1))[:, None]
    end, start = torch.eye(STATES, dtype=torch.float64, device="cpu")[z], _tensor(_START)
    return (1 - k) * start + k * end, slope * (end - start)


def conditional_rates(t: Float[Tensor, "n"], x: Int[Tensor, "n"], z: Int[Tensor, "n"]) -> Float[Tensor, "n 5"]:
    """Return the rates of the jumps from x to x + 1, ..., x + 5 (modulo 6), given the endpoint."""
    power = _tensor(POWERS)[z]
    to = _targets(x)
    arrive = (power * t ** (power - 1) / (1 - t**power))[:, None] * (to == z[:, None])
    return arrive + _BALANCED * conditional_law(t, z)[0].gather(1, to)


def hazards(t: Float[Tensor, "n"], x: Int[Tensor, "n"]) -> Float[Tensor, "n 5"]:
    """Return the hazard of each jump: what the parameterisation knows of the rates."""
    jump = torch.arange(1, STATES, dtype=torch.float64, device="cpu")
    return (1 + 0.3 * torch.cos(x[:, None] + jump)) / (1 - t[:, None])


def law(t: Float[Tensor, "n"]) -> tuple[Float[Tensor, "n 6"], Float[Tensor, "n 6"]]:
    """Return the marginal probability of each state, and its derivative in t."""
    each = [conditional_law(t, torch.full_like(t, z, dtype=torch.long)) for z in range(STATES)]
    p, slope = (torch.stack(parts, dim=2) @ _tensor(SHARES) for parts in zip(*each, strict=True))
    return p, slope


def marginal_rates(t: Float[Tensor, "n"], x: Int[Tensor, "n"]) -> Float[Tensor, "n 5"]:
    """Return the marginal rates: means over endpoints, given x at t."""
    joint, rates = [], []
    for z in range(STATES):
        end = torch.full_like(x, z)
        joint.append(SHARES[z] * conditional_law(t, end)[0].gather(1, x[:, None])[:, 0])
        rates.append(conditional_rates(t, x, end))
    shares = torch.stack(joint, dim=1)
    shares = shares / shares.sum(dim=1, keepdim=True)
    return (shares[:, :, None] * torch.stack(rates, dim=1)).sum(dim=1)


def jump(times: Float[Tensor, "t"], *, on: Literal["rates", "multipliers"]) -> Case:
    """Return the case, whose loss is the Poisson deviance of multipliers: as it is, or times the hazards."""

    def loss(target: Tensor, raw: Tensor, t: Tensor, x: Tensor) -> Tensor:
        each = raw.exp() - target * raw
        return (each * (hazards(t[:, 0], x.argmax(dim=1)) if on == "rates" else 1)).sum(dim=1)

    i, x, z = grid(len(times), STATES, STATES)
    mass = _tensor(SHARES)[z] * conditional_law(times[i], z)[0].gather(1, x[:, None])[:, 0]
    multipliers = conditional_rates(times[i], x, z) / hazards(times[i], x)
    conditional = Terms(i, _one_hot(x), mass, multipliers)
    s, y = grid(len(times), STATES)
    wanted = marginal_rates(times[s], y) / hazards(times[s], y)
    marginal = Terms(s, _one_hot(y), law(times[s])[0].gather(1, y[:, None])[:, 0], wanted)
    problem = Problem(s, marginal.x, i * STATES + x, mass, multipliers, wanted, loss, torch.exp, STATES - 1)
    return Case(times, conditional, marginal, problem, loss, STATES - 1)


def _targets(x: Int[Tensor, "n"]) -> Int[Tensor, "n 5"]:
    return (x[:, None] + torch.arange(1, STATES, dtype=torch.long, device="cpu")) % STATES


def _one_hot(x: Int[Tensor, "n"]) -> Float[Tensor, "n 6"]:
    return torch.eye(STATES, dtype=torch.float64, device="cpu")[x]
