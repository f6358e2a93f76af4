"""The types that all packages share: values, protocols and optional capabilities.

Axes, always in this order and always present (one environment is ``B = 1``):
    B  parallel environments        K  context frames          C h w  image (RGB, float32 in [0, 1]; see ``Views``)
    N  candidate action sequences   T  frames asked for        S      simulator integration state (float64)
    H  horizon in control steps     G  goal frames             A      action, in [-1, 1]
"""

from corrwise.types.protocols import (
    BidirectionalFlow,
    CheckingPredictor,
    ComparingSimulator,
    Cost,
    Distance,
    EncodingDistance,
    EvaluatingObjective,
    FixedTimes,
    Flow,
    Interpolator,
    PartialRenderer,
    Planner,
    Predictor,
    Simulator,
    TermsDistance,
    copied,
    has_gradient,
    is_deterministic,
)
from corrwise.types.values import COLOURS, ONE_VIEW, Context, Goal, Proposal, Trace, Views, channel_axis

__all__ = [
    "COLOURS",
    "ONE_VIEW",
    "BidirectionalFlow",
    "CheckingPredictor",
    "ComparingSimulator",
    "Context",
    "Cost",
    "Distance",
    "EncodingDistance",
    "EvaluatingObjective",
    "FixedTimes",
    "Flow",
    "Goal",
    "Interpolator",
    "PartialRenderer",
    "Planner",
    "Predictor",
    "Proposal",
    "Simulator",
    "TermsDistance",
    "Trace",
    "Views",
    "channel_axis",
    "copied",
    "has_gradient",
    "is_deterministic",
]
