"""A fixed pinhole camera: the rays through its pixels, and the projection of points into its image."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class PinholeView:
    """A camera fixed in the world.

    Attributes:
        position: the camera's position, metres, (3,).
        rotation: its right, up and backward axes as columns, (3, 3).
        fovy: vertical field of view, degrees.
    """

    position: Float[np.ndarray, 3]
    rotation: Float[np.ndarray, "3 3"]
    fovy: float

    @staticmethod
    def of_camera(model: mujoco.MjModel, name: str) -> PinholeView:
        """Return the view of a model's camera that is fixed to the world."""
        names = [model.camera(i).name for i in range(model.ncam)]
        if name not in names:
            raise ValueError(f"expected a model with a camera {name!r} (Task.compile adds it), got cameras {names}")
        camera = model.camera(name)
        rotation = np.empty(9)
        mujoco.mju_quat2Mat(rotation, camera.quat)
        return PinholeView(camera.pos.copy(), rotation.reshape(3, 3), float(camera.fovy[0]))

    @property
    def forward(self) -> Float[np.ndarray, 3]:
        """The unit direction of the optical axis, along which depth is measured."""
        return -self.rotation[:, 2]

    def focal(self, height: int) -> float:
        """Return the focal length in pixels for an image of this height."""
        return height / 2 / float(np.tan(np.radians(self.fovy) / 2))

    def directions(self, height: int, width: int) -> Float[np.ndarray, "pixels 3"]:
        """Return the unit direction of the ray through each pixel's centre, row by row."""
        y, x = np.mgrid[:height, :width] + 0.5
        f = self.focal(height)
        local = np.stack([(x - width / 2) / f, (height / 2 - y) / f, -np.ones_like(x)], axis=-1).reshape(-1, 3)
        return (local / np.linalg.norm(local, axis=1, keepdims=True)) @ self.rotation.T

    def project(
        self, points: Float[np.ndarray, "*n 3"], *, height: int, width: int
    ) -> tuple[Float[np.ndarray, "*n"], Float[np.ndarray, "*n"], Float[np.ndarray, "*n"]]:
        """Return pixel coordinates x and y (the first pixel's centre is 0.5) and depth in metres along the view."""
        local = (points - self.position) @ self.rotation
        depth = -local[..., 2]
        safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
        f = self.focal(height)
        return width / 2 + f * local[..., 0] / safe, height / 2 - f * local[..., 1] / safe, depth


def far_plane(model: mujoco.MjModel) -> float:
    """Return the depth of MuJoCo's far clipping plane, metres, which the sky has in a depth image."""
    return float(model.vis.map.zfar * model.stat.extent)
