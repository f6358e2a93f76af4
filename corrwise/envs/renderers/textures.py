"""Textures of shapes, averaged over about a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Bool, Float64, Int

from corrwise.envs.renderers.shading import texels, texture_of
from corrwise.envs.renderers.shapes import Shapes
from corrwise.envs.renderers.texture_maps import MeshMap, cube_map, drawn_size, plane_map

__all__ = ["Textures"]


class Textures:
    """What colour the textures give to points of shapes.

    Args:
        model: a compiled model.
        shapes: its shapes; all with a colour texture are covered, but for height fields.
        angle: what a pixel covers one metre away, metres.
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
        """Return the colours at points, in their shapes' frames, of covered shapes, seen from a distance, metres."""
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
        flat: whether the texture is one for planes, else for cubes.
        scale: how often the texture is repeated along its own axes if flat, else how its cube is stretched.
        shift: what is added then.
        density: texels to a metre of the surface, about.
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
                size = np.ones(3)  # MuJoCo takes a mesh's coordinates as they are
            return _Coat(kind, size, _pyramid(faces), False, stretch, np.zeros(2), density, None)
        scale = model.mat_texrepeat[material] * stretch[:2]
        area = mesh.area() if mesh else _area(kind, size)
        density = float(np.sqrt(np.prod(scale) * image.shape[0] * image.shape[1] / area))
        endless = kind == int(mujoco.mjtGeom.mjGEOM_PLANE) and not shapes.size[shape, :2].all()
        middle = mesh is None and (endless or shapes.mesh[shape] >= 0)  # repeated from the middle, not from a corner
        shift = -0.5 * (scale + 1) if middle else np.zeros(2)
        return _Coat(kind, size, _pyramid(image[None]), True, scale, shift, density, mesh)

    def colours(self, local: np.ndarray, pixel: np.ndarray) -> np.ndarray:
        """Return the colours at points (p, 3) that pixels of a size (p,), metres, show."""
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
    """Return the surface, square metres, about, that a flat texture covers once on a primitive."""
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
