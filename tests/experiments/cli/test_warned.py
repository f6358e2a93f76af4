"""A command's own warning is one sentence on a line of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import corrwise
from corrwise.experiments.cli import plain_warnings

GLASS = '''
import mujoco
import numpy as np
from corrwise.envs import Camera, GoalSampling, Task

XML = """<mujoco><worldbody><light pos="0 -3 3"/><body><joint name="x" type="slide" axis="1 0 0" damping="1"/>
  <geom size=".3" mass="1" rgba="1 0 0 .5"/></body></worldbody>
  <actuator><motor joint="x" gear="100"/></actuator></mujoco>"""
GLASS = Task(
    name="glass", model=lambda: mujoco.MjSpec.from_string(XML),
    camera=Camera(position=(0.0, -4.0, 0.0), target=(0.0, 0.0, 0.0)), frame_skip=10, episode_steps=10,
    start=lambda model, rng: (np.zeros(1), np.zeros(1)), goal=GoalSampling(min_steps=2, max_steps=10, min_distance=0.1),
)
'''


def test_what_the_images_leave_out_is_one_line_without_code(tmp_path):
    (tmp_path / "mine.py").write_text(GLASS)
    quick = ["--costs", "l1", "--episodes", "1", "--steps", "1", "--size", "16", "--horizon", "1", "--candidates", "2"]
    command = [
        sys.executable,
        "-m",
        "corrwise",
        "mpc",
        "--task",
        "mine.py:GLASS",
        "--no-videos",
        "--out",
        "out",
        *quick,
    ]
    env = {**os.environ, "PYTHONPATH": str(Path(corrwise.__file__).parents[1])}
    error = subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True, text=True).stderr
    sentence = 'corrwise: warning: glass: the images leave out the transparency of 1 shape; renderer="gl" draws it all'
    assert error.splitlines().count(sentence) == 1
    assert "UserWarning" not in error
    assert ".py:" not in error


def test_warnings_of_others_stay_as_they_are(capsys):
    usual = warnings.formatwarning
    shown = "other.py", 3, "code()"
    with plain_warnings():
        assert warnings.formatwarning("w", UserWarning, *shown) == usual("w", UserWarning, *shown)
        own = corrwise.__file__, 3, "code()"
        assert warnings.formatwarning("w", DeprecationWarning, *own) == usual("w", DeprecationWarning, *own)
        assert warnings.formatwarning("w", UserWarning, *own).strip() == "corrwise: warning: w"
    assert warnings.formatwarning is usual
