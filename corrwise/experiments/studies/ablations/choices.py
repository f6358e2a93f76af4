"""What the planning table's choices rest on: each changed alone, on episodes that the table never uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from corrwise.experiments.cli.cost import CostConfig
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.studies.planning.methods import BASELINE, METHODS, OURS, method_config, planned

__all__ = ["AXES", "names", "variants"]

_ALONE: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "planner": ("random", "cem", "icem", "mppi"),
        "horizon": (4, 6, 8, 12, 16),
        "candidates": (24, 96),
        "aggregate": ("sum", "last-times-k", "min"),
        "size": (32, 96),
        "supersample": (2,),
    }
)
SHARED: Mapping[str, Mapping[str, Mapping[str, Any]]] = MappingProxyType(  # tried for the baseline and for ours alike
    {
        **{axis: {str(value): {axis: value} for value in values} for axis, values in _ALONE.items()},
        "planner-horizon": {  # a short plan may ask for another planner
            f"{planner} {horizon}": {"planner": planner, "horizon": horizon}
            for planner in ("cem", "icem", "mppi")
            for horizon in _ALONE["horizon"]
        },
    }
)
_SCALED, _REGULARIZED = METHODS["corr-l1"], METHODS["corr-l1-reg"]
COSTS: Mapping[str, Mapping[str, MPCConfig]] = MappingProxyType(  # tried for what there is to choose in a cost
    {
        "flow": {
            "zero, scaled": replace(_SCALED, cost=CostConfig(flow="zero")),
            "dis, scaled": replace(_SCALED, cost=CostConfig(flow="dis")),
            "dis medium, scaled": replace(_SCALED, cost=CostConfig(flow="dis", dis_preset="medium")),
            "affine, regularised": replace(_REGULARIZED, cost=CostConfig(flow="affine")),
            "homography, regularised": replace(_REGULARIZED, cost=CostConfig(flow="homography")),
            "all-pairs, scaled": replace(_SCALED, cost=CostConfig(flow="all-pairs")),
            "all-pairs, regularised": replace(_REGULARIZED, cost=CostConfig(flow="all-pairs")),
            "rigid, displacement": replace(METHODS[OURS], cost=CostConfig(flow="rigid")),
            "learned, scaled": replace(_SCALED, cost=CostConfig(flow="learned")),
            "learned, regularised": replace(_REGULARIZED, cost=CostConfig(flow="learned")),
        },
        "epsilon": {
            f"{epsilon:g}": replace(_SCALED, cost=replace(_SCALED.cost, scaling=epsilon)) for epsilon in (0.0, 0.2, 0.5)
        },
        "regulariser": {
            f"x {times:g}": replace(
                _REGULARIZED, cost=replace(_REGULARIZED.cost, magnitude=4.5 * times, gradient=2.25 * times)
            )
            for times in (0.25, 4.0)
        },
        "price": {
            f"{price:g}": replace(METHODS[OURS], cost=replace(METHODS[OURS].cost, price=price)) for price in (0.01, 1.0)
        },
        "power": {"1": replace(METHODS[OURS], cost=replace(METHODS[OURS].cost, price=1.0, power=1.0))},
        "occlusion": {
            f"{weight:g}": replace(METHODS[OURS], cost=replace(METHODS[OURS].cost, occlusion=weight))
            for weight in (0.0, 2.0, 20.0)
        },
    }
)
AXES = (*SHARED, *COSTS)


def names(axis: str, methods: tuple[str, ...]) -> list[str]:
    """Return the names of what is tried along an axis, on one task or another."""
    if axis in COSTS:
        return [f"{axis} {value}" for value in COSTS[axis]]
    return [f"{method} {axis} {value}" for method in methods for value in SHARED[axis]]


def variants(axis: str, task: str, methods: tuple[str, ...] = (BASELINE, OURS)) -> Iterator[tuple[str, MPCConfig]]:
    """Yield name and configuration of what is tried on a task along an axis, but for what is chosen there already.

    Along the axes of planner and picture the methods are tried side by side, and names begin with a method. Along
    those of the cost there is nothing to try for the baseline, and the name begins with the axis.
    """
    if axis in COSTS:
        yield from ((f"{axis} {value}", planned(config, task)) for value, config in COSTS[axis].items())
        return
    for method in methods:
        chosen = method_config(method, task)
        for said, changed in SHARED[axis].items():
            if all(getattr(chosen, option) != value for option, value in changed.items()):
                yield f"{method} {axis} {said}", replace(chosen, **changed)
