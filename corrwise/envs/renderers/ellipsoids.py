"""Shapes as convex hulls of a few ellipsoids, whose perspective projection has closed-form bounds."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Float64, Int

from corrwise.envs.renderers.culling import box_corners
from corrwise.envs.renderers.shapes import Shapes

__all__ = ["Hulls", "SeenHulls", "hull_of"]

_NEAR = 1e-3  # metres; a shape that extends behind this plane has no image
_FORWARD = np.array([[1.0], [1.0], [-1.0]])  # turns a camera's backward axis around

Hull = tuple[
    Float64[np.ndarray, "e 3"], Float64[np.ndarray, "e 3"]
]  # centres and half axes in the shape's frame, metres


def hull_of(model: mujoco.MjModel, shapes: Shapes, shape: int) -> Hull:
    """Return the ellipsoids whose convex hull is the shape; flat ones are discs, those without half axes points.

    A capsule is the hull of two balls, a cylinder of two discs, a box of eight points, a mesh of its vertices. Any
    other shape is the hull of its bounding box.
    """
    kind, size = int(shapes.kind[shape]), shapes.size[shape]
    kinds, ends = mujoco.mjtGeom, np.array([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0]])
    if kind == int(kinds.mjGEOM_SPHERE):
        return np.zeros((1, 3)), np.full((1, 3), size[0])
    if kind == int(kinds.mjGEOM_ELLIPSOID):
        return np.zeros((1, 3)), size[None].copy()
    if kind == int(kinds.mjGEOM_CAPSULE):
        return ends * size[1], np.full((2, 3), size[0])
    if kind == int(kinds.mjGEOM_CYLINDER):
        return ends * size[1], np.tile([size[0], size[0], 0.0], (2, 1))
    if kind == int(kinds.mjGEOM_MESH) and int(shapes.mesh[shape]) >= 0:
        points = _hull_vertices(model, int(shapes.mesh[shape]))
    elif kind == int(kinds.mjGEOM_BOX):
        points = box_corners(np.concatenate([np.zeros(3), size])[None])[0]
    else:
        points = box_corners(model.geom_aabb[[shape]])[0].astype(
            np.float64
        )  # not a site: sites have simple shapes only
    return points, np.zeros_like(points)


def _hull_vertices(model: mujoco.MjModel, mesh: int) -> Float64[np.ndarray, "e 3"]:
    """Return the vertices of a mesh that its convex hull needs, all of them if the mesh is flat."""
    from scipy.spatial import ConvexHull, QhullError  # not needed by models without meshes

    first = int(model.mesh_vertadr[mesh])
    vertices = model.mesh_vert[first : first + int(model.mesh_vertnum[mesh])].astype(np.float64)
    try:
        return vertices[ConvexHull(vertices).vertices]
    except QhullError:
        return vertices


class Hulls:
    """Convex hulls of shapes, in the shapes' own frames.

    Args:
        model: a compiled model.
        shapes: its shapes.
        which: the indices of the shapes to use, (g,).
    """

    def __init__(self, model: mujoco.MjModel, shapes: Shapes, which: Int[np.ndarray, "g"]) -> None:
        hulls = [hull_of(model, shapes, shape) for shape in which.tolist()]
        counts = np.array([len(centres) for centres, _ in hulls], dtype=np.int64)
        self.owner = np.repeat(np.arange(len(which)), counts)
        self.first = np.cumsum(counts) - counts
        self.centres = np.concatenate([np.zeros((0, 3)), *(centres for centres, _ in hulls)])[..., None]
        self.halves = np.concatenate([np.zeros((0, 3)), *(halves for _, halves in hulls)])[:, None]

    @property
    def reach(self) -> Float64[np.ndarray, "g"]:
        """The radius of a ball around each shape's own origin that holds it, metres."""
        radii = np.linalg.norm(self.centres[..., 0], axis=1) + self.halves[:, 0].max(axis=1, initial=0.0)
        return np.maximum.reduceat(radii, self.first) if len(self.first) else np.zeros(0)

    def seen(
        self, offset: Float64[np.ndarray, "n g 3"], rotation: Float64[np.ndarray, "n g 3 3"],
        camera: Float64[np.ndarray, "3 3"],
    ) -> SeenHulls:  # fmt: skip
        """Return the hulls of geoms at ``offset`` from a camera whose right, up and backward axes are its columns."""
        to_camera = camera.T * _FORWARD
        axes, origin = to_camera @ rotation, (to_camera @ offset[..., None])[..., 0]
        own = axes[:, self.owner]
        scaled = own * self.halves
        centre = origin[:, self.owner] + (own @ self.centres)[..., 0]
        return SeenHulls(self.owner, self.first, centre, scaled @ scaled.swapaxes(-1, -2), origin, axes)


@dataclass(frozen=True)
class SeenHulls:
    """Convex hulls of ellipsoids in a camera's frame: right, up and forward, metres.

    Attributes:
        owner: the geom of each ellipsoid, in order, (e,).
        first: the first ellipsoid of each geom, (g,).
        centre: (n, e, 3).
        square: half axes as matrices A A^T, (n, e, 3, 3).
        origin, axes: of the geoms' own frames, (n, g, 3) and (n, g, 3, 3).
    """

    owner: Int[np.ndarray, "e"]
    first: Int[np.ndarray, "g"]
    centre: Float64[np.ndarray, "n e 3"]
    square: Float64[np.ndarray, "n e 3 3"]
    origin: Float64[np.ndarray, "n g 3"]
    axes: Float64[np.ndarray, "n g 3 3"]

    def ends(self) -> tuple[Float64[np.ndarray, "n g 2"], Float64[np.ndarray, "n g 2"]]:
        """Return the minimum and the maximum of (right / forward, up / forward) over each geom's points.

        Infinite where a geom extends behind the camera.
        """
        square = self.square
        squared = np.diagonal(square, axis1=-2, axis2=-1)[..., :2]
        return self._ends(self.centre[..., :2], squared, square[..., :2, 2])

    def widths(self, axis: int) -> Float64[np.ndarray, "n g"]:
        """Return the extent of each geom perpendicular to the projection of one of its own axes, over forward.

        Along the image's rows where that axis points at the camera; infinite where a geom extends behind it.
        """
        shift = self.axes[..., axis] * self.origin[..., 2:] - self.origin * self.axes[..., 2:, axis]
        length = np.hypot(shift[..., 0], shift[..., 1])
        safe = np.where(length < _NEAR**2, 1.0, length)
        x, y = (
            np.where(length < _NEAR**2, 1.0, -shift[..., 1] / safe)[:, self.owner],
            (shift[..., 0] / safe)[:, self.owner],
        )
        square, along = self.square, x * self.centre[..., 0] + y * self.centre[..., 1]
        squared = x * x * square[..., 0, 0] + 2 * x * y * square[..., 0, 1] + y * y * square[..., 1, 1]
        mixed = x * square[..., 0, 2] + y * square[..., 1, 2]
        low, high = self._ends(along[..., None], squared[..., None], mixed[..., None])
        return (high - low)[..., 0]

    def _ends(self, along: np.ndarray, squared: np.ndarray, mixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds along image directions, (n, g, k), from the centres and the squared shapes along them.

        The two planes through the camera that touch an ellipsoid are the roots of a quadratic.
        """
        if not len(self.first):
            return np.zeros((len(along), 0, along.shape[2])), np.zeros((len(along), 0, along.shape[2]))
        forward, deep = self.centre[..., 2:], self.square[..., 2, 2, None]
        half, depth = along * forward - mixed, forward * forward - deep
        root = np.sqrt(np.maximum(half * half - depth * (along * along - squared), 0.0))
        behind = forward - np.sqrt(deep) < _NEAR
        depth[behind], root[np.broadcast_to(behind, root.shape)] = 1.0, np.inf
        return (
            np.minimum.reduceat((half - root) / depth, self.first, axis=1),
            np.maximum.reduceat((half + root) / depth, self.first, axis=1),
        )
