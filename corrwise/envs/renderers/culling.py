"""Find the pixels that moving bodies may cover, from the projected boxes around geoms; only there rays are cast."""

from __future__ import annotations

import mujoco
import numpy as np
from jaxtyping import Bool, Float, Int

from corrwise.envs.renderers.view import PinholeView

_NEAR = 1e-3  # metres; a box that extends behind this plane may cover any pixel


def moving_geoms(model: mujoco.MjModel) -> Bool[np.ndarray, "g"]:
    """Return which geoms can move: those not welded to the world; a mocap body is not, nor is what hangs on it."""
    return np.asarray(model.body_weldid != 0)[model.geom_bodyid]


def box_corners(boxes: Float[np.ndarray, "g 6"]) -> Float[np.ndarray, "g 8 3"]:
    """Return the corners of bounding boxes (centre, half size), metres."""
    signs = np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1], indexing="ij"), axis=-1).reshape(8, 3)
    return boxes[:, None, :3] + signs * boxes[:, None, 3:]


def covered(
    corners: Float[np.ndarray, "n g 8 3"], view: PinholeView, *, height: int, width: int
) -> Bool[np.ndarray, "n h w"]:
    """Return the pixels inside any geom's projected box, a superset of the pixels that geoms cover."""
    x, y, depth = view.project(corners, height=height, width=width)
    behind = np.asarray((depth < _NEAR).any(axis=2))
    left, right = _span(x, behind, width)
    top, bottom = _span(y, behind, height)
    # Each rectangle is drawn as four corner marks that two running sums turn into areas.
    marks = np.zeros((len(corners), height + 1, width + 1), dtype=np.int32)
    n = np.broadcast_to(np.arange(len(corners))[:, None], left.shape)
    for row, column, sign in ((top, left, 1), (bottom, right, 1), (top, right, -1), (bottom, left, -1)):
        np.add.at(marks, (n, row, column), sign)
    return marks.cumsum(axis=1).cumsum(axis=2)[:, :-1, :-1] > 0


def padded(mask: Bool[np.ndarray, "n pixels"]) -> tuple[Int[np.ndarray, "n most"], Bool[np.ndarray, "n most"]]:
    """Return the indices that are set in each row, padded with 0 to the longest row, and which of them are real."""
    counts = mask.sum(axis=1)
    valid = np.arange(counts.max(initial=0)) < counts[:, None]
    pixels = np.zeros(valid.shape, dtype=np.int64)
    pixels[valid] = np.nonzero(mask)[1]
    return pixels, valid


def _span(
    coordinate: Float[np.ndarray, "n g 8"], behind: Bool[np.ndarray, "n g"], size: int
) -> tuple[Int[np.ndarray, "n g"], Int[np.ndarray, "n g"]]:
    """Return the first pixel and the one past the last whose centres can lie between the corners."""
    low = np.clip(np.floor(coordinate.min(axis=2) - 0.5), 0, size).astype(np.int64)
    high = np.clip(np.ceil(coordinate.max(axis=2) + 0.5), 0, size).astype(np.int64)
    return np.where(behind, 0, low), np.where(behind, size, high)
