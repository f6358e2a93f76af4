"""Images to distances: pixel-wise, perceptual and correspondence-wise. Knows no simulator, no agent, no file."""

from corrwise.costs._checks import check_pair
from corrwise.costs.correspondence import CorrespondenceWise, Terms
from corrwise.costs.distances import l1, mse, ssim
from corrwise.costs.goal import GoalCost
from corrwise.costs.penalties import Displacement, EdgeAwareSmoothness, FlowGradient, FlowMagnitude, Regularizers
from corrwise.costs.perceptual import Perceptual
from corrwise.costs.presets import FORMS, PRESETS, Preset, recommended
from corrwise.costs.views import PerView, ViewTerms
from corrwise.costs.warp import warp

__all__ = [
    "DISTANCES",
    "FORMS",
    "PRESETS",
    "CorrespondenceWise",
    "Displacement",
    "EdgeAwareSmoothness",
    "FlowGradient",
    "FlowMagnitude",
    "GoalCost",
    "PerView",
    "Perceptual",
    "Preset",
    "Regularizers",
    "Terms",
    "ViewTerms",
    "check_pair",
    "l1",
    "mse",
    "recommended",
    "ssim",
    "warp",
]

DISTANCES = {"l1": l1, "mse": mse, "ssim": ssim}
