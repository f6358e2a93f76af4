"""Pairs of images with their ground-truth flow, and batches of them to train a flow net on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from corrwise.envs.flow_data.bodies import OTHER_BODIES, TASK_BODIES, Pool, make_pool, suite_task
from corrwise.envs.flow_data.layers import degraded, painted
from corrwise.envs.renderers import RaycastRenderer
from corrwise.envs.simulator import MujocoSimulator
from corrwise.envs.tasks import TASKS

__all__ = ["DEGRADED", "BodyPairs", "FlowPairs", "Pairs", "PlannedPairs"]

DEGRADED = 0.2  # share of the pairs of which one image is degraded as a prediction is
CAMERAS = 3  # views of each other body
NEAR = 4  # control steps: half of the pairs of one episode lie no further apart
PLANNED = 0.5  # share of the tasks' pairs that plans compared, where there are plans


@dataclass(frozen=True)
class Pairs:
    """Images x and y and the ground-truth flow of both directions.

    Attributes:
        x, y: the images, in [0, 1].
        flow_xy, flow_yx: on x's grid and on y's, in pixels, NaN where unknown; zero on a still background.
        seen_xy, seen_yx: where the other image shows the same point.
    """

    x: Float[Tensor, "B 3 h w"]
    y: Float[Tensor, "B 3 h w"]
    flow_xy: Float[Tensor, "B 2 h w"]
    flow_yx: Float[Tensor, "B 2 h w"]
    seen_xy: Bool[Tensor, "B h w"]
    seen_yx: Bool[Tensor, "B h w"]

    def to(self, device: torch.device | str) -> Pairs:
        """Return the pairs on a device."""
        return Pairs(*(getattr(self, each.name).to(device) for each in fields(Pairs)))

    @staticmethod
    def joined(parts: Sequence[Pairs]) -> Pairs:
        """Return all pairs in one."""
        return Pairs(*(torch.cat([getattr(part, each.name) for part in parts]) for each in fields(Pairs)))


class BodyPairs:
    """Pairs of one body's states: a third near in time, a third of the same episode, a third of any two.

    Args:
        pool: the states, see ``make_pool``.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def sample(self, n: int, rng: np.random.Generator) -> Pairs:
        """Return n pairs."""
        episode, step = np.nonzero(self._pool.usable)
        first = rng.integers(len(episode), size=n)
        a = episode[first], step[first]
        b = self._partners(*a, rng)
        x, y = (self._pool.images[at].float() / 255 for at in (a, b))
        state_a, state_b = self._pool.states[a], self._pool.states[b]
        return _exact(self._pool.simulator, x, y, state_a, state_b)

    def ghost(self, n: int, rng: np.random.Generator) -> Tensor:
        """Return n images of the same body, to blend into others."""
        episode, step = np.nonzero(self._pool.usable)
        chosen = rng.integers(len(episode), size=n)
        return self._pool.images[episode[chosen], step[chosen]].float() / 255

    def _partners(self, episode: np.ndarray, step: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        episodes, steps = self._pool.usable.shape
        kind = rng.integers(3, size=len(episode))
        near = np.clip(step + rng.choice([-1, 1], len(step)) * rng.integers(1, NEAR + 1, len(step)), 0, steps - 1)
        other = np.where(kind == 0, near, rng.integers(steps, size=len(step)))
        partner = np.where(kind == 2, rng.integers(episodes, size=len(step)), episode)
        good = self._pool.usable[partner, other]
        return np.where(good, partner, episode), np.where(good, other, step)


class PlannedPairs:
    """Pairs of a candidate of a plan and the goal that it was compared with.

    Args:
        simulator: the body, with its camera.
        states: candidates and their goals.
    """

    def __init__(self, simulator: MujocoSimulator, states: Float32[np.ndarray, "M 2 S"]) -> None:
        self._simulator, self._states = simulator, states

    def sample(self, n: int, rng: np.random.Generator) -> Pairs:
        """Return n pairs; x is the goal, y the candidate."""
        chosen = self._states[rng.integers(len(self._states), size=n)].astype(np.float64)
        candidates, goals = chosen[:, 0], chosen[:, 1]
        x, y = self._simulator.render(goals), self._simulator.render(candidates)
        return _exact(self._simulator, x, y, goals, candidates)

    def ghost(self, n: int, rng: np.random.Generator) -> Tensor:
        """Return n images of the same body, to blend into others."""
        return self._simulator.render(self._states[rng.integers(len(self._states), size=n), 0].astype(np.float64))


def _exact(simulator: MujocoSimulator, x: Tensor, y: Tensor, state_a: np.ndarray, state_b: np.ndarray) -> Pairs:
    renderer = simulator.renderer
    assert isinstance(renderer, RaycastRenderer)  # only rays know the surface that a pixel shows
    flow_xy, seen_xy = renderer.correspondence(state_a, state_b)
    flow_yx, seen_yx = renderer.correspondence(state_b, state_a)
    return Pairs(x, y, flow_xy, flow_yx, seen_xy, seen_yx)


class FlowPairs:
    """Batches of pairs; batch i depends on the seed and on i alone.

    Args:
        n: pairs of a batch.
        size: pixels to a side.
        episodes: random episodes of each of the three tasks; other bodies have a sixth as many for each camera.
        tasks: share of the pairs that show the three tasks' bodies; half of the rest are other bodies, half layers.
        plans: the states of each task's ``PlannedPairs``, from which half of its pairs are drawn; empty for none.
        seed: of the bodies' motions, cameras and all batches.
    """

    def __init__(
        self,
        n: int,
        *,
        size: int,
        episodes: int,
        tasks: float,
        seed: int,
        plans: Sequence[Float32[np.ndarray, "_ 2 _"]] = (),
    ) -> None:
        rng = np.random.default_rng([seed, 1])
        self.n, self.size, self.seed = n, size, seed
        self._shares = (tasks, (1 - tasks) / 2, (1 - tasks) / 2)
        bodies = [TASKS[name] for name in TASK_BODIES]
        self._tasks = [BodyPairs(make_pool(task, episodes=episodes, size=size, rng=rng)) for task in bodies]
        simulators = [MujocoSimulator(task, size=size) for task in bodies] if plans else []
        self._planned = [PlannedPairs(each, states) for each, states in zip(simulators, plans, strict=True)]
        views = [suite_task(name, rng) for name in OTHER_BODIES for _ in range(CAMERAS)]
        few = max(2, episodes // 6)
        self._others = [BodyPairs(make_pool(task, episodes=few, size=size, rng=rng)) for task in views]

    def batch(self, index: int) -> Pairs:
        """Return the index-th batch."""
        rng, n = np.random.default_rng([self.seed, 2, index]), self.n
        kinds = rng.choice(3, size=n, p=self._shares)
        parts, asked = [], int((kinds == 0).sum())
        planned = int(rng.binomial(asked, PLANNED)) if self._planned else 0
        bodies: list[tuple[Sequence[BodyPairs | PlannedPairs], int]] = [
            (self._tasks, asked - planned),
            (self._planned, planned),
            (self._others, int((kinds == 1).sum())),
        ]
        for sources, n_pairs in bodies:
            drawn = rng.integers(len(sources), size=n_pairs) if n_pairs else np.zeros(0, dtype=int)
            for body, count in zip(sources, np.bincount(drawn, minlength=len(sources)).tolist(), strict=True):
                if count:
                    parts.append(_some_degraded(body.sample(count, rng), body.ghost(count, rng), rng))
        count = int((kinds == 2).sum())
        if count:
            pairs = Pairs(*painted(count, self.size, rng))
            parts.append(_some_degraded(pairs, pairs.y.flip(0), rng))
        return Pairs.joined(parts)


def _some_degraded(pairs: Pairs, ghosts: Tensor, rng: np.random.Generator) -> Pairs:
    """Return the pairs, in some of which y resembles a prediction."""
    chosen = torch.from_numpy(rng.random(len(pairs.x)) < DEGRADED)
    return replace(pairs, y=torch.where(chosen[:, None, None, None], degraded(pairs.y, ghosts, rng), pairs.y))
