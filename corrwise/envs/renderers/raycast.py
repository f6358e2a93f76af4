"""Pictures from MuJoCo's own threaded ray caster: no OpenGL, no display, the same on any machine."""

from __future__ import annotations

import copy

import mujoco
import numpy as np
import torch
from jaxtyping import Float, Float64
from mujoco.batch import Batch

from corrwise.envs.renderers import shading
from corrwise.envs.renderers.culling import box_corners, covered, moving_geoms, padded
from corrwise.envs.renderers.drawable import drawable
from corrwise.envs.renderers.view import PinholeView
from corrwise.envs.task import CAMERA_NAME

_STATIC, _MOVING, _HIDDEN = 0, 1, 2  # geom groups of the renderer's own copy of the model
_SHOWN_GROUPS = 3  # MuJoCo draws groups 0 to 2 by default; higher ones hold collision shapes
_SMOOTH = 4  # the background is drawn once, so its smooth edges cost nothing


class RaycastRenderer:
    """Draws states of one model from a camera fixed in the world.

    What never moves is drawn once. For each state, rays are cast only where the boxes around moving geoms fall and
    only at moving geoms; a hit nearer than the background is shaded with the model's materials and lights. There are
    no shadows, reflections, transparency or textures on moving geoms (their mean colour stands in). Pixels have 8
    bits, so a picture survives the way through uint8 unchanged.

    Args:
        model: a compiled model with a camera named "corrwise".
        height, width: the picture's size, pixels.
        supersample: rays per pixel side; 2 smooths the edges of moving geoms at four times the rays.
        threads: threads of the ray caster; 0 means all CPUs.
        chunk: the most states drawn at once, which bounds memory.

    Raises:
        ValueError: if a size or ``supersample`` is below 1, or the model has no such camera.
    """

    def __init__(
        self, model: mujoco.MjModel, *, height: int = 64, width: int = 64, supersample: int = 1, threads: int = 0,
        chunk: int = 64,
    ) -> None:  # fmt: skip
        if min(height, width, supersample) < 1:
            raise ValueError(f"height, width and supersample must be at least 1, got {height}, {width}, {supersample}")
        self.height, self.width, self.supersample = height, width, supersample
        self.model = copy.copy(model)
        moving = moving_geoms(model)
        self.model.geom_group[:] = np.where(moving, _MOVING, _STATIC)
        self.model.geom_group[model.geom_group >= _SHOWN_GROUPS] = _HIDDEN
        self._view = PinholeView.of_camera(model, CAMERA_NAME)
        self._geoms = np.flatnonzero(self.model.geom_group == _MOVING)
        self._corners = box_corners(model, self._geoms)
        self._albedo = shading.albedo(model)
        self._batch = Batch(self.model, chunk, threads)
        self._xpos, self._xmat = self._batch.bind("geom_xpos"), self._batch.bind("geom_xmat")
        self._rest = self._batch.state[0].copy()
        self._directions = self._view.directions(height * supersample, width * supersample)
        self._depth = self._cast(self._directions[None], _STATIC)[0][0]
        self._background = self._draw_background()

    def render(self, states: Float64[np.ndarray, "n S"]) -> Float[torch.Tensor, "n 3 h w"]:
        """Return pictures in [0, 1]; a state that MuJoCo would refuse (NaN, huge) gives NaN.

        Raises:
            ValueError: if these are not integration states of this model.
        """
        good = drawable(self.model, states)
        chunk = self._batch.nsim
        out = torch.empty((len(states), 3, self.height, self.width))
        for i in range(0, len(states), chunk):
            part = slice(i, i + chunk)
            out[part] = torch.from_numpy(self._draw(states[part], good[part])).permute(0, 3, 1, 2)
        return out

    def _draw(self, states: np.ndarray, good: np.ndarray) -> np.ndarray:
        n = len(states)
        self._batch.state[:n] = np.where(good[:, None], states, self._rest)
        pixels, valid = padded(self._may_move(n))
        distance, geom, normal = self._cast(self._directions[pixels], _MOVING)
        hit = valid & (geom >= 0) & (distance < self._depth[pixels])
        frame, pixel = np.nonzero(hit)[0], pixels[hit]
        image = np.repeat(self._background[None], n, axis=0)
        image[frame, pixel] = self._shade(self._directions[pixel], distance[hit], geom[hit], normal[hit])
        image = _shrink(image, self.height, self.width, self.supersample)
        image = np.rint(image.clip(0.0, 1.0) * 255.0).astype(np.float32) / np.float32(255.0)
        image[~good] = np.nan
        return image

    def _may_move(self, n: int) -> np.ndarray:
        """Return the rays that may meet a moving geom, (n, rays), for the batch's first n states."""
        self._batch.forward(_ids(n), stage=int(mujoco.mjtStage.mjSTAGE_POS))
        position, rotation = self._xpos[:n, self._geoms], self._xmat[:n, self._geoms].reshape(n, -1, 3, 3)
        corners = position[:, :, None] + np.einsum("ngij,gcj->ngci", rotation, self._corners)
        s = self.supersample
        return covered(corners, self._view, height=self.height * s, width=self.width * s).reshape(n, -1)

    def _cast(self, directions: np.ndarray, group: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return distance (inf for a miss), geom and normal along rays (n, rays, 3) in the batch's first n states."""
        groups = np.zeros(mujoco.mjNGROUP, dtype=np.uint8)
        groups[group] = 1
        distance, geom, normal = self._batch.ray(
            self._view.position, directions, geomgroup=groups, ids=_ids(len(directions)), normal=True
        )
        return np.where(geom < 0, np.inf, distance), geom, normal

    def _shade(self, directions: np.ndarray, distance: np.ndarray, geom: np.ndarray, normal: np.ndarray) -> np.ndarray:
        points = self._view.position + distance[:, None] * directions
        return (self._albedo[geom] * shading.lambert(self.model, points, normal, directions)).clip(0.0, 1.0)

    def _draw_background(self) -> np.ndarray:
        """Return what never moves at the rays' resolution, (rays, 3), each value the mean of many finer rays."""
        height, width = self.height * self.supersample, self.width * self.supersample
        directions = self._view.directions(height * _SMOOTH, width * _SMOOTH)
        distance, geom, normal = (part[0] for part in self._cast(directions[None], _STATIC))
        image, hit = shading.sky(self.model, directions), geom >= 0
        image[hit] = self._shade(directions[hit], distance[hit], geom[hit], normal[hit])
        data = self._batch.get_data(0)
        mujoco.mj_kinematics(self.model, data)
        for plane in np.unique(geom[hit]).tolist():
            where = geom == plane
            points = self._view.position + distance[where, None] * directions[where] - data.geom_xpos[plane]
            pattern = shading.plane_texture(self.model, plane, points @ data.geom_xmat[plane].reshape(3, 3))
            if pattern is not None:
                image[where] = (image[where] * pattern).clip(0.0, 1.0)
        return _shrink(image[None], height, width, _SMOOTH).reshape(-1, 3)


def _shrink(image: np.ndarray, height: int, width: int, by: int) -> np.ndarray:
    """Return pictures of (height, width) from rays (n, rays, 3), the mean of ``by`` x ``by`` rays a pixel."""
    if by == 1:
        return image.reshape(-1, height, width, 3)
    return image.reshape(-1, height, by, width, by, 3).mean(axis=(2, 4))


def _ids(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.int32)
