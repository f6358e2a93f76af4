"""Actions that are read from NumPy files and scaled to [-1, 1]."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from jaxtyping import Float32

__all__ = ["MAX_ACTION_BYTES", "check_action_bytes", "load_actions", "scaled_actions"]

MAX_ACTION_BYTES = 2**28
"""Most bytes that the actions of a clip may have: 2 ** 25 numbers of 64 bits. Checked before memory is allocated."""


def load_actions(path: Path) -> np.ndarray:
    """Return the array in an ``.npy`` file.

    Raises:
        ValueError: it cannot be read, or declares more than ``MAX_ACTION_BYTES`` or than the file holds.
    """
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = header(file)
            check_action_bytes(shape, dtype, str(path))
            left = os.fstat(file.fileno()).st_size - file.tell()
            if not dtype.hasobject and prod(shape) * dtype.itemsize > left:
                raise ValueError(f"expected {prod(shape) * dtype.itemsize} bytes of {dtype} {shape}, got {left}")
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError, TypeError, RecursionError, MemoryError, TokenError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path} cannot be read as an array of actions: {why}") from error


def check_action_bytes(shape: Sequence[int], dtype: np.dtype[Any], name: str) -> None:
    """Refuse an array of actions whose declared size is too large.

    Raises:
        ValueError: it has more than ``MAX_ACTION_BYTES``, or a negative length.
    """
    if any(length < 0 for length in shape) or prod(shape) * dtype.itemsize > MAX_ACTION_BYTES:
        raise ValueError(f"expected at most {MAX_ACTION_BYTES} bytes of actions in {name}, got {dtype} {(*shape,)}")


def scaled_actions(actions: Any, name: str, scale: tuple[float, float] = (-1.0, 1.0)) -> Float32[np.ndarray, "steps A"]:
    """Return actions mapped from [low, high] to [-1, 1].

    Args:
        actions: an array (T - 1, A).
        name: of the actions in messages.
        scale: low and high of every number of an action.

    Raises:
        ValueError: another shape or type, or numbers that are not finite or lie outside [low, high].
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
            "state the low and high between which they lie"
        )
    return ((values - (high + low) / 2) / ((high - low) / 2)).clip(-1, 1).astype(np.float32)
