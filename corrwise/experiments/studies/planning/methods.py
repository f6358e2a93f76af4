"""What the planning table compares: on a task every method has the same planner, budget and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from corrwise.costs.spec import RECOMMENDED
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.cli.table_mpc import METHOD_NAMES

__all__ = [
    "BASELINE",
    "BOUND",
    "CEILING",
    "METHODS",
    "OURS",
    "REGULARIZED",
    "SCALED",
    "TASK_PLANNERS",
    "method_config",
    "planned",
]

PLAIN = MPCConfig(costs=("l1",), videos=False)
BASELINE, OURS = "l1", RECOMMENDED  # what the others are measured by, and what they lead to
SCALED, REGULARIZED = "corr-l1:flow=all-pairs", "corr-l1:flow=all-pairs,form=reg"  # the paper's two forms
BOUND, CEILING = "exact-flow", "state"

METHODS = METHOD_NAMES  # each is the text of its cost

TASK_PLANNERS: Mapping[str, Mapping[str, Any]] = MappingProxyType(  # where tuning episodes ask for another than PLAIN's
    {"ant": MappingProxyType({"planner": "icem", "horizon": 8})}
)


def method_config(method: str, task: str) -> MPCConfig:
    """Return the configuration of a method, the canonical text of a cost, on a task."""
    return planned(replace(PLAIN, costs=(method,)), task)


def planned(config: MPCConfig, task: str) -> MPCConfig:
    """Return the configuration on a task, with the planner that all methods have there."""
    return replace(config, task=task, **TASK_PLANNERS.get(task, {}))
