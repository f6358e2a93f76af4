"""What flows are compared on: held-out pairs of a body, and its pictures with the body moved aside."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from corrwise.envs import TASKS
from corrwise.envs.renderers import RaycastRenderer
from corrwise.experiments.cli.table_flows import BODIES, FlowTableConfig
from corrwise.experiments.studies.flows.bodies import Pool, make_pool, suite_task
from corrwise.experiments.studies.flows.exact_pairs import BodyPairs, Pairs
from corrwise.experiments.studies.flows.layers import degraded, painted

__all__ = ["FlowScene", "displaced"]

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


def displaced(
    images: Float[Tensor, "m 3 h w"], background: Float[Tensor, "3 h w"], *, n: int, reach: int
) -> tuple[Float[Tensor, "n d 3 h w"], Bool[Tensor, "n d h w"]]:
    """Return the first n pictures whose body stays whole while it moves ``reach`` pixels, and where the body is.

    The body is cut out and put onto the empty background at offsets of 0, 1 .. reach pixels to the right of a place
    from which it has that room (the paper's Fig. 2b does so with a car).

    Raises:
        ValueError: no body is narrow enough.
    """
    body = (images != background).any(dim=1)
    columns = body.any(dim=1)
    width = images.shape[-1]
    left = columns.int().argmax(dim=1)
    wide = width - columns.flip(1).int().argmax(dim=1) - left
    fits = torch.nonzero((wide <= width - reach) & columns.any(dim=1))[:n, 0].tolist()
    if not fits:
        raise ValueError(f"expected a reach that leaves room for the body, at most {width - int(wide.min())} pixels, "
                         f"got {reach}")  # fmt: skip
    starts = [int((width - reach - wide[i]) // 2 - left[i]) for i in fits]
    shifts = [(i, start + d) for i, start in zip(fits, starts, strict=True) for d in range(reach + 1)]
    masks = torch.stack([body[i].roll(shift, 1) for i, shift in shifts])
    moved = torch.stack([images[i].roll(shift, 2) for i, shift in shifts])
    pictures = torch.where(masks[:, None], moved, background)
    return pictures.unflatten(0, (len(fits), -1)), masks.unflatten(0, (len(fits), -1))
