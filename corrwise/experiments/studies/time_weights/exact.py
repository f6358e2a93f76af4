"""Expected losses as finite sums: the conditional loss, the marginal loss, and the unrestricted problem of a case.

Setting: Billera, Nordlinder, Murrell, "Time dependent loss reweighting for flow matching and diffusion models is
theoretically justified", arXiv 2511.16599, as its abstract states it. With ``F`` a target that is linear in the
generator and ``D`` a Bregman divergence, both of which may depend on the time t and the state x,

    conditional loss = E_t w(t) E_{z, x ~ p_t(. | z)} D(F^z_t(x), model(t, x)),
    marginal loss    = E_t w(t) E_{x ~ p_t} D(F_t(x), model(t, x)),   F_t(x) = E[F^z_t(x) | x_t = x].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["FIRST", "LAST", "Case", "Loss", "Problem", "Terms", "gauss_legendre", "grid", "group_sum", "trapezoid"]

FIRST, LAST = 1e-3, 1 - 1e-3  # weights may be 0 or infinite at the ends of [0, 1]

Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # target (n, m), output (n, o), t (n, 1), x (n, d) -> (n,)


@dataclass(frozen=True)
class Terms:
    """An expected loss at each time: the sum of ``mass * loss(target, model(t, x))`` over nodes.

    Attributes:
        time: index of each node's time.
        x: state that the model gets, as features.
        mass: probability that the node stands for, given its time.
        target: what the loss compares the model's output with.
    """

    time: Int[Tensor, "n"]
    x: Float[Tensor, "n d"]
    mass: Float[Tensor, "n"]
    target: Float[Tensor, "n m"]


@dataclass(frozen=True)
class Problem:
    """The unrestricted problem: one free output for each of S pairs (t, x), which conditional targets pull at.

    Attributes:
        time, x: of each pair.
        state: which pair a conditional target belongs to.
        mass: joint probability of the pair and the target, given the time, up to a factor for each pair.
        target: conditional targets.
        wanted: marginal target of each pair.
        loss: of a conditional target and a free output.
        read: target that a free output stands for.
        outputs: numbers in an output.
    """

    time: Int[Tensor, "s"]
    x: Float[Tensor, "s d"]
    state: Int[Tensor, "n"]
    mass: Float[Tensor, "n"]
    target: Float[Tensor, "n m"]
    wanted: Float[Tensor, "s m"]
    loss: Loss
    read: Callable[[Tensor], Tensor]
    outputs: int = 1


@dataclass(frozen=True)
class Case:
    """One generator with its loss.

    Attributes:
        times: nodes of t.
        conditional, marginal: the two losses.
        problem: the unrestricted problem.
        loss: of a target and the raw output of a model.
        outputs: numbers that the model puts out.
    """

    times: Float[Tensor, "t"]
    conditional: Terms
    marginal: Terms
    problem: Problem
    loss: Loss
    outputs: int = 1


def gauss_legendre(count: int, low: float, high: float) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    """Return nodes between two numbers and their weights, whose sum is the length of the interval."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    half = (high - low) / 2
    return torch.from_numpy(low + half * (nodes + 1)), torch.from_numpy(half * weights)


def trapezoid(step: float, reach: float = 9.5) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    """Return nodes and weights of the standard normal density.

    The rule's error falls exponentially with 1 / step for functions that are analytic near the real line.
    """
    count = round(reach / step)
    nodes = step * torch.arange(-count, count + 1, dtype=torch.float64, device="cpu")
    return nodes, step * torch.exp(-nodes.square() / 2) / (2 * torch.pi) ** 0.5


def grid(*sizes: int) -> list[Int[Tensor, "n"]]:
    """Return the indices of all combinations, one flat tensor for each axis."""
    axes = [torch.arange(size, dtype=torch.long, device="cpu") for size in sizes]
    return [axis.flatten() for axis in torch.meshgrid(*axes, indexing="ij")]


def group_sum(values: Float[Tensor, "n *m"], group: Int[Tensor, "n"], count: int) -> Float[Tensor, "g *m"]:
    """Return the sums of values over ``count`` groups."""
    return values.new_zeros((count, *values.shape[1:])).index_add(0, group, values)
