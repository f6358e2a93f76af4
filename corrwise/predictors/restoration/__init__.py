"""Video restored by an image model: noise that moves with the scene, maps along a video, damages, and the model."""

from corrwise.predictors.restoration.affine import Affine
from corrwise.predictors.restoration.carriers import (
    CARRIERS,
    CarriedNoise,
    NoiseCarrier,
    carried_noise,
    make_carrier,
)
from corrwise.predictors.restoration.covariance import GridCovariance, grid_covariance
from corrwise.predictors.restoration.damage import DAMAGES, Damage, Downscaling, Masking, Operator, make_damage
from corrwise.predictors.restoration.gaussian_process import (
    GaussianProcess,
    GaussianProcessConfig,
    kernel,
    nyquist_length_scale,
    sample_gaussian_process,
)
from corrwise.predictors.restoration.goals import restored_goal
from corrwise.predictors.restoration.guesses import first_guess
from corrwise.predictors.restoration.guidance import Guidance
from corrwise.predictors.restoration.maps import FrameMap, affine_maps, first_map, flow_maps, video_maps
from corrwise.predictors.restoration.model import Autoencoder, Observation, RestorationConfig, RestorationModel
from corrwise.predictors.restoration.sampling import sample_images
from corrwise.predictors.restoration.video import restored_frames, warping_errors

__all__ = [
    "CARRIERS",
    "DAMAGES",
    "Affine",
    "Autoencoder",
    "CarriedNoise",
    "Damage",
    "Downscaling",
    "FrameMap",
    "GaussianProcess",
    "GaussianProcessConfig",
    "GridCovariance",
    "Guidance",
    "Masking",
    "NoiseCarrier",
    "Observation",
    "Operator",
    "RestorationConfig",
    "RestorationModel",
    "affine_maps",
    "carried_noise",
    "first_guess",
    "first_map",
    "flow_maps",
    "grid_covariance",
    "kernel",
    "make_carrier",
    "make_damage",
    "nyquist_length_scale",
    "restored_frames",
    "restored_goal",
    "sample_gaussian_process",
    "sample_images",
    "video_maps",
    "warping_errors",
]
