"""Load the models that Gymnasium and dm_control ship, as editable specifications."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import mujoco
import numpy as np


def gymnasium_model(name: str) -> mujoco.MjSpec:
    """Return one of Gymnasium's own models, such as ``ant.xml``."""
    return mujoco.MjSpec.from_file(str(_package("gymnasium") / "envs/mujoco/assets" / name))


def dm_control_model(name: str) -> mujoco.MjSpec:
    """Return one of the dm_control suite's models, such as ``cartpole.xml``, unchanged."""
    return mujoco.MjSpec.from_file(str(_package("dm_control") / "suite" / name))


def noisy_start(
    model: mujoco.MjModel, rng: np.random.Generator, *, qpos: np.ndarray, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return a pose and velocity near ``qpos`` at rest: uniform noise of ``scale`` (m, rad; and per second)."""
    return qpos + rng.uniform(-scale, scale, model.nq), rng.uniform(-scale, scale, model.nv)


def _package(name: str) -> Path:
    """Return a package's folder without importing it: dm_control's suite searches for a display on import."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"the package {name} is not installed; its models are needed")
    return Path(spec.submodule_search_locations[0])
