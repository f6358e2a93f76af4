"""All cases by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from jaxtyping import Float
from torch import Tensor

from corrwise.experiments.studies.time_weights.circle import circle
from corrwise.experiments.studies.time_weights.edits import edits
from corrwise.experiments.studies.time_weights.endpoints import by_state, diffusion, endpoint, matrix_field
from corrwise.experiments.studies.time_weights.exact import Case
from corrwise.experiments.studies.time_weights.gaussians import flow_matching
from corrwise.experiments.studies.time_weights.jumps import jump
from corrwise.experiments.studies.time_weights.tokens import tokens
from corrwise.predictors.generative.paths import Path
from corrwise.predictors.generative.schedules import PATHS, CondOT

__all__ = ["CASES", "path_of"]

_STRAIGHT = CondOT()
_BREGMAN = (
    *(("squared", target) for target in ("data", "residual", "gated")),
    *(("kl", target) for target in ("data", "gated")),
    *(("itakura-saito", target) for target in ("data", "gated")),
    *(("log-cosh", target) for target in ("data", "gated")),
    *(("logistic", "data"), ("exponential", "residual")),
)

CASES: dict[str, Callable[[Float[Tensor, "t"]], Case]] = {
    **{f"flow-matching/{name}": partial(flow_matching, kind()) for name, kind in PATHS.items()},
    "diffusion": partial(diffusion, _STRAIGHT),
    "circle": circle,
    **{f"{name}/{target}": partial(endpoint, name, target, _STRAIGHT) for name, target in _BREGMAN},
    "kl-by-state/data": partial(by_state, _STRAIGHT),
    "matrix-field/data": partial(matrix_field, _STRAIGHT),
    "cross-entropy": tokens,
    "jump/rates": partial(jump, on="rates"),
    "jump/multipliers": partial(jump, on="multipliers"),
    "edit-flow": edits,
}


def path_of(case: str) -> Path:
    """Return the path on which weights are functions of t; discrete processes take that of straight lines."""
    _, _, name = case.partition("/")
    return PATHS[name]() if name in PATHS else _STRAIGHT
