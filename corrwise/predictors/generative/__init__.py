"""Parts of generative predictors: probability paths, time laws, weights of the loss over time, solvers.

Time runs from noise at t = 0 to data at t = 1.
"""

from corrwise.predictors.generative.paths import Path, Quantity, convert, interpolate, snr, velocity
from corrwise.predictors.generative.schedules import PATHS, make_path
from corrwise.predictors.generative.solvers import SOLVERS, solve, time_grid
from corrwise.predictors.generative.time_laws import TIME_LAWS, TimeLaw, make_time_law
from corrwise.predictors.generative.weights import (
    WEIGHTS,
    Weight,
    check_weight,
    make_weight,
    time_range,
    weight_of,
)

__all__ = [
    "PATHS",
    "SOLVERS",
    "TIME_LAWS",
    "WEIGHTS",
    "Path",
    "Quantity",
    "TimeLaw",
    "Weight",
    "check_weight",
    "convert",
    "interpolate",
    "make_path",
    "make_time_law",
    "make_weight",
    "snr",
    "solve",
    "time_grid",
    "time_range",
    "velocity",
    "weight_of",
]
