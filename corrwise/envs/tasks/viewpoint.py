"""Choose a camera: a fixed camera of the model if it frames what moves, else one that is fitted to the motion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import mujoco
import numpy as np
from jaxtyping import Float64

from corrwise.envs.renderers import RaycastRenderer
from corrwise.envs.renderers.extent import ViewExtents
from corrwise.envs.renderers.shapes import Shapes
from corrwise.envs.tasks.task import CAMERA_NAME, Camera, Task

__all__ = ["fitted_camera"]

# Directions of the fitted camera (from the side, obliquely, from above), and what is up in its image.
_DIRECTIONS = (
    ((0.0, -1.0, 0.0), (0.0, 0.0, 1.0)),
    ((0.6, -0.6, 0.5), (0.0, 0.0, 1.0)),
    ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0)),
)
_FOVY = 45.0  # degrees
_MARGIN = 0.92  # of half the image, which the body must not exceed
_FRAMED = 0.9  # of the states must be wholly inside the image
_LEAST = 1 / 6  # of the image's side, which a body must span in a camera of the model
_SIZE = 32  # pixels of the images that test whether motion is visible


def fitted_camera(task: Task, motions: Float64[np.ndarray, "m k S"]) -> Camera:
    """Return a camera that frames the moving shapes in nine of ten of these states.

    It is the first camera of the model that is fixed in the world and does so. If there is none, the nearest such
    camera is computed for each of three directions, and the one whose image shows the most motion is returned.

    Args:
        task: the task; its own camera is ignored.
        motions: states of m motions, in the order in which they are reached.

    Raises:
        ValueError: if no visible shape of the model moves.
    """
    states = motions.reshape(-1, motions.shape[-1])
    for camera in _own_cameras(task):
        extents = ViewExtents(replace(task, camera=camera).compile()).extents(states)
        size = (extents.high.max(axis=1, initial=-np.inf) - extents.low.min(axis=1, initial=np.inf)).max(axis=1)
        if (~extents.cut.any(axis=1)).mean() >= _FRAMED and np.median(size) >= _LEAST:
            return camera
    centres, points, radii = _points(task, states)
    moved = points.reshape(*motions.shape[:2], -1, 3)
    moved = moved[:, -1] - moved[:, 0]
    cameras, seen = [], []
    for direction, up in _DIRECTIONS:
        back = np.array(direction) / np.linalg.norm(direction)
        cameras.append(_framing(back, up, centres, radii))
        across = np.linalg.norm(moved - (moved @ back)[..., None] * back, axis=-1).mean()
        seen.append(across * _shown(replace(task, camera=cameras[-1]), motions[:, [0, -1]]))
    return cameras[int(np.argmax(seen))]


def _own_cameras(task: Task) -> Iterator[Camera]:
    model = task.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    fixed = int(mujoco.mjtCamLight.mjCAMLIGHT_FIXED)
    for i in range(model.ncam):
        camera = model.camera(i)
        still = int(camera.mode[0]) == fixed and model.body_weldid[int(camera.bodyid[0])] == 0
        if still and camera.name != CAMERA_NAME and 0 < camera.fovy[0] < 180:
            axes, position = data.cam_xmat[i].reshape(3, 3), data.cam_xpos[i]
            yield Camera(_tuple(position), _tuple(position - axes[:, 2]), float(camera.fovy[0]), up=_tuple(axes[:, 1]))


def _points(task: Task, states: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return balls around the moving shapes: centres (n, g, 3), three points on each (n, 3g, 3), and radii (g,)."""
    model = task.compile()
    shapes = Shapes.of_model(model)
    geoms = np.flatnonzero((shapes.moving & shapes.shown)[: shapes.geoms])
    if not len(geoms):
        raise ValueError(f"{task.name} cannot be a task: nothing that moves is drawn")
    data, centres, axes = mujoco.MjData(model), [], []
    for state in states:
        mujoco.mj_setState(model, data, state, int(mujoco.mjtState.mjSTATE_INTEGRATION))
        mujoco.mj_kinematics(model, data)
        centres.append(data.geom_xpos[geoms])
        axes.append(data.geom_xmat[geoms].reshape(-1, 3, 3).swapaxes(1, 2))
    radii, places = model.geom_rbound[geoms], np.array(centres)
    points = places[:, :, None] + radii[:, None, None] * np.array(axes)
    return places, points.reshape(len(states), -1, 3), radii


def _framing(
    back: Float64[np.ndarray, "3"], up: tuple[float, float, float], centres: Float64[np.ndarray, "n g 3"],
    radii: Float64[np.ndarray, "g"],
) -> Camera:  # fmt: skip
    """Return the nearest camera in a direction whose image wholly contains the balls of nine of ten states."""
    axes = Camera(_tuple(back), (0.0, 0.0, 0.0), up=up).axes()
    across = centres @ axes[:, :2]
    low, high = (across - radii[:, None]).min(axis=1), (across + radii[:, None]).max(axis=1)  # (n, 2), of each state
    middle = (np.quantile(low, (1 - _FRAMED) / 2, axis=0) + np.quantile(high, (1 + _FRAMED) / 2, axis=0)) / 2
    depth = centres @ back
    target = axes[:, :2] @ middle + back * np.median(depth)
    half = np.radians(_FOVY) / 2
    reach = np.abs(across - middle).max(axis=-1) + radii / np.cos(half)
    needed = (depth - np.median(depth) + reach / (np.tan(half) * _MARGIN)).max(axis=1)
    distance = np.quantile(needed, _FRAMED)
    # Rounded, so that differences in the last bits of the physics do not change the camera.
    target, position = np.round(target, 2), np.round(target + back * distance, 2)
    return Camera(_tuple(position), _tuple(target), _FOVY, up=up)


def _shown(task: Task, ends: Float64[np.ndarray, "m 2 S"]) -> float:
    """Return the share of motions in which the image changes; it is 0 if something hides all of them."""
    images = RaycastRenderer(task.compile(), height=_SIZE, width=_SIZE).render(ends.reshape(-1, ends.shape[-1]))
    images = images.reshape(-1, 2, *images.shape[1:])
    return float((images[:, 0] != images[:, 1]).flatten(1).any(dim=1).double().mean())


def _tuple(vector: np.ndarray) -> tuple[float, float, float]:
    return float(vector[0]), float(vector[1]), float(vector[2])
