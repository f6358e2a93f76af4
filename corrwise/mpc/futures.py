"""Several sampled futures of a plan: where their random numbers come from, and what their costs become."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.mpc.config import RISK_NAMES, Discount, Size
from corrwise.types import copied
from corrwise.validation import Names, validate, validated


@validated(error=ValueError)
class Risk:
    """How the costs of a candidate's futures become the cost of the candidate.

    ``mean`` | ``cvar`` (conditional value at risk: the mean of the worst share ``level`` of the futures, in which a
    future that lies across the boundary counts in part) | ``worst``. ``cvar`` with level 1 is the mean; with a level of
    1/M or below it is the worst of M futures.

    Raises:
        ValueError: for an unknown name, or a level outside (0, 1].

    Source: Rockafellar and Uryasev, Optimization of conditional value-at-risk, 2000.
    """

    name: Annotated[str, Names(RISK_NAMES, what="risk")] = "mean"
    _: KW_ONLY
    level: Discount = 0.5

    def __call__(self, costs: Float[Tensor, "B N M"]) -> Float[Tensor, "B N"]:
        """Return one cost per candidate; a candidate with a future that is not finite has +inf."""
        futures = costs.shape[-1]
        if futures == 1:
            return costs[..., 0]
        broken = ~costs.isfinite().all(dim=-1)
        if self.name == "mean":
            ordered, weights = costs, [1 / futures] * futures
        else:
            ordered = costs.sort(dim=-1, descending=True).values
            share = 1.0 if self.name == "worst" else max(1.0, self.level * futures)  # in futures
            weights = [min(1.0, share - i) / share for i in range(math.ceil(share))]
        total = torch.zeros_like(costs[..., 0])
        # Future by future: a candidate's sum then has the same bits whatever stands beside it.
        for weight, cost in zip(weights, ordered.unbind(dim=-1), strict=False):
            total = total + weight * cost
        return total.where(~broken, math.inf)


def split_futures(generators: Sequence[Generator], futures: int) -> list[list[Generator]]:
    """Return the generators of each environment's futures; those that are given do not advance.

    Future m derives from the state of its environment's generator and from m alone: it is the same whatever the number
    of futures and of environments. Where generators are on a GPU, so are those of the futures.

    Raises:
        ValueError: when ``futures`` is below 1.
    """
    validate("futures", Size, futures)
    return [_futures_of(each, futures) for each in generators]


def _futures_of(generator: Generator, futures: int) -> list[Generator]:
    words = torch.randint(2**32, (4,), generator=copied(generator), dtype=torch.int64, device=generator.device).tolist()
    seeds = [np.random.SeedSequence((*words, m)).generate_state(1, np.uint64)[0] for m in range(futures)]
    return [Generator(generator.device).manual_seed(int(seed)) for seed in seeds]
