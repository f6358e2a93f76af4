"""Infos of vector environments as Gymnasium puts them: an array over the copies, and a mask of those that tell."""

from __future__ import annotations

from typing import Any

import numpy as np

from corrwise.envs.arrays import to_numpy

__all__ = ["Infos", "final", "tell"]

Infos = dict[str, Any]


def tell(infos: Infos, name: str, values: np.ndarray, mask: np.ndarray) -> Infos:
    """Add ``values`` (num_envs,) of the copies in ``mask`` to the infos, and return them; nothing if none tells."""
    if mask.any():
        before = to_numpy(infos.get(name, np.zeros_like(values)))
        infos[name] = np.where(mask, values, before)
        infos[f"_{name}"] = to_numpy(infos.get(f"_{name}", np.zeros_like(mask))) | mask
    return infos


def final(observation: dict[str, np.ndarray], infos: Infos, over: np.ndarray) -> Infos:
    """Return ``final_obs`` and ``final_info`` of the copies that are over, from the last they showed and told."""
    last = np.full(len(over), None, dtype=object)
    for i in np.flatnonzero(over):
        last[i] = {name: pictures[i] for name, pictures in observation.items()}
    told: Infos = {}
    for name in [name for name in infos if f"_{name}" in infos]:
        tell(told, name, infos[name], over & infos[f"_{name}"])
    return {"final_obs": last, "_final_obs": over.copy(), "final_info": told, "_final_info": over.copy()}
