"""What the reset of a vector environment asks for: which copies, and with which seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from corrwise.envs.vector_infos import Infos

__all__ = ["reset_rows", "seeds_of"]


def seeds_of(seed: int | Sequence[int | None] | None, count: int) -> list[int | None]:
    """Return a seed for each copy: ``seed + i`` for the i-th, those of a list, or None.

    Raises:
        ValueError: a list of another length.
    """
    if seed is None or isinstance(seed, (int, np.integer)):
        return [None if seed is None else int(seed) + i for i in range(count)]
    if len(seed) != count:
        raise ValueError(f"expected {count} seeds, got {len(seed)}")
    return list(seed)


def reset_rows(options: Infos | None, count: int) -> np.ndarray:
    """Return which copies a reset is of: all, or those of ``options["reset_mask"]``.

    Raises:
        ValueError: the mask is no array of ``count`` truth values, or all are False.
    """
    mask = None if options is None else options.get("reset_mask")
    if mask is None:
        return np.arange(count)
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (count,) or not mask.any():
        raise ValueError(f"expected reset_mask to be a bool array ({count},) with at least one True, got {mask!r}")
    return np.flatnonzero(mask)
