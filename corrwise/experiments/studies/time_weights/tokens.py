"""Discrete flow matching: two tokens, each of which jumps by itself from noise to its endpoint; cross-entropy.

Noise is a mask or a letter at random, so every endpoint stays possible at every state. With the schedule
``kappa = t^2``, ``p_t(x | x1) = prod_i (kappa [x_i = x1_i] + (1 - kappa) p0(x_i))``.
"""

from __future__ import annotations

from itertools import product

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from corrwise.experiments.studies.time_weights.exact import Case, Problem, Terms, grid

__all__ = ["LETTERS", "endpoint_probability", "kappa", "noise", "tokens"]

LETTERS, MASK = 3, 3
# Probability of each pair of letters.
PAIRS = ((0.20, 0.05, 0.10), (0.02, 0.15, 0.08), (0.12, 0.03, 0.25))


def kappa(t: Tensor) -> Tensor:
    """Return the probability that a token has jumped."""
    return t.square()


def noise() -> Float[Tensor, "4"]:
    """Return the law of a token that has not jumped: the mask is the last."""
    return torch.tensor([0.1, 0.2, 0.2, 0.5], dtype=torch.float64, device="cpu")


def _pairs() -> Float[Tensor, "3 3"]:
    return torch.tensor(PAIRS, dtype=torch.float64, device="cpu")


def _joint(t: Float[Tensor, "n"], x: Int[Tensor, "n 2"]) -> Float[Tensor, "n 3 3"]:
    """Return the joint probability of tokens x at t and each pair of endpoints."""
    k = kappa(t)[:, None, None]
    each = k * F.one_hot(x, MASK + 1)[:, :, :LETTERS] + (1 - k) * noise()[x][:, :, None]
    return _pairs() * each[:, 0, :, None] * each[:, 1, None, :]


def endpoint_probability(t: Float[Tensor, "n"], x: Int[Tensor, "n 2"]) -> tuple[Tensor, Tensor]:
    """Return the probability (n,) of tokens x at t, and (n, 2, 3) of each token's endpoint given x, in closed form."""
    joint = _joint(t, x)
    total = joint.sum(dim=(1, 2))
    return total, torch.stack([joint.sum(dim=2), joint.sum(dim=1)], dim=1) / total[:, None, None]


def tokens(times: Float[Tensor, "t"]) -> Case:
    """Return the case: the network puts out logits of each token's endpoint, the last of which is 0.

    The conditional loss sums over endpoints, noise and which of the tokens have jumped; the marginal loss over tokens.
    """
    pairs, symbols = list(product(range(LETTERS), repeat=2)), list(product(range(MASK + 1), repeat=2))
    i, e, b, j = grid(len(times), len(pairs), len(symbols), 4)
    end, begin, jumped = _long(pairs)[e], _long(symbols)[b], _long(list(product((0, 1), repeat=2)))[j]
    token, done = torch.where(jumped == 1, end, begin), jumped.sum(dim=1)
    share = _pairs().flatten()[e] * noise()[begin].prod(dim=1)
    masses = share * kappa(times)[i] ** done * (1 - kappa(times)[i]) ** (2 - done)
    targets = _one_hot(end, LETTERS)
    conditional = Terms(i, _one_hot(token, MASK + 1), masses, targets)

    time, symbol = grid(len(times), len(symbols))
    here = _long(symbols)[symbol]
    total, chance = endpoint_probability(times[time], here)
    marginal = Terms(time, _one_hot(here, MASK + 1), total, chance.flatten(1))

    state = i * len(symbols) + token[:, 0] * (MASK + 1) + token[:, 1]
    problem = Problem(time, marginal.x, state, masses, targets, marginal.target, _cross_entropy, _read, 4)
    return Case(times, conditional, marginal, problem, _cross_entropy, 4)


def _long(values: list[tuple[int, ...]]) -> Int[Tensor, "n 2"]:
    return torch.tensor(values, dtype=torch.long, device="cpu")


def _one_hot(values: Int[Tensor, "*n 2"], size: int) -> Float[Tensor, "*n m"]:
    return F.one_hot(values, size).double().flatten(-2)


def _logits(raw: Float[Tensor, "n 4"]) -> Float[Tensor, "n 2 3"]:
    return F.pad(raw.reshape(-1, 2, 2), (0, 1))


def _read(raw: Float[Tensor, "n 4"]) -> Float[Tensor, "n 6"]:
    return _logits(raw).softmax(dim=2).flatten(1)


def _cross_entropy(target: Tensor, raw: Tensor, t: Tensor, x: Tensor) -> Float[Tensor, "n"]:
    return -(target * _logits(raw).log_softmax(dim=2).flatten(1)).sum(dim=1)
