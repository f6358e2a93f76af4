"""The costs that the command line names, put together from the cost room's parts."""

from __future__ import annotations

from typing import Any

from corrwise.costs import DISTANCES, CorrespondenceWise, FlowGradient, FlowMagnitude, GoalCost, Regularizers
from corrwise.costs.flow import FLOWS
from corrwise.experiments.clock import Clock
from corrwise.experiments.config import CostConfig
from corrwise.types import Distance, Flow

# Intensity per pixel. With a regulariser a larger price leaves far objects unmatched, and the cost falls with distance.
_DISPLACEMENT_SCALED, _DISPLACEMENT_REGULARIZED = 0.01, 0.001


def make_flow(config: CostConfig, *, regularized: bool) -> Flow:
    """Return the optical flow that the configuration names, for a cost with or without a flow regulariser.

    Raises:
        FileNotFoundError, RuntimeError, ValueError: if its weights cannot be had or its options make no sense.
    """
    default = _DISPLACEMENT_REGULARIZED if regularized else _DISPLACEMENT_SCALED
    displacement = default if config.displacement is None else config.displacement
    options: dict[str, dict[str, Any]] = {
        "all-pairs": {"patch": config.patch, "penalty": displacement},
        "dis": {"preset": config.dis_preset, "finest_scale": config.dis_finest_scale},
        "raft": {"weights": config.raft_weights},
    }
    return FLOWS[config.flow](**options.get(config.flow, {}))


def flow_of(name: str, config: CostConfig) -> Flow | None:
    """Return the flow that a named cost matches by, or None for a cost that matches nothing."""
    if not name.startswith("corr-"):
        return None
    return make_flow(config, regularized=name.endswith(("-reg", "-both")))


def make_distance(name: str, config: CostConfig, *, clock: Clock | None = None) -> Distance:
    """Return the distance behind an image cost's name: ``l1``, or ``corr-l1`` with ``-reg`` or ``-both``.

    ``corr-l1`` scales the flow (epsilon); ``corr-l1-reg`` matches fully and penalises the flow instead (the paper's
    alternative, Eq. 3); ``corr-l1-both`` does both. With a clock, the flow's time counts under "flow".
    """
    flow = flow_of(name, config)
    if flow is None:
        return DISTANCES[name]
    _, base, *suffix = name.split("-")
    penalty = Regularizers(FlowMagnitude(config.magnitude), FlowGradient(config.gradient)) if suffix else None
    if clock is not None and hasattr(flow, "both"):
        clock.watch(flow, "both", "flow")
    elif clock is not None:
        flow = clock.timed(flow, "flow")
    return CorrespondenceWise(
        DISTANCES[base],
        flow,
        scaling=0.0 if suffix == ["reg"] else config.scaling,
        regularizer=penalty,
    )


def make_cost(name: str, config: CostConfig, *, clock: Clock | None = None) -> GoalCost:
    """Return the named image cost, lifted to trajectories."""
    return GoalCost(make_distance(name, config, clock=clock))
