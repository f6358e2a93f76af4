"""Sites as rays meet them: MuJoCo's rays hit geoms only, so each site becomes a geom in a small model of its own."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from jaxtyping import Float64, Int
from mujoco.batch import Batch
from scipy.spatial.transform import Rotation

__all__ = ["SiteRays"]


class SiteRays:
    """The drawn sites of one model, placed by hand wherever the model's own kinematics put them.

    The model of the task is never touched: its sizes, states and physics know nothing of these geoms.

    Args:
        model: the model that the sites belong to.
        sites: which of its sites.
        groups: the geom group that rays find each of them in.
        threads: threads of the ray caster; 0 means all CPUs.
        chunk: the most states loaded at once.
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
        """Put the sites where they are in the first n states."""
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
