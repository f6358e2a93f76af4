"""Every weight with every law of t, as the factor that each node of t has in an expected loss."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.predictors.generative.paths import Path
from corrwise.predictors.generative.schedules import CondOT
from corrwise.predictors.generative.time_laws import TIME_LAWS, make_time_law
from corrwise.predictors.generative.weights import WEIGHTS, check_weight, make_weight

__all__ = ["all_laws", "all_weights", "factors", "weight_at"]


def all_weights(texts: Iterable[str], paths: Iterable[Path] = (CondOT(),)) -> list[str]:
    """Return weights as their canonical text; without any, all that there are.

    Raises:
        ValueError: an unknown weight or option, or a weight that is not positive and finite inside (0, 1).
    """
    made = [make_weight(text) for text in list(texts) or list(WEIGHTS)]
    for path in paths:
        for weight in made:
            check_weight(weight, path)
    return [str(weight) for weight in made]


def all_laws(texts: Iterable[str]) -> list[str]:
    """Return laws of t as their canonical text; without any, all that there are.

    Raises:
        ValueError: an unknown law or option.
    """
    return [str(make_time_law(text)) for text in list(texts) or list(TIME_LAWS)]


def weight_at(weight: str, path: Path, t: Float[Tensor, "t"]) -> Float[Tensor, "t"]:
    """Return a weight, as it stands on the squared error of the data."""
    return make_weight(weight)(path, t)


def factors(
    weight: str, laws: Iterable[str], path: Path, times: Float[Tensor, "t"], widths: Float[Tensor, "t"]
) -> Float[Tensor, "l t"]:
    """Return weight times density times quadrature weight at each node of t, for each law."""
    density = torch.stack([make_time_law(law).density(times) for law in laws])
    return weight_at(weight, path, times) * density * widths
