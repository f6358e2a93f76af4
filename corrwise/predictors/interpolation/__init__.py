"""Frames in between: a blend, a part of the optical flow, a correspondence-wise average, and a trained network."""

from corrwise.predictors.interpolation.average import CorrespondenceAverage
from corrwise.predictors.interpolation.blend import Blend
from corrwise.predictors.interpolation.flavr import FLAVR, FLAVRConfig
from corrwise.predictors.interpolation.half_flow import HalfFlow
from corrwise.predictors.interpolation.registry import INTERPOLATORS, load_interpolator, make_interpolator
from corrwise.predictors.interpolation.times import as_frames

__all__ = [
    "FLAVR",
    "INTERPOLATORS",
    "Blend",
    "CorrespondenceAverage",
    "FLAVRConfig",
    "HalfFlow",
    "as_frames",
    "load_interpolator",
    "make_interpolator",
]
