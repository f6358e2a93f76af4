"""Actions of others, brought to [-1, 1]."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float32

__all__ = ["scaled_actions"]


def scaled_actions(actions: Any, name: str, scale: tuple[float, float] = (-1.0, 1.0)) -> Float32[np.ndarray, "steps A"]:
    """Return actions mapped from [low, high] to [-1, 1].

    Args:
        actions: an array (T - 1, A).
        name: what a message calls them.
        scale: low and high, of every number of an action.

    Raises:
        ValueError: no such array, numbers that are not finite, or outside of [low, high].
    """
    low, high = scale
    if not low < high:
        raise ValueError(f"expected a low below high, got {low:g} and {high:g}")
    actions = np.asarray(actions)
    if actions.ndim != 2 or actions.dtype.kind not in "fiu":
        raise ValueError(f"expected numbers (T - 1, A) as actions in {name}, got {actions.dtype} {actions.shape}")
    values = actions.astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"expected finite actions in {name}, got NaN or infinity")
    if values.size and (values.min() < low or values.max() > high):
        raise ValueError(
            f"expected actions from {low:g} to {high:g} in {name}, got {values.min():g} to {values.max():g}; "
            "say between which low and high they lie"
        )
    return ((values - (high + low) / 2) / ((high - low) / 2)).clip(-1, 1).astype(np.float32)
