"""Noise that moves with a video: functions on the plane, maps along a video, and noise carriers."""

from corrwise.predictors.restoration.carriers import (
    CARRIERS,
    CarriedNoise,
    NoiseCarrier,
    carried_noise,
    make_carrier,
)
from corrwise.predictors.restoration.covariance import GridCovariance, grid_covariance
from corrwise.predictors.restoration.gaussian_process import (
    GaussianProcess,
    GaussianProcessConfig,
    kernel,
    nyquist_length_scale,
    sample_gaussian_process,
)
from corrwise.predictors.restoration.maps import Affine, FrameMap, affine_maps, first_map, flow_maps, video_maps

__all__ = [
    "CARRIERS",
    "Affine",
    "CarriedNoise",
    "FrameMap",
    "GaussianProcess",
    "GaussianProcessConfig",
    "GridCovariance",
    "NoiseCarrier",
    "affine_maps",
    "carried_noise",
    "first_map",
    "flow_maps",
    "grid_covariance",
    "kernel",
    "make_carrier",
    "nyquist_length_scale",
    "sample_gaussian_process",
    "video_maps",
]
