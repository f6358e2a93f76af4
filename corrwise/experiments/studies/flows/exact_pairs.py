"""Pairs of pictures of one body whose true correspondence the simulator knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from corrwise.envs import MujocoSimulator
from corrwise.envs.renderers import RaycastRenderer
from corrwise.experiments.studies.flows.bodies import Pool

__all__ = ["BodyPairs", "PairSource", "Pairs", "PlannedPairs"]

NEAR = 4  # control steps: half of the pairs of one episode lie no further apart


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

    def to(self, device: torch.device | str) -> Pairs:
        """Return the pairs on a device."""
        return Pairs(*(getattr(self, each.name).to(device) for each in fields(Pairs)))

    @staticmethod
    def joined(parts: Sequence[Pairs]) -> Pairs:
        """Return all pairs in one."""
        return Pairs(*(torch.cat([getattr(part, each.name) for part in parts]) for each in fields(Pairs)))


@runtime_checkable
class PairSource(Protocol):
    """Where pairs of one body come from."""

    def sample(self, n: int, rng: np.random.Generator) -> Pairs:
        """Return n pairs with the exact flow of both directions."""
        ...

    def ghost(self, n: int, rng: np.random.Generator) -> Tensor:
        """Return n pictures of the same body, to shine through others."""
        ...


class BodyPairs:
    """Pairs of one body's states: near in time, far in time, and of different episodes."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def sample(self, n: int, rng: np.random.Generator) -> Pairs:
        """Return n pairs with the exact flow of both directions."""
        episode, step = np.nonzero(self._pool.usable)
        first = rng.integers(len(episode), size=n)
        a = episode[first], step[first]
        b = self._partners(*a, rng)
        x, y = (self._pool.images[at].float() / 255 for at in (a, b))
        state_a, state_b = self._pool.states[a], self._pool.states[b]
        return _exact(self._pool.simulator, x, y, state_a, state_b)

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


class PlannedPairs:
    """Pairs of a candidate and the goal that a plan compared it with."""

    def __init__(self, simulator: MujocoSimulator, states: Float32[np.ndarray, "M 2 S"]) -> None:
        self._simulator, self._states = simulator, states

    def sample(self, n: int, rng: np.random.Generator) -> Pairs:
        """Return n pairs with the exact flow of both directions; y is the candidate, which a prediction stands for."""
        chosen = self._states[rng.integers(len(self._states), size=n)].astype(np.float64)
        candidates, goals = chosen[:, 0], chosen[:, 1]
        x, y = self._simulator.render(goals), self._simulator.render(candidates)
        return _exact(self._simulator, x, y, goals, candidates)

    def ghost(self, n: int, rng: np.random.Generator) -> Tensor:
        """Return n pictures of the same body, to shine through others."""
        return self._simulator.render(self._states[rng.integers(len(self._states), size=n), 0].astype(np.float64))


def _exact(simulator: MujocoSimulator, x: Tensor, y: Tensor, state_a: np.ndarray, state_b: np.ndarray) -> Pairs:
    renderer = simulator.renderer
    assert isinstance(renderer, RaycastRenderer)  # only rays know the surface that a pixel shows
    flow_xy, seen_xy = renderer.correspondence(state_a, state_b)
    flow_yx, seen_yx = renderer.correspondence(state_b, state_a)
    return Pairs(x, y, flow_xy, flow_yx, seen_xy, seen_yx)
