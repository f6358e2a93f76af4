"""The protocol of Gymnasium's vector environments: the options of a reset, and infos with their masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from corrwise.envs.arrays import to_numpy

__all__ = ["Infos", "add_info", "final", "reset_rows", "seeds_of"]

Infos = dict[str, Any]


def add_info(infos: Infos, name: str, values: np.ndarray, mask: np.ndarray) -> Infos:
    """Add ``values`` (num_envs,) of the copies in ``mask`` to the infos and return them; an empty mask adds nothing."""
    if mask.any():
        before = to_numpy(infos.get(name, np.zeros_like(values)))
        infos[name] = np.where(mask, values, before)
        infos[f"_{name}"] = to_numpy(infos.get(f"_{name}", np.zeros_like(mask))) | mask
    return infos


def final(observation: dict[str, np.ndarray], infos: Infos, over: np.ndarray) -> Infos:
    """Return ``final_obs`` and ``final_info`` of the copies that are over, from the observation and infos of a step."""
    last = np.full(len(over), None, dtype=object)
    for i in np.flatnonzero(over):
        last[i] = {name: images[i] for name, images in observation.items()}
    ended: Infos = {}
    for name in [name for name in infos if f"_{name}" in infos]:
        add_info(ended, name, infos[name], over & infos[f"_{name}"])
    return {"final_obs": last, "_final_obs": over.copy(), "final_info": ended, "_final_info": over.copy()}


def seeds_of(seed: int | Sequence[int | None] | None, count: int) -> list[int | None]:
    """Return a seed for each copy: ``seed + i`` for the i-th, those of a list, or None.

    Raises:
        ValueError: if a list has another length.
    """
    if seed is None or isinstance(seed, (int, np.integer)):
        return [None if seed is None else int(seed) + i for i in range(count)]
    if len(seed) != count:
        raise ValueError(f"expected {count} seeds, got {len(seed)}")
    return list(seed)


def reset_rows(options: Infos | None, count: int) -> np.ndarray:
    """Return the copies that a reset applies to: all, or those of ``options["reset_mask"]``.

    Raises:
        ValueError: if the mask is not a bool array (count,) with at least one True.
    """
    mask = None if options is None else options.get("reset_mask")
    if mask is None:
        return np.arange(count)
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (count,) or not mask.any():
        raise ValueError(f"expected reset_mask to be a bool array ({count},) with at least one True, got {mask!r}")
    return np.flatnonzero(mask)
