"""Context and actions to future frames."""

from corrwise.predictors.copy_last import CopyLast
from corrwise.predictors.oracle import OraclePredictor
from corrwise.predictors.resnet3d import ResNet3D
from corrwise.predictors.svg import SVG
from corrwise.predictors.svg_prime import SVGPrime

__all__ = ["SVG", "CopyLast", "OraclePredictor", "ResNet3D", "SVGPrime"]
