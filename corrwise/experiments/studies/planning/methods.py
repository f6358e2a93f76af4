"""What the planning table compares: on a task every method has the same planner, budget and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from corrwise.experiments.cli.cost import CONTROL_NAMES, CostConfig
from corrwise.experiments.cli.mpc import MPCConfig

__all__ = ["BASELINE", "BOUND", "CEILING", "METHODS", "OURS", "TASK_PLANNERS", "method_config", "planned"]

PLAIN = MPCConfig(costs=("l1",), videos=False)
BASELINE, OURS = "l1", "corr-l1-disp"  # what the others are measured by, and what they lead to
BOUND, CEILING = "exact-flow", "state"

METHODS: Mapping[str, MPCConfig] = MappingProxyType(
    {
        "l1": PLAIN,
        "corr-l1": replace(PLAIN, costs=("corr-l1",), cost=CostConfig(flow="all-pairs")),
        "corr-l1-reg": replace(PLAIN, costs=("corr-l1-reg",), cost=CostConfig(flow="all-pairs")),
        "corr-l1-disp": replace(PLAIN, costs=("corr-l1-disp",)),
        **{name: replace(PLAIN, costs=(name,)) for name in CONTROL_NAMES},
    }
)


TASK_PLANNERS: Mapping[str, Mapping[str, Any]] = MappingProxyType(  # where tuning episodes ask for another than PLAIN's
    {"ant": MappingProxyType({"planner": "icem", "horizon": 8})}
)


def method_config(method: str, task: str) -> MPCConfig:
    """Return the configuration of a method on a task."""
    return planned(METHODS[method], task)


def planned(config: MPCConfig, task: str) -> MPCConfig:
    """Return the configuration on a task, with the planner that all methods have there."""
    return replace(config, task=task, **TASK_PLANNERS.get(task, {}))
