"""How far from its goal an agent is, step by step, on episodes that are the same for every agent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float64
from stable_baselines3.common.vec_env import VecEnv

__all__ = ["LAST", "SEED", "final_distance", "judged"]

SEED = 50_000  # of the first episode; no agent learns from it
LAST = 10  # control steps at the end of an episode, over which the distance is averaged: a pole swings


def judged(act: Callable[[Any], np.ndarray], envs: VecEnv) -> Float64[np.ndarray, "T n"]:
    """Return the true distances along one episode of each copy: after each control step, m and rad.

    Args:
        act: observations of all copies to their actions (n, A).
        envs: n copies whose info tells the ``state_distance``, all with episodes of one length.
    """
    envs.seed(SEED)
    observations, distances = envs.reset(), []
    while True:
        observations, _, over, infos = envs.step(act(observations))
        distances.append([info["state_distance"] for info in infos])
        if over.any():
            return np.array(distances)


def final_distance(distances: Float64[np.ndarray, "T n"]) -> float:
    """Return the mean over all episodes and their last control steps."""
    return float(distances[-LAST:].mean())
