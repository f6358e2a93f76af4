"""Context and actions to future frames."""

from corrwise.predictors.copy_last import CopyLast
from corrwise.predictors.oracle import OraclePredictor

__all__ = ["CopyLast", "OraclePredictor"]
