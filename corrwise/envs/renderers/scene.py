"""A model as rays meet it: states loaded many at a time, what moves told from what never does."""

from __future__ import annotations

import copy
from typing import Any

import mujoco
import numpy as np
from jaxtyping import Bool, Float64
from mujoco.batch import Batch

from corrwise.envs.renderers.culling import box_corners, covered, moving_geoms, padded
from corrwise.envs.renderers.view import PinholeView
from corrwise.envs.task import CAMERA_NAME

STATIC, MOVING = 0, 1  # geom groups of the scene's own copy of the model
_HIDDEN = 2
SHOWN_GROUPS = 3  # MuJoCo draws groups 0 to 2 by default; higher ones hold collision shapes


class RayScene:
    """Geometry of one model for MuJoCo's own threaded ray caster, seen from the camera named "corrwise".

    Args:
        model: a compiled model with that camera; copied.
        threads: threads of the ray caster; 0 means all CPUs.
        chunk: the most states loaded at once, which bounds memory.

    Raises:
        ValueError: if the model has no such camera.
    """

    def __init__(self, model: mujoco.MjModel, *, threads: int = 0, chunk: int = 64) -> None:
        self.chunk, self._threads = chunk, threads
        self.model = copy.copy(model)
        self.model.geom_group[:] = np.where(moving_geoms(model), MOVING, STATIC)
        self.model.geom_group[model.geom_group >= SHOWN_GROUPS] = _HIDDEN
        self.view = PinholeView.of_camera(model, CAMERA_NAME)
        self._moving = np.flatnonzero(self.model.geom_group == MOVING)
        self._corners = box_corners(model, self._moving)
        self._make_batch()
        self._rest = self._batch.state[0].copy()

    def _make_batch(self) -> None:
        self._batch = Batch(self.model, self.chunk, self._threads)
        self._xpos, self._xmat = self._batch.bind("geom_xpos"), self._batch.bind("geom_xmat")

    def __getstate__(self) -> dict[str, Any]:
        """Leave the batch out of copies and pickles: each loads its states before it reads them."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_batch", "_xpos", "_xmat")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make_batch()

    def load(self, states: Float64[np.ndarray, "n S"], good: Bool[np.ndarray, "n"]) -> None:
        """Take up to ``chunk`` states as the scene's first n; the model's own rest stands in where not ``good``."""
        n = len(states)
        self._batch.state[:n] = np.where(good[:, None], states, self._rest)
        self._batch.forward(_ids(n), stage=int(mujoco.mjtStage.mjSTAGE_POS))

    def poses(self, n: int) -> tuple[Float64[np.ndarray, "n g 3"], Float64[np.ndarray, "n g 3 3"]]:
        """Return the positions and rotations of all geoms in the first n loaded states."""
        return self._xpos[:n], self._xmat[:n].reshape(n, -1, 3, 3)

    def may_move(self, n: int, *, height: int, width: int) -> Bool[np.ndarray, "n rays"]:
        """Return which rays of a picture of this size may meet a moving geom, never fewer than do."""
        position, rotation = self.poses(n)
        position, rotation = position[:, self._moving], rotation[:, self._moving]
        corners = position[:, :, None] + np.einsum("ngij,gcj->ngci", rotation, self._corners)
        return covered(corners, self.view, height=height, width=width).reshape(n, -1)

    def cast(
        self, directions: Float64[np.ndarray, "n rays 3"], *groups: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return distance (metres; inf for a miss), geom and normal along rays in the first n loaded states."""
        chosen = np.zeros(mujoco.mjNGROUP, dtype=np.uint8)
        chosen[list(groups)] = 1
        distance, geom, normal = self._batch.ray(
            self.view.position, directions, geomgroup=chosen, ids=_ids(len(directions)), normal=True
        )
        return np.where(geom < 0, np.inf, distance), geom, normal

    def rest_data(self) -> mujoco.MjData:
        """Return the kinematics of what never moves (and of all else, at the first simulation's own state)."""
        data = self._batch.get_data(0)
        mujoco.mj_kinematics(self.model, data)
        return data


class PixelRays:
    """One ray through the centre of every pixel of a picture, row by row.

    Attributes:
        scene: the geometry that the rays meet.
        height, width: the picture's size, pixels.
        directions: unit vectors, (pixels, 3).
        depth: how far along each ray what never moves is, metres, (pixels,); inf for the sky.
    """

    def __init__(self, scene: RayScene, *, height: int, width: int) -> None:
        self.scene, self.height, self.width = scene, height, width
        self.directions = scene.view.directions(height, width)
        self.depth = scene.cast(self.directions[None], STATIC)[0][0]

    def moving_hits(self, n: int) -> tuple[np.ndarray, ...]:
        """Return the pixels in which the first n loaded states show a moving geom, by state and then in reading order.

        As state, pixel, distance (metres), geom and normal, one entry per such pixel.
        """
        pixels, valid = padded(self.scene.may_move(n, height=self.height, width=self.width))
        distance, geom, normal = self.scene.cast(self.directions[pixels], MOVING)
        hit = valid & (geom >= 0) & (distance < self.depth[pixels])
        return np.nonzero(hit)[0], pixels[hit], distance[hit], geom[hit], normal[hit]


def _ids(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.int32)
