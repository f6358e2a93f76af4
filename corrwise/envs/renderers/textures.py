"""Texture colours at points of shapes, averaged over about one pixel."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Bool, Float64, Int
from scipy.spatial import cKDTree

from corrwise.envs.renderers.shading import texels, texture_of
from corrwise.envs.renderers.shapes import Shapes

__all__ = ["MeshMap", "Textures", "cube_map", "drawn_size", "plane_map"]

_PLANE, _SPHERE, _CAPSULE, _ELLIPSOID, _CYLINDER, _BOX = (
    int(kind)
    for kind in (
        mujoco.mjtGeom.mjGEOM_PLANE, mujoco.mjtGeom.mjGEOM_SPHERE, mujoco.mjtGeom.mjGEOM_CAPSULE,
        mujoco.mjtGeom.mjGEOM_ELLIPSOID, mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_BOX,
    )
)  # fmt: skip
# OpenGL's cube maps, face by face (+x, -x, +y, -y, +z, -z): the axis and the sign of s, then those of t.
_FACES = np.array([[2, -1, 1, -1], [2, 1, 1, -1], [0, 1, 2, 1], [0, 1, 2, -1], [0, 1, 1, -1], [0, -1, 1, -1]])


def drawn_size(kind: int, size: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "3"]:
    """Return the half sizes along x, y and z with which MuJoCo scales a unit shape; 1 where a plane is infinite."""
    if kind == _SPHERE:
        return np.full(3, size[0])
    if kind in (_CAPSULE, _CYLINDER):
        return np.array([size[0], size[0], size[1]])
    return np.where(size > 0, size, 1.0)


def plane_map(
    kind: int, local: Float64[np.ndarray, "p 3"], size: Float64[np.ndarray, "3"]
) -> Float64[np.ndarray, "p 2"]:
    """Return the texture coordinates in [0, 1] of points on a primitive that a 2D texture covers once.

    Boxes are mapped face by face, round shapes by longitude and height, and all others (planes, meshes without texture
    coordinates) from above.

    Args:
        kind: ``mujoco.mjtGeom``.
        local: points in the shape's frame, metres.
        size: as drawn (``drawn_size``).
    """
    unit = local / size
    rows = np.arange(len(unit))
    across, up = unit[:, 0], unit[:, 1]
    if kind == _BOX:
        axis = np.abs(unit).argmax(axis=1)
        across, up = unit[rows, np.where(axis == 0, 1, 0)], unit[rows, np.where(axis == 2, 1, 2)]
    if kind not in (_SPHERE, _ELLIPSOID, _CAPSULE, _CYLINDER):
        return np.stack([0.5 + 0.5 * across, 0.5 - 0.5 * up], axis=1)
    around = np.mod(np.arctan2(unit[:, 1], unit[:, 0]) / (2 * np.pi), 1.0)
    down = 0.5 - 0.5 * unit[:, 2]
    if kind in (_SPHERE, _ELLIPSOID):
        down = 0.5 - np.arcsin(unit[:, 2].clip(-1, 1)) / np.pi
    if kind == _CYLINDER:
        lid = np.abs(unit[:, 2]) > np.hypot(unit[:, 0], unit[:, 1])
        around, down = np.where(lid, 0.5 + 0.5 * across, around), np.where(lid, 0.5 + 0.5 * up, down)
    if kind == _CAPSULE:
        over = (np.abs(local[:, 2]) - size[2]) / size[0]
        share = np.arcsin(over.clip(0, 1)) * 2 / np.pi
        down = np.where(over > 0, np.where(unit[:, 2] > 0, 1 - share, share), down)
    return np.stack([around, down], axis=1)


def cube_map(
    kind: int, local: Float64[np.ndarray, "p 3"], size: Float64[np.ndarray, "3"], scale: Float64[np.ndarray, "3"]
) -> tuple[Int[np.ndarray, "p"], Float64[np.ndarray, "p 2"]]:
    """Return the face of a cube texture for each point, and the texture coordinates on it, in [0, 1].

    Args:
        kind: ``mujoco.mjtGeom``.
        local: points in the shape's frame, metres.
        size: as drawn (``drawn_size``); 1 for meshes.
        scale: the factors that stretch the unit shape's axes.
    """
    unit = local / size
    if kind == _CAPSULE:  # a cap is an unstretched half sphere, from a height of 1 to 2
        over = np.abs(local[:, 2]) - size[2]
        unit[:, 2] = np.where(over > 0, np.sign(local[:, 2]) * (1 + over / size[0]), unit[:, 2])
    at = unit * scale
    rows, axis = np.arange(len(at)), np.abs(at).argmax(axis=1)
    most = at[rows, axis]
    face = 2 * axis + (most < 0)
    s_axis, s_sign, t_axis, t_sign = _FACES[face].T
    st = np.stack([s_sign * at[rows, s_axis], t_sign * at[rows, t_axis]], axis=1)
    return face, 0.5 + 0.5 * st / np.maximum(np.abs(most), 1e-12)[:, None]


@dataclass(frozen=True)
class MeshMap:
    """A mesh's own texture coordinates.

    Attributes:
        corners: its triangles, metres.
        uv: their texture coordinates.
        tree: over the triangles' centres.
        reach: the largest distance of a triangle's corner from its centre, metres.
    """

    corners: Float64[np.ndarray, "f 3 3"]
    uv: Float64[np.ndarray, "f 3 2"]
    tree: cKDTree
    reach: float

    @staticmethod
    def of_mesh(model: mujoco.MjModel, mesh: int) -> MeshMap | None:
        """Return the coordinates of a mesh, or None if it has none."""
        if mesh < 0 or model.mesh_texcoordadr[mesh] < 0:
            return None
        faces = slice(model.mesh_faceadr[mesh], model.mesh_faceadr[mesh] + model.mesh_facenum[mesh])
        corners = model.mesh_vert[model.mesh_face[faces] + model.mesh_vertadr[mesh]].astype(np.float64)
        uv = model.mesh_texcoord[model.mesh_facetexcoord[faces] + model.mesh_texcoordadr[mesh]].astype(np.float64)
        centres = corners.mean(axis=1)
        reach = float(np.linalg.norm(corners - centres[:, None], axis=2).max())
        return MeshMap(corners, uv, cKDTree(centres), reach)

    def at(self, points: Float64[np.ndarray, "p 3"]) -> Float64[np.ndarray, "p 2"]:
        """Return the texture coordinates of points on the mesh, each from the triangle it lies in or is nearest to."""
        near = self.tree.query_ball_point(points, self.reach * 1.001 + 1e-9)
        counts = np.array([max(len(each), 1) for each in near], dtype=int)
        face = np.concatenate([np.zeros(0, dtype=int), *(np.array(each or [0], dtype=int) for each in near)])
        point = np.repeat(np.arange(len(points)), counts)
        weights, off = _barycentric(points[point], self.corners[face])
        best = np.lexsort((off, point))[np.cumsum(counts) - counts]
        return np.einsum("pk,pkc->pc", weights[best], self.uv[face[best]])

    def area(self) -> float:
        """Return the surface that the texture covers once, square metres."""
        a, b = (self.corners[:, i] - self.corners[:, 0] for i in (1, 2))
        c, d = (self.uv[:, i] - self.uv[:, 0] for i in (1, 2))
        surface = np.linalg.norm(np.cross(a, b), axis=1).sum()
        return float(surface / max(np.abs(c[:, 0] * d[:, 1] - c[:, 1] * d[:, 0]).sum(), 1e-12))


def _barycentric(points: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return barycentric weights (p, 3) in [0, 1] and the distance of points from their triangles, metres."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    away = points - corners[:, 0]
    normal = np.cross(a, b)
    area = np.maximum((normal * normal).sum(axis=1), 1e-24)
    second = (np.cross(away, b) * normal).sum(axis=1) / area
    third = (np.cross(a, away) * normal).sum(axis=1) / area
    weights = np.stack([1 - second - third, second, third], axis=1).clip(0, None)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights, np.linalg.norm(np.einsum("pk,pkc->pc", weights, corners) - points, axis=1)


class Textures:
    """The texture colours at points of shapes.

    Args:
        model: a compiled model.
        shapes: its shapes; all with a colour texture are covered, except height fields.
        angle: the size of a pixel at a distance of one metre, metres.
    """

    def __init__(self, model: mujoco.MjModel, shapes: Shapes, *, angle: float) -> None:
        self._angle = angle
        self._coats: dict[int, _Coat] = {}
        meshes: dict[int, MeshMap | None] = {}
        field = int(mujoco.mjtGeom.mjGEOM_HFIELD)
        for shape in np.flatnonzero((shapes.material >= 0) & shapes.shown & (shapes.kind != field)).tolist():
            texture, mesh = texture_of(model, int(shapes.material[shape])), int(shapes.mesh[shape])
            if texture >= 0:
                if mesh not in meshes:
                    meshes[mesh] = MeshMap.of_mesh(model, mesh)
                self._coats[shape] = _Coat.of_shape(model, shapes, shape, texture, meshes[mesh])
        self.covered: Bool[np.ndarray, "n"] = np.isin(np.arange(len(shapes.kind)), list(self._coats))

    def colours(
        self, shape: Int[np.ndarray, "p"], local: Float64[np.ndarray, "p 3"], distance: Float64[np.ndarray, "p"]
    ) -> Float64[np.ndarray, "p 3"]:
        """Return the colours at points of covered shapes, in the shapes' frames, seen from a distance, metres."""
        out = np.empty_like(local)
        for each in np.unique(shape).tolist():
            at = shape == each
            out[at] = self._coats[each].colours(local[at], distance[at] * self._angle)
        return out


@dataclass(frozen=True)
class _Coat:
    """One texture on one shape.

    Attributes:
        kind: ``mujoco.mjtGeom``.
        size: half sizes by which a unit shape is stretched, metres.
        levels: the texture's faces (1 or 6) at full size, halved, and so on, (faces, h, w, 3) each.
        flat: whether the texture is a 2D texture, else a cube texture.
        scale: the repetitions along the texture's axes if flat, else the factors that stretch its cube.
        shift: the offset of the scaled coordinates.
        density: texels per metre of the surface, approximately.
        mesh: the shape's own texture coordinates, if any.
    """

    kind: int
    size: np.ndarray
    levels: tuple[np.ndarray, ...]
    flat: bool
    scale: np.ndarray
    shift: np.ndarray
    density: float
    mesh: MeshMap | None

    @staticmethod
    def of_shape(model: mujoco.MjModel, shapes: Shapes, shape: int, texture: int, mesh: MeshMap | None) -> _Coat:
        kind, material = int(shapes.kind[shape]), int(shapes.material[shape])
        size, image = drawn_size(kind, shapes.size[shape]), texels(model, texture)
        stretch = size if model.mat_texuniform[material] else np.ones(3)
        if mesh is None and int(model.tex_type[texture]) != int(mujoco.mjtTexture.mjTEXTURE_2D):
            faces = image.reshape(-1, image.shape[1], image.shape[1], 3)
            density = 0.5 * image.shape[1] / float(size.mean())
            if shapes.mesh[shape] >= 0:
                size = np.ones(3)  # MuJoCo does not scale a mesh's coordinates
            return _Coat(kind, size, _pyramid(faces), False, stretch, np.zeros(2), density, None)
        scale = model.mat_texrepeat[material] * stretch[:2]
        area = mesh.area() if mesh else _area(kind, size)
        density = float(np.sqrt(np.prod(scale) * image.shape[0] * image.shape[1] / area))
        endless = kind == int(mujoco.mjtGeom.mjGEOM_PLANE) and not shapes.size[shape, :2].all()
        middle = mesh is None and (endless or shapes.mesh[shape] >= 0)  # repeated from the middle, not from a corner
        shift = -0.5 * (scale + 1) if middle else np.zeros(2)
        return _Coat(kind, size, _pyramid(image[None]), True, scale, shift, density, mesh)

    def colours(self, local: np.ndarray, pixel: np.ndarray) -> np.ndarray:
        """Return the colours at points (p, 3), for pixels of a size (p,), metres."""
        if self.flat:
            face = np.zeros(len(local), dtype=int)
            uv = self.mesh.at(local) if self.mesh else plane_map(self.kind, local, self.size)
            uv = np.mod(uv * self.scale + self.shift, 1.0)
        else:
            face, uv = cube_map(self.kind, local, self.size, self.scale)
        level = np.rint(np.log2(np.maximum(pixel * self.density, 1.0))).astype(int)
        level = np.minimum(level, len(self.levels) - 1)
        out = np.empty((len(local), 3))
        for each in np.unique(level).tolist():
            at, image = level == each, self.levels[each]
            column, row = (uv[at] * [image.shape[2], image.shape[1]]).astype(int).T
            out[at] = image[face[at] % len(image), row.clip(0, image.shape[1] - 1), column.clip(0, image.shape[2] - 1)]
        return out


def _area(kind: int, size: np.ndarray) -> float:
    """Return the approximate surface of a primitive that a flat texture covers once, square metres."""
    if kind == int(mujoco.mjtGeom.mjGEOM_BOX):
        return float(4 * np.mean([size[0] * size[1], size[0] * size[2], size[1] * size[2]]))
    if kind in (int(mujoco.mjtGeom.mjGEOM_CAPSULE), int(mujoco.mjtGeom.mjGEOM_CYLINDER)):
        return float(4 * np.pi * size[0] * size[2])
    if kind in (int(mujoco.mjtGeom.mjGEOM_SPHERE), int(mujoco.mjtGeom.mjGEOM_ELLIPSOID)):
        return float(4 * np.pi * size.mean() ** 2)
    return float(4 * size[0] * size[1])


def _pyramid(faces: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return images (n, h, w, 3) at full size, halved, and so on until one side is a single texel."""
    levels = [faces]
    while min(levels[-1].shape[1:3]) > 1:
        last = levels[-1]
        last = np.pad(last, ((0, 0), (0, last.shape[1] % 2), (0, last.shape[2] % 2), (0, 0)), mode="edge")
        n, height, width, _ = last.shape
        levels.append(last.reshape(n, height // 2, 2, width // 2, 2, 3).mean(axis=(2, 4)))
    return tuple(levels)
