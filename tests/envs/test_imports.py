"""Importing the package is cheap: no renderer, and nothing that only a table or an agent needs."""

from __future__ import annotations

import os
import subprocess
import sys

HEAVY = ("glfw", "OpenGL", "dm_control", "matplotlib", "cv2", "torchvision", "stable_baselines3", "triton", "pygame")


def _loaded(code: str, *, gl: str) -> set[str]:
    code = f"import sys; {code}; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "MUJOCO_GL": gl}, capture_output=True, text=True, check=True,
        timeout=1800,
    )  # fmt: skip
    return set(done.stdout.split())


def test_importing_envs_loads_nothing_heavy():
    assert _loaded("import corrwise.envs, corrwise.predictors", gl="disable") == set()


def test_drawing_an_episode_loads_nothing_more_than_mujoco_itself_does():
    code = "from corrwise.envs import VisualTask; VisualTask('cartpole', size=16).reset(seed=0)"
    assert _loaded(code, gl="") == _loaded("import mujoco", gl="")
