"""Contracts: what distances, costs, flows, planners, predictors, tasks and renderers must do, checked on yours.

Each function returns None, or raises an ``AssertionError`` whose message states what to change. None of them needs a
test framework: call them in a test of your own, or from a prompt. Images are small; each takes a few seconds at most.
Neither torch nor MuJoCo is loaded before a check is called.
"""

from corrwise.testing.comparisons import check_cost, check_distance, check_flow
from corrwise.testing.planner import check_planner
from corrwise.testing.predictor import check_predictor
from corrwise.testing.simulation import check_renderer, check_task, moving_mask, plain_steps

__all__ = [
    "check_cost",
    "check_distance",
    "check_flow",
    "check_planner",
    "check_predictor",
    "check_renderer",
    "check_task",
    "moving_mask",
    "plain_steps",
]
