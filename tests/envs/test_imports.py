"""Importing the package is cheap: no renderer, and nothing that only a table or an agent needs."""

from __future__ import annotations

import os
import subprocess
import sys

HEAVY = ("glfw", "OpenGL", "dm_control", "matplotlib", "cv2", "torchvision", "stable_baselines3", "triton", "pygame")


def test_importing_envs_and_drawing_an_episode_load_nothing_heavy():
    code = f"""
import sys
import corrwise.envs, corrwise.predictors
print([name for name in {HEAVY} if name in sys.modules])
corrwise.envs.VisualTask("cartpole", size=16).reset(seed=0)
print([name for name in {HEAVY} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "MUJOCO_GL": "disable"}, capture_output=True, text=True,
        check=True, timeout=1800,
    )  # fmt: skip
    assert done.stdout == "[]\n[]\n"
