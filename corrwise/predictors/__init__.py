"""Predictors: from a context and actions to future frames."""

from corrwise.predictors.generative.denoiser import Denoiser
from corrwise.predictors.models.baselines import CopyLast, OraclePredictor
from corrwise.predictors.models.resnet3d import ResNet3D
from corrwise.predictors.models.svg import SVG
from corrwise.predictors.models.svg_prime import SVGPrime

__all__ = ["SVG", "CopyLast", "Denoiser", "OraclePredictor", "ResNet3D", "SVGPrime"]
