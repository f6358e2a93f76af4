"""Pairs of images with ground-truth optical flow: simulated bodies, planned candidates and painted layers."""

from corrwise.envs.flow_data.bodies import Pool, make_pool, suite_task
from corrwise.envs.flow_data.displaced import displaced, true_fields
from corrwise.envs.flow_data.layers import degraded, painted
from corrwise.envs.flow_data.pairs import BodyPairs, FlowPairs, Pairs, PlannedPairs

__all__ = [
    "BodyPairs",
    "FlowPairs",
    "Pairs",
    "PlannedPairs",
    "Pool",
    "degraded",
    "displaced",
    "make_pool",
    "painted",
    "suite_task",
    "true_fields",
]
