"""Controls that the claim does not cover, so that the checks must fail on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.experiments.studies.time_weights.edits import edits, log_only
from corrwise.experiments.studies.time_weights.endpoints import ENDPOINTS, endpoint, line, points_case
from corrwise.experiments.studies.time_weights.exact import Case
from corrwise.predictors.generative.schedules import CondOT

__all__ = ["CONTROLS", "LOG_ONLY", "SMALL_MODEL", "SOFTENED", "Control", "small_model", "softened"]

LOG_ONLY, SMALL_MODEL = "edit-flow/log-only", "squared/small-model"
SOFTENED = "softened"  # beside the weights: what a training script has in front of the logarithm alone
_ROUND = 0.05


@dataclass(frozen=True)
class Control:
    """A control.

    Attributes:
        build: the case that it differs from, by times.
        change: what it does to the case; it gets the weight at each time.
        why: why the claim does not cover it.
    """

    build: Callable[[Tensor], Case]
    change: Callable[[Case, Tensor], Case]
    why: str


def softened(t: Float[Tensor, "t"]) -> Float[Tensor, "t"]:
    """Return ``(1 - kappa) / (1.2 - kappa)``: the hazard ``kappa' / (1.2 - kappa)`` over the true one."""
    return (1 - t**3) / (1.2 - t**3)


def _by_endpoint(case: Case, factor: Tensor) -> Case:
    conditional, problem = case.conditional, case.problem
    return replace(
        case,
        conditional=replace(conditional, mass=conditional.mass * (0.5 + conditional.target[:, 0])),
        problem=replace(problem, mass=problem.mass * (0.5 + problem.target[:, 0])),
    )


def _rounded_absolute(times: Float[Tensor, "t"]) -> Case:
    def loss(target: Tensor, raw: Tensor, t: Tensor, x: Tensor) -> Tensor:
        return ((raw - target).square() + _ROUND**2).sqrt().sum(dim=1)

    return points_case(line(CondOT()), ENDPOINTS["data"], loss, lambda raw: raw, times, 0.05)


def _squared(times: Float[Tensor, "t"]) -> Case:
    return endpoint("squared", "data", CondOT(), times)


CONTROLS: dict[str, Control] = {
    "squared/weight-of-endpoint": Control(_squared, _by_endpoint, "the weight depends on the endpoint"),
    "absolute-error/data": Control(_rounded_absolute, lambda case, factor: case, "no Bregman divergence"),
    SMALL_MODEL: Control(_squared, lambda case, factor: case, "a model that cannot represent the minimiser"),
    LOG_ONLY: Control(edits, log_only, "the weight stands on the logarithm alone"),
}


def small_model(case: Case, factor: Float[Tensor, "t"]) -> Float[Tensor, "s m"]:
    """Return what minimises the conditional squared loss among functions ``a + b t + c x``, at the problem's states."""
    terms, problem = case.conditional, case.problem

    def features(time: Tensor, x: Tensor) -> Tensor:
        t = case.times[time][:, None]
        return torch.cat([torch.ones_like(t), t, x], dim=1)

    root = (terms.mass * factor[terms.time]).sqrt()[:, None]
    fit = torch.linalg.lstsq(root * features(terms.time, terms.x), root * terms.target, driver="gelsd").solution
    return features(problem.time, problem.x) @ fit
