"""The exact bounding rectangles of moving shapes in the image, and the share of them that lies outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from jaxtyping import Bool, Float64

from corrwise.envs.renderers.ellipsoids import Hulls
from corrwise.envs.renderers.shapes import Shapes
from corrwise.envs.renderers.view import PinholeView
from corrwise.envs.tasks.metric import drawable
from corrwise.envs.tasks.task import CAMERA_NAME

__all__ = ["Extents", "ViewExtents"]

_INTEGRATION = int(mujoco.mjtState.mjSTATE_INTEGRATION)
_DOWN = np.array([1.0, -1.0])  # from right and up to an image's x and y
_SLACK = 1e-2  # metres; more than rounding and the near plane
_FLAT = 1e-9  # sides of an image; keeps the share of a rectangle without area defined


@dataclass(frozen=True)
class Extents:
    """The smallest upright rectangles around projected geoms, in sides of the square image: 0 to 1 is inside.

    Attributes:
        low, high: the left and top, and the right and bottom edges, (n, g, 2) as (x, y) from the top left corner;
            infinite where a geom extends behind the camera, NaN for a state that cannot be drawn.
    """

    low: Float64[np.ndarray, "n g 2"]
    high: Float64[np.ndarray, "n g 2"]

    @property
    def beyond(self) -> Float64[np.ndarray, "n g 4"]:
        """How far geoms extend beyond the left, top, right and bottom edge, in sides of the image; 0 if inside."""
        return np.maximum(np.concatenate([-self.low, self.high - 1.0], axis=-1), 0.0)

    @property
    def cut(self) -> Bool[np.ndarray, "n g"]:
        """Which geoms lie partly or wholly outside the image."""
        return np.asarray((self.beyond > 0).any(axis=-1))

    @property
    def outside(self) -> Bool[np.ndarray, "n g"]:
        """Which geoms lie wholly outside the image, or extend behind the camera."""
        return np.asarray(((self.high <= 0) | (self.low >= 1) | np.isinf(self.low)).any(axis=-1))

    @property
    def share(self) -> Float64[np.ndarray, "n"]:
        """The share of all rectangles' area that lies outside the image; 0 if and only if no geom is cut off.

        A geom that extends behind the camera counts as an area of one image, wholly outside. Without geoms it is 0.
        """
        size = self.high - self.low + _FLAT
        inside = np.maximum(np.minimum(self.high, 1.0) - np.maximum(self.low, 0.0), 0.0)
        area, kept = size[..., 0] * size[..., 1], inside[..., 0] * inside[..., 1]
        behind = np.isinf(area)
        area[behind], kept[behind] = 1.0, 0.0
        outside = np.where(self.cut, area - kept, 0.0 * area)
        return outside.sum(axis=1) / np.maximum(area.sum(axis=1), _FLAT**2)


class ViewExtents:
    """Projects the visible moving shapes of a model, geoms and sites, into its fixed camera, many states at once.

    The rectangles are exact for spheres, capsules, ellipsoids, cylinders, boxes and meshes. Any other shape counts as
    its bounding box, which is never too small.

    Args:
        model: a compiled model.
        camera: the name of its camera.

    Attributes:
        which: the indices of the visible moving shapes in ``Shapes``, (g,).
        names: their names; a shape without a name has its body's name and its number.

    Raises:
        ValueError: if the model has no such camera.
    """

    def __init__(self, model: mujoco.MjModel, camera: str = CAMERA_NAME) -> None:
        self.model = model
        self._shapes = Shapes.of_model(model)
        self.which = np.flatnonzero(self._shapes.moving & self._shapes.shown)
        self.names = [_name(model, self._shapes, shape) for shape in self.which.tolist()]
        self._view = PinholeView.of_camera(model, camera)
        self._hulls = Hulls(model, self._shapes, self.which)
        self._inward = self._view.rotation @ _inward(self._view.focal(1))
        self._reach = self._hulls.reach[:, None] + _SLACK
        self._data: mujoco.MjData | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the scratch simulation out of copies and pickles."""
        return {**self.__dict__, "_data": None}

    def extents(self, states: Float64[np.ndarray, "n S"]) -> Extents:
        """Return the projected extents of the geoms in these states.

        Raises:
            ValueError: if these are not integration states of this model.
        """
        return self._extents(*self._poses(states))

    def share(self, states: Float64[np.ndarray, "n S"]) -> Float64[np.ndarray, "n"]:
        """Return the share of the geoms' projected extent outside the image, in [0, 1]; see ``Extents.share``.

        Raises:
            ValueError: if these are not integration states of this model.
        """
        offset, rotation = self._poses(states)
        share = np.zeros(len(states))
        # Fast path: nothing is projected for states whose bounding balls all lie inside the image.
        near = ~(offset @ self._inward >= self._reach).all(axis=(1, 2))
        if near.any():
            share[near] = self._extents(offset[near], rotation[near]).share
        return share

    def thickness(self, states: Float64[np.ndarray, "n S"]) -> Float64[np.ndarray, "n g"]:
        """Return the thickness of geoms in the image, in its sides; infinite behind the camera, NaN if not drawable.

        It is the smallest extent along the image's rows and columns and perpendicular to the projections of a geom's
        three axes. It is an upper bound, exact for spheres and for capsules and cylinders seen from the side.

        Raises:
            ValueError: if these are not integration states of this model.
        """
        hulls = self._hulls.seen(*self._poses(states), self._view.rotation)
        low, high = hulls.ends()
        widths = [*np.moveaxis(high - low, -1, 0), *(hulls.widths(axis) for axis in range(3))]
        return self._view.focal(1) * np.min(widths, axis=0)

    def _extents(self, offset: np.ndarray, rotation: np.ndarray) -> Extents:
        low, high = self._hulls.seen(offset, rotation, self._view.rotation).ends()
        scale = self._view.focal(1) * _DOWN
        ends = 0.5 + scale * low, 0.5 + scale * high
        return Extents(np.minimum(*ends), np.maximum(*ends))

    def _poses(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return shapes' offsets from the camera (n, g, 3) and rotations (n, g, 3, 3); NaN if not drawable."""
        good = drawable(self.model, states)
        data = self._data = self._data or mujoco.MjData(self.model)
        position = np.full((len(states), len(self.which), 3), np.nan)
        rotation = np.full((len(states), len(self.which), 3, 3), np.nan)
        geoms = self.which[self.which < self._shapes.geoms]
        sites = self._shapes.sites[self.which[len(geoms) :] - self._shapes.geoms]
        for i in np.flatnonzero(good):
            mujoco.mj_setState(self.model, data, states[i], _INTEGRATION)
            mujoco.mj_kinematics(self.model, data)
            position[i] = np.concatenate([data.geom_xpos[geoms], data.site_xpos[sites]])
            rotation[i] = np.concatenate([data.geom_xmat[geoms], data.site_xmat[sites]]).reshape(-1, 3, 3)
        return position - self._view.position, rotation


def _name(model: mujoco.MjModel, shapes: Shapes, shape: int) -> str:
    """Return a shape's name, or its body's name and its number if it has none."""
    site = shape >= shapes.geoms
    element = model.site(int(shapes.sites[shape - shapes.geoms])) if site else model.geom(shape)
    body = model.body(int(element.bodyid[0])).name
    return element.name or f"{body or ('site' if site else 'geom')}#{element.id}"


def _inward(focal: float) -> Float64[np.ndarray, "3 5"]:
    """Return the inward normals of the view frustum's planes, in the camera's right, up and backward axes."""
    sides = np.array([[1, 0, -1], [-1, 0, -1], [0, 1, -1], [0, -1, -1]]) * [focal, focal, 0.5]
    return np.vstack([sides / np.linalg.norm(sides, axis=1, keepdims=True), [[0.0, 0.0, -1.0]]]).T
