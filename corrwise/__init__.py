"""Visual model-predictive control with correspondence-wise image distances."""

__version__ = "0.1.0"
