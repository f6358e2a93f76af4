"""Flows of videos as images."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from corrwise.costs.flow_colors import flow_to_rgb

__all__ = ["flow_frames"]

_FULL = 0.999  # quantile of the true flow lengths that has the full colour


def flow_frames(
    flows: Float[Tensor, "n t 2 h w"], like: Float[Tensor, "n t 2 h w"]
) -> UInt8[np.ndarray, "n t+1 h w 3"]:
    """Return flows as colours, the last one twice, so that there is one for each frame.

    Args:
        flows: from each frame to the next.
        like: the true flows of the same windows: the longest of each window have the full colour.
    """
    drawn = []
    for mine, true in zip(flows.numpy(), like, strict=True):
        full = max(float(true.norm(dim=1).quantile(_FULL)), 1e-3)
        drawn.append([flow_to_rgb(flow, max_px=full) for flow in (*mine, mine[-1])])
    return np.asarray(drawn)
