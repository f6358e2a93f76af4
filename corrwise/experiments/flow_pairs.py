"""Pairs of pictures whose true correspondence is known: bodies from the simulator, and painted layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from corrwise.envs import TASKS
from corrwise.envs.renderers import RaycastRenderer
from corrwise.experiments.degrade import degraded
from corrwise.experiments.flow_bodies import OTHER_BODIES, Pool, make_pool, suite_task
from corrwise.experiments.flow_layers import painted

__all__ = ["BodyPairs", "FlowPairs", "Pairs"]

NEAR = 4  # control steps: half of the pairs of one episode lie no further apart
DEGRADED = 0.2  # share of the pairs of which one picture is degraded as a prediction is
CAMERAS = 3  # views of each other body


@dataclass(frozen=True)
class Pairs:
    """Pictures x and y in [0, 1] and the true flow of both directions.

    Attributes:
        x, y: the pictures.
        flow_xy, flow_yx: on x's grid and on y's, in pixels, NaN where unknown; zero on a still background.
        seen_xy, seen_yx: where the other picture shows the same point.
    """

    x: Float[Tensor, "B 3 h w"]
    y: Float[Tensor, "B 3 h w"]
    flow_xy: Float[Tensor, "B 2 h w"]
    flow_yx: Float[Tensor, "B 2 h w"]
    seen_xy: Bool[Tensor, "B h w"]
    seen_yx: Bool[Tensor, "B h w"]

    @staticmethod
    def joined(parts: Sequence[Pairs]) -> Pairs:
        """Return all pairs in one."""
        return Pairs(*(torch.cat([getattr(part, each.name) for part in parts]) for each in fields(Pairs)))


class BodyPairs:
    """Pairs of one body's states: near in time, far in time, and of different episodes."""

    def __init__(self, pool: Pool) -> None:
        assert isinstance(pool.simulator.renderer, RaycastRenderer)  # only rays know the surface that a pixel shows
        self._pool, self._renderer = pool, pool.simulator.renderer

    def sample(self, n: int, rng: np.random.Generator) -> Pairs:
        """Return n pairs with the exact flow of both directions."""
        episode, step = np.nonzero(self._pool.usable)
        first = rng.integers(len(episode), size=n)
        a = episode[first], step[first]
        b = self._partners(*a, rng)
        x, y = (self._pool.images[at].float() / 255 for at in (a, b))
        state_a, state_b = self._pool.states[a], self._pool.states[b]
        flow_xy, seen_xy = self._renderer.correspondence(state_a, state_b)
        flow_yx, seen_yx = self._renderer.correspondence(state_b, state_a)
        return Pairs(x, y, flow_xy, flow_yx, seen_xy, seen_yx)

    def ghost(self, n: int, rng: np.random.Generator) -> Tensor:
        """Return n pictures of the same body, to shine through others."""
        episode, step = np.nonzero(self._pool.usable)
        chosen = rng.integers(len(episode), size=n)
        return self._pool.images[episode[chosen], step[chosen]].float() / 255

    def _partners(self, episode: np.ndarray, step: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Return for each state another: a third near in time, a third of the same episode, a third of any."""
        episodes, steps = self._pool.usable.shape
        kind = rng.integers(3, size=len(episode))
        near = np.clip(step + rng.choice([-1, 1], len(step)) * rng.integers(1, NEAR + 1, len(step)), 0, steps - 1)
        other = np.where(kind == 0, near, rng.integers(steps, size=len(step)))
        whose = np.where(kind == 2, rng.integers(episodes, size=len(step)), episode)
        good = self._pool.usable[whose, other]
        return np.where(good, whose, episode), np.where(good, other, step)


class FlowPairs:
    """Batches to train a flow net on; batch i is the same in every run with the same seed.

    Args:
        size: pixels to a side.
        episodes: random episodes of each of the three tasks; other bodies have a sixth as many for each camera.
        tasks: share of the pairs that show the three tasks' bodies; half of the rest are other bodies, half layers.
        seed: of the bodies' motions, cameras and all batches.
    """

    def __init__(self, *, size: int, episodes: int, tasks: float, seed: int) -> None:
        rng = np.random.default_rng([seed, 1])
        self.size, self.seed = size, seed
        self._shares = (tasks, (1 - tasks) / 2, (1 - tasks) / 2)
        self._tasks = [BodyPairs(make_pool(t, episodes=episodes, size=size, rng=rng)) for t in TASKS.values()]
        views = [suite_task(name, rng) for name in OTHER_BODIES for _ in range(CAMERAS)]
        few = max(2, episodes // 6)
        self._others = [BodyPairs(make_pool(task, episodes=few, size=size, rng=rng)) for task in views]

    def batch(self, index: int, n: int) -> Pairs:
        """Return the index-th batch of n pairs."""
        rng = np.random.default_rng([self.seed, 2, index])
        kinds = rng.choice(3, size=n, p=self._shares)
        parts = []
        for body, count in self._drawn(self._tasks, int((kinds == 0).sum()), rng):
            parts.append(self._degraded(body.sample(count, rng), body.ghost(count, rng), rng))
        for body, count in self._drawn(self._others, int((kinds == 1).sum()), rng):
            parts.append(self._degraded(body.sample(count, rng), body.ghost(count, rng), rng))
        count = int((kinds == 2).sum())
        if count:
            pairs = Pairs(*painted(count, self.size, rng))
            parts.append(self._degraded(pairs, pairs.y.flip(0), rng))
        return Pairs.joined(parts)

    @staticmethod
    def _drawn(bodies: list[BodyPairs], n: int, rng: np.random.Generator) -> list[tuple[BodyPairs, int]]:
        counts = np.bincount(rng.integers(len(bodies), size=n), minlength=len(bodies))
        return [(body, int(count)) for body, count in zip(bodies, counts, strict=True) if count]

    @staticmethod
    def _degraded(pairs: Pairs, ghosts: Tensor, rng: np.random.Generator) -> Pairs:
        """Return the pairs, in some of which y looks like a prediction."""
        chosen = torch.from_numpy(rng.random(len(pairs.x)) < DEGRADED)
        y = torch.where(chosen[:, None, None, None], degraded(pairs.y, ghosts, rng), pairs.y)
        return Pairs(pairs.x, y, pairs.flow_xy, pairs.flow_yx, pairs.seen_xy, pairs.seen_yx)
