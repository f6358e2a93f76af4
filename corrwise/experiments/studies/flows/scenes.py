"""What flows are compared on: held-out pairs of a body, and its pictures with the body moved aside."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from corrwise.envs import TASKS
from corrwise.envs.flow_data import BodyPairs, Pairs, Pool, degraded, displaced, make_pool, painted, suite_task
from corrwise.envs.renderers import RaycastRenderer
from corrwise.experiments.cli.table_flows import BODIES, FlowTableConfig

__all__ = ["FlowScene"]

_HELD_OUT = 2**31  # training seeds lie below it, so no state here was ever drawn there
_VIEWS = 3  # cameras of a body that is none of the tasks
_POOLS, _PAIRS, _FAULTS, _CURVE, _TIMED = range(1, 6)  # separate streams: no measure changes another's data


class FlowScene:
    """One body's held-out data; what is asked for is made once, and does not depend on what else is asked for."""

    def __init__(self, body: str, config: FlowTableConfig) -> None:
        self.body, self._config = body, config

    @cached_property
    def clean(self) -> Pairs:
        """Pairs as the renderer draws them."""
        return self._pairs(self._config.pairs, self._rng(_PAIRS))

    @cached_property
    def degraded(self) -> Pairs:
        """The same pairs with y blurred, ghosted, noisy or tinted, as a prediction may be."""
        clean = self.clean
        return replace(clean, y=degraded(clean.y, clean.y.roll(1, 0), self._rng(_FAULTS)))

    def timed(self) -> tuple[Float[Tensor, "B 3 h w"], Float[Tensor, "B 3 h w"]]:
        """Return the pictures of the pairs that are timed."""
        pairs = self._pairs(self._config.timed_pairs, self._rng(_TIMED))
        return pairs.x, pairs.y

    @cached_property
    def moved(self) -> tuple[Float[Tensor, "n d 3 h w"], Bool[Tensor, "n d h w"]]:
        """Pictures with the body at offsets of 0 to ``reach`` pixels, and where the body is."""
        pool = self._pools[0]
        assert isinstance(pool.simulator.renderer, RaycastRenderer)
        images = pool.images[pool.usable].float() / 255
        chosen = self._rng(_CURVE).permutation(len(images))
        background = pool.simulator.renderer.background
        return displaced(images[chosen], background, n=self._config.pictures, reach=self._config.reach)

    @cached_property
    def _pools(self) -> list[Pool]:
        rng, size = self._rng(_POOLS), self._config.size
        tasks = [TASKS[self.body]] if self.body in TASKS else [suite_task(self.body, rng) for _ in range(_VIEWS)]
        episodes = max(2, self._config.episodes // len(tasks))
        return [make_pool(task, episodes=episodes, size=size, rng=rng) for task in tasks]

    def _pairs(self, n: int, rng: np.random.Generator) -> Pairs:
        if self.body == "textures":
            return Pairs(*painted(n, self._config.size, rng, checked=True))
        counts = np.diff(np.linspace(0, n, len(self._pools) + 1).round().astype(int))
        parts = zip(self._pools, counts, strict=True)
        return Pairs.joined([BodyPairs(pool).sample(int(count), rng) for pool, count in parts if count])

    def _rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([_HELD_OUT + self._config.seed, stream, BODIES.index(self.body) + 1])
