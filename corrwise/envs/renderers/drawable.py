"""Which states have a picture at all."""

from __future__ import annotations

import mujoco
import numpy as np
from jaxtyping import Bool, Float64

from corrwise.envs.tasks.metric import integration_size


def drawable(model: mujoco.MjModel, states: Float64[np.ndarray, "n S"]) -> Bool[np.ndarray, "n"]:
    """Return which states MuJoCo accepts; at the others (NaN, or beyond its limit) it would reset the body and go on.

    Raises:
        ValueError: if these are not integration states of this model.
    """
    size = integration_size(model)
    if states.ndim != 2 or states.shape[1] != size:
        raise ValueError(f"expected integration states (n, {size}), got {states.shape}")
    return np.asarray((np.abs(states) <= mujoco.mjMAXVAL).all(axis=1))
