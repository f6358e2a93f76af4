"""What a row says of an episode."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from corrwise.experiments.runs.episode import Episode
from corrwise.experiments.report.summary import TERMS

__all__ = ["episode_row"]

Row = dict[str, Any]


def episode_row(episode: Episode) -> Row:
    """Return distances, seconds and the cost's terms; pictures are the caller's."""
    return {
        "seed": episode.seed,
        **_distances("", episode.distances),
        **_distances("_full", episode.distances_full),
        "last10_distance": float(np.mean(episode.distances[-10:])),
        "steps": len(episode.distances) - 1,
        "seconds": sum(episode.seconds.values()),
        **{f"seconds_{name}": spent for name, spent in sorted(episode.seconds.items())},
        **{name: _mean(episode.terms.get(name, [])) for name in TERMS},
        "rejected": episode.rejected,
        "scored": episode.scored,
        "plans_rejected": episode.plans_rejected,
        **({"left_out": list(episode.left_out)} if episode.left_out else {}),
        "diverged": episode.diverged,
        "distances": episode.distances,
    }


def _distances(suffix: str, distances: list[float]) -> Row:
    """Return start, nearest and final distance; the nearest may be the start."""
    return {
        f"start_distance{suffix}": distances[0],
        f"min_distance{suffix}": min(distances),
        f"final_distance{suffix}": distances[-1],
    }


def _mean(values: list[float]) -> float | None:
    """Return the mean over the control steps that have a value, or None."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else None
