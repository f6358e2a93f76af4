"""Visual model-predictive control with correspondence-wise image distances."""

from corrwise import _triton_guard

__version__ = "0.1.0"

_triton_guard.install()
