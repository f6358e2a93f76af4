"""The distance between simulator states, for evaluation only: no image cost reads it."""

from __future__ import annotations

import mujoco
import numpy as np
from jaxtyping import Bool, Float64


def integration_size(model: mujoco.MjModel) -> int:
    """Return S, the length of a full integration state (time, qpos, qvel, act, warm start, controls, ...)."""
    return mujoco.mj_stateSize(model, int(mujoco.mjtState.mjSTATE_INTEGRATION))


def split_state(
    model: mujoco.MjModel, states: Float64[np.ndarray, "*n S"]
) -> tuple[Float64[np.ndarray, "*n nq"], Float64[np.ndarray, "*n nv"]]:
    """Return the positions and velocities inside integration states, which begin with time, qpos, qvel."""
    return states[..., 1 : 1 + model.nq], states[..., 1 + model.nq : 1 + model.nq + model.nv]


def position_difference(
    model: mujoco.MjModel, qpos_a: Float64[np.ndarray, "*#n nq"], qpos_b: Float64[np.ndarray, "*#n nq"]
) -> Float64[np.ndarray, "... nv"]:
    """Return the difference of two poses, joint by joint: metres for slides and translations, radians for the rest.

    Unlimited hinges are wrapped to [-pi, pi]; orientations of free and ball joints give a rotation vector, whose
    length is the geodesic angle (``q`` and ``-q`` are the same orientation).
    """
    qpos_a, qpos_b = np.broadcast_arrays(qpos_a, qpos_b)
    difference = np.zeros((*qpos_a.shape[:-1], model.nv))
    for joint in range(model.njnt):
        kind, q, v = int(model.jnt_type[joint]), int(model.jnt_qposadr[joint]), int(model.jnt_dofadr[joint])
        if kind == int(mujoco.mjtJoint.mjJNT_FREE):
            difference[..., v : v + 3] = qpos_a[..., q : q + 3] - qpos_b[..., q : q + 3]
            q, v = q + 3, v + 3
        if kind in (int(mujoco.mjtJoint.mjJNT_FREE), int(mujoco.mjtJoint.mjJNT_BALL)):
            difference[..., v : v + 3] = _rotation_vector(qpos_a[..., q : q + 4], qpos_b[..., q : q + 4])
            continue
        delta = qpos_a[..., q] - qpos_b[..., q]
        if kind == int(mujoco.mjtJoint.mjJNT_HINGE) and not model.jnt_limited[joint]:
            delta = (delta + np.pi) % (2 * np.pi) - np.pi
        difference[..., v] = delta
    return difference


def state_distance(
    model: mujoco.MjModel,
    states: Float64[np.ndarray, "*#n S"],
    goals: Float64[np.ndarray, "*#n S"],
    *,
    velocity_weight: float = 0.0,
) -> Float64[np.ndarray, "..."]:
    """Return the Euclidean norm over all joints of position (m, rad) and weighted velocity differences.

    One metre counts like one radian. With ``velocity_weight = 0`` the distance is of positions only, because a single
    image shows no velocity. Otherwise a velocity difference (m/s, rad/s) counts as the displacement that it makes in
    ``velocity_weight`` seconds.
    """
    (qpos_a, qvel_a), (qpos_b, qvel_b) = split_state(model, states), split_state(model, goals)
    squared = np.square(position_difference(model, qpos_a, qpos_b)).sum(-1)
    if velocity_weight:
        squared = squared + np.square(velocity_weight * (qvel_a - qvel_b)).sum(-1)
    return np.asarray(np.sqrt(squared))


def _rotation_vector(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the rotation vector that takes quaternion ``b`` to ``a``, (..., 4) -> (..., 3), radians."""
    a = a / np.linalg.norm(a, axis=-1, keepdims=True)
    b = b / np.linalg.norm(b, axis=-1, keepdims=True)
    w = (a * b).sum(-1)
    xyz = b[..., :1] * a[..., 1:] - a[..., :1] * b[..., 1:] - np.cross(a[..., 1:], b[..., 1:])
    norm = np.linalg.norm(xyz, axis=-1)
    angle = 2 * np.arctan2(norm, np.abs(w))  # |w|: the shorter way round
    direction = xyz / np.maximum(norm, 1e-12)[..., None]
    return (np.where(w < 0, -angle, angle))[..., None] * direction


def drawable(model: mujoco.MjModel, states: Float64[np.ndarray, "n S"]) -> Bool[np.ndarray, "n"]:
    """Return which states MuJoCo accepts; it would silently reset the others (NaN, or beyond its limit).

    Raises:
        ValueError: if these are not integration states of this model.
    """
    size = integration_size(model)
    if states.ndim != 2 or states.shape[1] != size:
        raise ValueError(f"expected integration states (n, {size}), got {states.shape}")
    return np.asarray((np.abs(states) <= mujoco.mjMAXVAL).all(axis=1))
