"""Exact optical flow between two states of one model, from the surface point that each pixel shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64

from corrwise.envs.renderers.scene import MOVING, STATIC, PixelRays
from corrwise.envs.tasks.metric import drawable

__all__ = ["ExactFlow"]

_SAME_SURFACE = 1e-7  # share of the distance to the camera; a hit that is nearer by more hides the point


@dataclass(frozen=True)
class _Points:
    """The points of moving bodies in images, one entry per pixel: ``local`` in the frame of ``geom``, metres.

    ``start`` is the point's projection in its own image: the pixel's centre up to rounding.
    """

    row: Int64[np.ndarray, "p"]
    pixel: Int64[np.ndarray, "p"]
    geom: Int64[np.ndarray, "p"]
    local: Float64[np.ndarray, "p 3"]
    start: Float64[np.ndarray, "p 2"]

    def repeated(self, n: int) -> _Points:
        """Return the points of a single image for each of n pairs."""
        whole = {each.name: np.concatenate([getattr(self, each.name)] * n) for each in fields(self)}
        return _Points(**whole | {"row": np.repeat(np.arange(n), len(self.row))})


class ExactFlow:
    """Ground-truth flow from the simulator: to evaluate and train flow estimators, never an input of an agent.

    A pixel's ray hits a point of a geom. The point moves with the geom to the other state and is projected there. The
    flow of fixed geoms and of the sky is zero. A point is visible in the other state if it lies in that image and
    nothing in that state hides it.

    Args:
        rays: the rays through the centres of the image's pixels.
    """

    def __init__(self, rays: PixelRays) -> None:
        self._rays, self._scene, self.height, self.width = rays, rays.scene, rays.height, rays.width

    def correspondence(
        self, state_a: Float64[np.ndarray, "*#n S"], state_b: Float64[np.ndarray, "*#n S"]
    ) -> tuple[Float[torch.Tensor, "..."], Bool[torch.Tensor, "..."]]:
        """Return the flow on a's pixel grid (*n, 2, h, w) and which of its pixels are visible in b (*n, h, w).

        ``b[p + flow]`` shows what ``a[p]`` shows; channels are (dx, dy), in pixels.
        If a state of a pair cannot be drawn (NaN, huge), the flow is NaN and no pixel visible.

        Raises:
            ValueError: if these are not integration states of this model, or their leading axes do not broadcast.
        """
        lead, a, b, good = self._pairs(state_a, state_b)
        flow = np.zeros((len(b), self.height * self.width, 2), dtype=np.float32)
        visible = np.zeros((len(b), self.height * self.width), dtype=bool)
        for part, points in self._chunks(a, b, good):
            end, place = self._moved(points)
            flow[part][points.row, points.pixel] = place - points.start
            visible[part] = ~self._in_front(part.stop - part.start)
            visible[part][points.row, points.pixel] = self._seen(part.stop - part.start, points.row, end, place)
        flow[~good], visible[~good] = np.nan, False
        size = (self.height, self.width)
        grid = flow.transpose(0, 2, 1).reshape(*lead, 2, *size)
        return torch.from_numpy(np.ascontiguousarray(grid)), torch.from_numpy(visible.reshape(*lead, *size))

    def displacement(
        self, state_a: Float64[np.ndarray, "*#n S"], state_b: Float64[np.ndarray, "*#n S"], *, power: float | int = 1
    ) -> Float[torch.Tensor, "..."]:
        """Return the mean of the flow's length in pixels, to a power, over a's pixels that show a moving body, (*n).

        Zero if none does.

        Pixels that are hidden in b or outside its image count like all others, so no ray is cast in b and each b takes
        microseconds. NaN if a state cannot be drawn or a point is behind the camera.

        Raises:
            ValueError: if these are not integration states of this model, or their leading axes do not broadcast.
        """
        lead, a, b, good = self._pairs(state_a, state_b)
        mean = np.zeros(len(b), dtype=np.float32)
        for part, points in self._chunks(a, b, good):
            length = np.linalg.norm(self._moved(points)[1] - points.start, axis=1) ** power
            n = part.stop - part.start
            count = np.bincount(points.row, minlength=n)
            mean[part] = np.bincount(points.row, weights=length, minlength=n) / np.maximum(count, 1)
        mean[~good] = np.nan
        return torch.from_numpy(mean.reshape(lead))

    def _pairs(
        self, state_a: np.ndarray, state_b: np.ndarray
    ) -> tuple[tuple[int, ...], np.ndarray, np.ndarray, np.ndarray]:
        """Return the leading axes, a (1 or n rows), b (n rows) and which pairs can be drawn."""
        size = state_b.shape[-1]
        lead = np.broadcast_shapes(state_a.shape[:-1], state_b.shape[:-1])
        alone = state_a.size == size
        a = state_a.reshape(1, size) if alone else np.broadcast_to(state_a, (*lead, size)).reshape(-1, size)
        b = np.broadcast_to(state_b, (*lead, size)).reshape(-1, size)
        return lead, a, b, drawable(self._scene.model, a) & drawable(self._scene.model, b)

    def _chunks(self, a: np.ndarray, b: np.ndarray, good: np.ndarray) -> Iterator[tuple[slice, _Points]]:
        """Yield the rows of some pairs and the points of their a, with their b loaded into the scene."""
        once = self._points(a, np.array([good.any()])) if len(a) == 1 and len(b) else None
        for i in range(0, len(b), self._scene.chunk):
            part = slice(i, min(i + self._scene.chunk, len(b)))
            n = part.stop - part.start
            points = self._points(a[part], good[part]) if once is None else once.repeated(n)
            self._scene.load(b[part], good[part])
            yield part, points

    def _points(self, states: np.ndarray, good: np.ndarray) -> _Points:
        n = len(states)
        self._scene.load(states, good)
        row, pixel, distance, geom, _ = self._rays.moving_hits(n)
        geom = geom.astype(np.int64)
        world = self._rays.view.position + distance[:, None] * self._rays.directions[pixel]
        position, rotation = self._scene.poses(n)
        local = np.einsum("pij,pi->pj", rotation[row, geom], world - position[row, geom])
        points = _Points(row, pixel, geom, local, np.empty((len(row), 2)))
        points.start[:] = self._moved(points)[1]  # the same arithmetic as for b: equal states give exactly zero
        return points

    def _moved(self, points: _Points) -> tuple[np.ndarray, np.ndarray]:
        """Return the points' positions in the loaded states: in the world (p, 3), metres, and in the image (p, 2)."""
        position, rotation = self._scene.poses(self._scene.chunk)
        at = points.row, points.geom
        world = position[at] + np.einsum("pij,pj->pi", rotation[at], points.local)
        x, y, depth = self._rays.view.project(world, height=self.height, width=self.width)
        place = np.stack([x, y], axis=1)
        place[depth <= 0] = np.nan
        return world, place

    def _seen(self, n: int, row: np.ndarray, world: np.ndarray, place: np.ndarray) -> np.ndarray:
        """Return which points of the world are inside the n loaded states' images and not hidden."""
        slot = np.arange(len(row)) - np.searchsorted(row, row)
        most = int(slot.max(initial=-1)) + 1
        towards = world - self._rays.view.position
        far = np.linalg.norm(towards, axis=1)
        directions = np.broadcast_to(self._rays.directions[0], (n, most, 3)).copy()
        directions[row, slot] = towards / far[:, None]
        nearest = self._rays.cast(directions, STATIC, MOVING)[0][row, slot] if most else far
        inside = ((place >= 0) & (place <= (self.width, self.height))).all(axis=1)
        return np.asarray(inside & (nearest >= far * (1 - _SAME_SURFACE)))

    def _in_front(self, n: int) -> np.ndarray:
        """Return the pixels (n, h * w) in which the loaded states' moving bodies hide the background."""
        hidden = np.zeros((n, self.height * self.width), dtype=bool)
        row, pixel, *_ = self._rays.moving_hits(n)
        hidden[row, pixel] = True
        return hidden
