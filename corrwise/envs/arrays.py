"""The border to arrays of other libraries: an environment may hand out NumPy's, torch's, JAX's, or plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

__all__ = ["row_of", "to_numpy"]


def to_numpy(values: Any) -> np.ndarray:
    """Return what an environment handed out as an array of NumPy: tensors on any device, lists of them, numbers."""
    if isinstance(values, torch.Tensor):
        return values.detach().cpu().numpy()
    if isinstance(values, (list, tuple)):
        return np.asarray([to_numpy(each) for each in values])  # tensors of another device cannot be stacked by NumPy
    return np.asarray(values)


def row_of(values: Any, row: int) -> Any:
    """Return one copy's part of what a vector environment holds.

    ``values`` is an array over the copies, a sequence with an entry for each (None where there is none), or a mapping
    of these.
    """
    if isinstance(values, Mapping):
        return {name: row_of(part, row) for name, part in values.items()}
    return values[row]
