"""OpenGL runs in processes of its own: it must not affect the other tests' renderer, and it clashes with triton."""

from __future__ import annotations

import ctypes.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

needs_egl = pytest.mark.skipif(
    ctypes.util.find_library("EGL") is None and not os.environ.get("CI"),
    reason="no EGL here: apt-get install libegl1 libgl1-mesa-dri",
)


def _run(*arguments: str, gl: str = "egl") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env={**os.environ, "MUJOCO_GL": gl}, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip


@needs_egl
def test_gl_keeps_the_renderers_contract_and_agrees_with_the_ray_caster_in_what_is_drawn_and_hidden():
    done = _run("-m", "tests.envs.renderers.gl_worlds")
    assert done.returncode == 0, done.stdout + done.stderr


@needs_egl
def test_this_mujoco_and_dm_control_work_together_and_moving_parts_are_where_opengl_draws_them():
    done = _run("-m", "tests.envs.renderers.gl_suite")
    assert done.returncode == 0, done.stdout + done.stderr


@needs_egl
def test_an_optimizer_can_be_built_after_gl_has_drawn():
    code = """
import torch
from corrwise.envs import TASKS, Fleet, MujocoSimulator
Fleet(MujocoSimulator(TASKS["cartpole"], size=32, renderer="gl")).reset([0])
torch.optim.Adam([torch.zeros(1, requires_grad=True)])
import torchvision
"""
    done = _run("-c", code)
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr}"
    assert "Traceback" not in done.stderr, "the context was not freed in time"


def test_a_machine_without_gl_gets_an_error_with_the_remedy():
    code = """
from corrwise.envs import TASKS, MujocoSimulator
try:
    MujocoSimulator(TASKS["cartpole"], renderer="gl")
except RuntimeError as error:
    assert "MUJOCO_GL=egl" in str(error) and "raycast" in str(error), error
else:
    raise SystemExit("drew without OpenGL")
"""
    done = _run("-c", code, gl="disable")
    assert done.returncode == 0, done.stdout + done.stderr
