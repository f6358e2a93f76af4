"""The geometry that rays hit: many states at a time, moving shapes apart from fixed ones, and sites as geoms."""

from __future__ import annotations

import copy
from typing import Any

import mujoco
import numpy as np
from jaxtyping import Bool, Float64, Int
from mujoco.batch import Batch
from scipy.spatial.transform import Rotation

from corrwise.envs.renderers.culling import box_corners, covered, padded
from corrwise.envs.renderers.shapes import Shapes
from corrwise.envs.renderers.view import PinholeView

__all__ = ["SiteRays"]


class SiteRays:
    """The drawn sites of one model as geoms of a second model, moved to where the first model's kinematics put them.

    The model of the task is not changed.

    Args:
        model: the model of the sites.
        sites: the indices of the drawn sites.
        groups: the geom group of each site.
        threads: threads of the ray caster; 0 means all CPUs.
        chunk: the largest number of states loaded at once.
    """

    def __init__(
        self, model: mujoco.MjModel, sites: Int[np.ndarray, "s"], groups: Int[np.ndarray, "s"], *, threads: int,
        chunk: int,
    ) -> None:  # fmt: skip
        spec = mujoco.MjSpec()
        for site, group in zip(sites.tolist(), groups.tolist(), strict=True):
            body = spec.worldbody.add_body(mocap=True)
            body.add_geom(type=mujoco.mjtGeom(int(model.site_type[site])), size=model.site_size[site], group=group)
        small = spec.compile()
        self.aabb: Float64[np.ndarray, "s 6"] = small.geom_aabb.copy()
        self._model, self._threads, self._chunk = small, threads, chunk
        self._make_batch()

    def _make_batch(self) -> None:
        self._batch = Batch(self._model, self._chunk, self._threads)
        self._position, self._quaternion = self._batch.bind("mocap_pos"), self._batch.bind("mocap_quat")

    def __getstate__(self) -> dict[str, Any]:
        """Leave the batch out of copies and pickles: each loads its states before it reads them."""
        left = ("_batch", "_position", "_quaternion")
        return {name: value for name, value in self.__dict__.items() if name not in left}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make_batch()

    def load(self, position: Float64[np.ndarray, "n s 3"], rotation: Float64[np.ndarray, "n s 3 3"]) -> None:
        """Set the poses of the sites in the first n states."""
        n = len(position)
        self._position[:n] = position
        turned = Rotation.from_matrix(rotation.reshape(-1, 3, 3)).as_quat(scalar_first=True)
        self._quaternion[:n] = turned.reshape(n, -1, 4)

    def ray(
        self, position: np.ndarray, directions: Float64[np.ndarray, "n rays 3"], groups: np.ndarray, ids: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return distance, site (counted from 0 among those drawn; -1 for a miss) and normal along each ray."""
        distance, site, normal = self._batch.ray(position, directions, geomgroup=groups, ids=ids, normal=True)
        return distance, site, normal


STATIC, MOVING = 0, 1  # geom groups of the scene's own copy of the model
_HIDDEN = 2
_POSES = ("geom_xpos", "geom_xmat", "site_xpos", "site_xmat")


class RayScene:
    """Geometry of one model for MuJoCo's own threaded ray caster.

    Rays hit shapes: geoms, then sites, in the order of ``Shapes``.

    Args:
        model: a compiled model; copied.
        threads: threads of the ray caster; 0 means all CPUs.
        chunk: the largest number of states loaded at once, which bounds memory.
    """

    def __init__(self, model: mujoco.MjModel, *, threads: int = 0, chunk: int = 64) -> None:
        self.chunk, self._threads = chunk, threads
        self.shapes = Shapes.of_model(model)
        groups = np.where(self.shapes.shown, np.where(self.shapes.moving, MOVING, STATIC), _HIDDEN)
        self.model = copy.copy(model)
        self.model.geom_group[:] = groups[: model.ngeom]
        self.model.geom_matid[:], self.model.geom_rgba[:, 3] = -1, 1.0  # rays ignore invisible geoms
        self._moving = np.flatnonzero(groups == MOVING)
        self._make_batch()
        self._rest = self._batch.state[0].copy()
        boxes, self._sites = model.geom_aabb, None
        if len(self.shapes.sites):
            self._sites = SiteRays(model, self.shapes.sites, groups[model.ngeom :], threads=threads, chunk=chunk)
            boxes = np.concatenate([boxes, self._sites.aabb])
        self._corners = box_corners(boxes[self._moving])
        self.load(self._rest[None], np.ones(1, dtype=bool))  # the background is drawn before a state is loaded

    def _make_batch(self) -> None:
        self._batch = Batch(self.model, self.chunk, self._threads)
        self._poses = {name: self._batch.bind(name) for name in _POSES}

    def __getstate__(self) -> dict[str, Any]:
        """Leave the batch out of copies and pickles: each loads its states before it reads them."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_batch", "_poses")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make_batch()

    def load(self, states: Float64[np.ndarray, "n S"], good: Bool[np.ndarray, "n"]) -> None:
        """Load up to ``chunk`` states; the model's initial state replaces those that are not ``good``."""
        n = len(states)
        self._batch.state[:n] = np.where(good[:, None], states, self._rest)
        self._batch.forward(_ids(n), stage=int(mujoco.mjtStage.mjSTAGE_POS))
        if self._sites is not None:
            self._sites.load(*self._site_poses(n))

    def poses(self, n: int) -> tuple[Float64[np.ndarray, "n g 3"], Float64[np.ndarray, "n g 3 3"]]:
        """Return the positions and rotations of all shapes in the first n loaded states."""
        position, rotation = self._poses["geom_xpos"][:n], self._poses["geom_xmat"][:n].reshape(n, -1, 3, 3)
        if self._sites is None:
            return position, rotation
        site_position, site_rotation = self._site_poses(n)
        return np.concatenate([position, site_position], 1), np.concatenate([rotation, site_rotation], 1)

    def may_move(self, view: PinholeView, n: int, *, height: int, width: int) -> Bool[np.ndarray, "n rays"]:
        """Return which rays of a view's image of this size may hit a moving shape, a superset of those that do."""
        position, rotation = self.poses(n)
        position, rotation = position[:, self._moving], rotation[:, self._moving]
        corners = position[:, :, None] + np.einsum("ngij,gcj->ngci", rotation, self._corners)
        return covered(corners, view, height=height, width=width).reshape(n, -1)

    def cast(
        self, position: Float64[np.ndarray, "3"], directions: Float64[np.ndarray, "n rays 3"], *groups: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return distance (metres; inf for a miss), shape and normal along rays in the first n loaded states."""
        chosen = np.zeros(mujoco.mjNGROUP, dtype=np.uint8)
        chosen[list(groups)] = 1
        ids = _ids(len(directions))
        distance, shape, normal = self._batch.ray(position, directions, geomgroup=chosen, ids=ids, normal=True)
        distance = np.where(shape < 0, np.inf, distance)
        if self._sites is None:
            return distance, shape, normal
        site_distance, site, site_normal = self._sites.ray(position, directions, chosen, ids)
        nearer = (site >= 0) & (site_distance < distance)
        return (
            np.where(nearer, site_distance, distance),
            np.where(nearer, site + self.shapes.geoms, shape),
            np.where(nearer[..., None], site_normal, normal),
        )

    def _site_poses(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        which = self.shapes.sites
        return self._poses["site_xpos"][:n, which], self._poses["site_xmat"][:n, which].reshape(n, -1, 3, 3)


class PixelRays:
    """One ray of a view through the centre of every pixel, row by row.

    Attributes:
        scene: the geometry that the rays hit.
        view: the camera.
        height, width: the image's size, pixels.
        directions: unit vectors, (pixels, 3).
        depth: the distance along each ray to the background, metres, (pixels,); inf for the sky.
    """

    def __init__(self, scene: RayScene, view: PinholeView, *, height: int, width: int) -> None:
        self.scene, self.view, self.height, self.width = scene, view, height, width
        self.directions = view.directions(height, width)
        self.depth = self.cast(self.directions[None], STATIC)[0][0]

    def cast(self, directions: Float64[np.ndarray, "n rays 3"], *groups: int) -> tuple[np.ndarray, ...]:
        """Return distance, shape and normal along any rays from the view's position (``RayScene.cast``)."""
        return self.scene.cast(self.view.position, directions, *groups)

    def moving_hits(self, n: int) -> tuple[np.ndarray, ...]:
        """Return the pixels that show a moving shape in the first n loaded states, by state and then in reading order.

        They are given as state, pixel, distance (metres), shape and normal, one entry per pixel.
        """
        pixels, valid = padded(self.scene.may_move(self.view, n, height=self.height, width=self.width))
        distance, shape, normal = self.cast(self.directions[pixels], MOVING)
        hit = valid & (shape >= 0) & (distance < self.depth[pixels])
        return np.nonzero(hit)[0], pixels[hit], distance[hit], shape[hit], normal[hit]


def _ids(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.int32)
