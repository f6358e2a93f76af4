"""Contracts of distances, costs, flows, planners, predictors, tasks, renderers and other parts, to test your own.

Each check returns None, or raises an ``AssertionError`` whose message states what to change. Checks need no test
framework and take a few seconds at most: call them in a test or at a prompt. Importing this package loads neither torch
nor MuJoCo.
"""

from corrwise.testing.comparisons import check_cost, check_distance, check_flow
from corrwise.testing.generative import check_path, check_solver, check_time_law, check_time_weight
from corrwise.testing.interpolator import check_interpolator
from corrwise.testing.motion import check_discriminator
from corrwise.testing.noise_carrier import check_noise_carrier
from corrwise.testing.planner import check_planner
from corrwise.testing.predictor import check_predictor
from corrwise.testing.simulation import check_renderer, check_task, moving_mask, plain_steps

__all__ = [
    "check_cost",
    "check_discriminator",
    "check_distance",
    "check_flow",
    "check_interpolator",
    "check_noise_carrier",
    "check_path",
    "check_planner",
    "check_predictor",
    "check_renderer",
    "check_solver",
    "check_task",
    "check_time_law",
    "check_time_weight",
    "moving_mask",
    "plain_steps",
]
