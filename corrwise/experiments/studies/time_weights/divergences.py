"""Bregman divergences, each of a strictly convex function, and what reads a target off a network's raw output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.experiments.studies.time_weights.exact import Loss

__all__ = ["DIVERGENCES", "Bregman", "loss_of"]


@dataclass(frozen=True)
class Bregman:
    """The divergence ``phi(a) - phi(b) - <a - b, grad phi(b)>``, summed over components.

    Attributes:
        phi: the convex function of a component.
        slope: its derivative.
        read: component that a raw output stands for, inside the domain of phi.
    """

    phi: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    read: Callable[[Tensor], Tensor] = lambda raw: raw

    def __call__(self, a: Float[Tensor, "n m"], raw: Float[Tensor, "n m"]) -> Float[Tensor, "n"]:
        """Return the divergence of targets from what raw outputs stand for."""
        b = self.read(raw)
        return (self.phi(a) - self.phi(b) - (a - b) * self.slope(b)).sum(dim=-1)


def _log_cosh(x: Tensor) -> Tensor:
    return torch.logaddexp(x, -x) - log(2)


DIVERGENCES: dict[str, Bregman] = {
    "squared": Bregman(lambda a: a.square() / 2, lambda b: b),
    "kl": Bregman(lambda a: torch.xlogy(a, a) - a, torch.log, torch.exp),  # the Poisson deviance; a from 0
    "itakura-saito": Bregman(lambda a: -a.log(), lambda b: -1 / b, torch.exp),  # a above 0
    "logistic": Bregman(
        lambda a: torch.xlogy(a, a) + torch.xlogy(1 - a, 1 - a), torch.logit, torch.sigmoid
    ),  # in (0, 1)
    "log-cosh": Bregman(_log_cosh, torch.tanh),
    "exponential": Bregman(torch.exp, torch.exp),
}


def loss_of(divergence: Bregman) -> Loss:
    """Return a divergence as the loss of a case, the same at every (t, x)."""
    return lambda target, raw, t, x: divergence(target, raw)
