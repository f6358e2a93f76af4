"""Gusts: forces that act while an environment steps, and that no image shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import mujoco
import numpy as np
from jaxtyping import Float64

from corrwise.validation import Range, validated

__all__ = ["Gusts"]

_STREAM = 0x67757374  # keeps a seed's gusts apart from what else is drawn from the seed


@validated(error=ValueError)
class Gusts:
    """A random force on one joint in each control step: normal, of mean zero, independent of all other steps.

    Gusts act on environments, that is on real episodes and on those that ``corrwise collect`` records. They do not act
    on a simulator's rollouts, so an oracle plans as if there were none, and goals are reachable without them. Those of
    an episode depend on its seed and on the simulation's time alone: an episode that continues from a saved state
    meets the same gusts.

    Attributes:
        joint: name of a slide or hinge joint.
        force: standard deviation, newtons, or newton metres on a hinge; constant over a control step.
        beyond: the force acts while the joint's position is above this, m or rad; below is shelter.

    Raises:
        ValueError: if the force is negative or not finite.
    """

    joint: str
    force: Annotated[float, Range(0)]
    beyond: Annotated[float, Range()]

    def forces(self, model: mujoco.MjModel, normal: Float64[np.ndarray, "*n"]) -> Float64[np.ndarray, "*n nv"]:
        """Return the generalised forces, outside the shelter, that standard normal numbers stand for."""
        forces = np.zeros((*normal.shape, model.nv))
        forces[..., model.jnt_dofadr[model.joint(self.joint).id]] = self.force * normal
        return forces

    def of_episode(self, model: mujoco.MjModel, key: int, steps: Sequence[int]) -> Float64[np.ndarray, "T nv"]:
        """Return the forces in these control steps of the episode with this key, such as its seed."""
        normal = [np.random.default_rng((key, _STREAM, step)).standard_normal() for step in steps]
        return self.forces(model, np.array(normal, dtype=np.float64))

    def exposed(self, model: mujoco.MjModel, qpos: Float64[np.ndarray, "n nq"]) -> Float64[np.ndarray, "n"]:
        """Return 1 for poses on which the force acts, and 0 for those in shelter."""
        place = qpos[:, model.jnt_qposadr[model.joint(self.joint).id]]
        return (place > self.beyond).astype(np.float64)
