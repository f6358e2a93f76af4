"""Pairs of pictures whose true correspondence is known: bodies from the simulator, and painted layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from corrwise.envs import TASKS, MujocoSimulator
from corrwise.experiments.cli.options import BODY_NAMES
from corrwise.experiments.studies.flows.bodies import OTHER_BODIES, make_pool, suite_task
from corrwise.experiments.studies.flows.exact_pairs import BodyPairs, Pairs, PairSource, PlannedPairs
from corrwise.experiments.studies.flows.layers import degraded, painted

__all__ = ["FlowPairs"]

DEGRADED = 0.2  # share of the pairs of which one picture is degraded as a prediction is
CAMERAS = 3  # views of each other body
PLANNED = 0.5  # share of the tasks' pairs that plans compared, where there are plans


class FlowPairs:
    """Batches to train a flow net on; batch i is the same in every run with the same seed.

    Args:
        size: pixels to a side.
        episodes: random episodes of each of the three tasks; other bodies have a sixth as many for each camera.
        tasks: share of the pairs that show the three tasks' bodies; half of the rest are other bodies, half layers.
        plans: what plans of each task compared (M, 2, S): half of that task's pairs are drawn from it. None for none.
        seed: of the bodies' motions, cameras and all batches.
    """

    def __init__(
        self, *, size: int, episodes: int, tasks: float, seed: int, plans: Sequence[Float32[np.ndarray, "_ 2 _"]] = ()
    ) -> None:
        rng = np.random.default_rng([seed, 1])
        self.size, self.seed = size, seed
        self._shares = (tasks, (1 - tasks) / 2, (1 - tasks) / 2)
        bodies = [TASKS[name] for name in BODY_NAMES]
        self._tasks = [BodyPairs(make_pool(task, episodes=episodes, size=size, rng=rng)) for task in bodies]
        simulators = [MujocoSimulator(task, size=size) for task in bodies] if plans else []
        self._planned = [PlannedPairs(each, states) for each, states in zip(simulators, plans, strict=True)]
        views = [suite_task(name, rng) for name in OTHER_BODIES for _ in range(CAMERAS)]
        few = max(2, episodes // 6)
        self._others = [BodyPairs(make_pool(task, episodes=few, size=size, rng=rng)) for task in views]

    def batch(self, index: int, n: int) -> Pairs:
        """Return the index-th batch of n pairs."""
        rng = np.random.default_rng([self.seed, 2, index])
        kinds = rng.choice(3, size=n, p=self._shares)
        parts, asked = [], int((kinds == 0).sum())
        planned = int(rng.binomial(asked, PLANNED)) if self._planned else 0
        bodies = (self._tasks, asked - planned), (self._planned, planned), (self._others, int((kinds == 1).sum()))
        for sources, n_pairs in bodies:
            for body, count in self._drawn(sources, n_pairs, rng):
                parts.append(self._degraded(body.sample(count, rng), body.ghost(count, rng), rng))
        count = int((kinds == 2).sum())
        if count:
            pairs = Pairs(*painted(count, self.size, rng))
            parts.append(self._degraded(pairs, pairs.y.flip(0), rng))
        return Pairs.joined(parts)

    @staticmethod
    def _drawn(bodies: Sequence[PairSource], n: int, rng: np.random.Generator) -> list[tuple[PairSource, int]]:
        if not n:
            return []
        counts = np.bincount(rng.integers(len(bodies), size=n), minlength=len(bodies))
        return [(body, int(count)) for body, count in zip(bodies, counts, strict=True) if count]

    @staticmethod
    def _degraded(pairs: Pairs, ghosts: Tensor, rng: np.random.Generator) -> Pairs:
        """Return the pairs, in some of which y looks like a prediction."""
        chosen = torch.from_numpy(rng.random(len(pairs.x)) < DEGRADED)
        y = torch.where(chosen[:, None, None, None], degraded(pairs.y, ghosts, rng), pairs.y)
        return Pairs(pairs.x, y, pairs.flow_xy, pairs.flow_yx, pairs.seen_xy, pairs.seen_yx)
