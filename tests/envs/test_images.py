"""The tasks' images stay what they are: the published rows and the shipped weights were made from them."""

from __future__ import annotations

import hashlib

import mujoco
import pytest
import torch

from corrwise.envs import TASKS, Fleet, MujocoSimulator
from corrwise.envs.arrays import to_uint8

DIGESTS = {
    ("cartpole", 1): "091df308b7608788",
    ("cartpole", 2): "a8dd8c2a2d403164",
    ("ant", 1): "53f95e7fbd70c7cc",
    ("ant", 2): "dff60865621b890e",
    ("humanoid", 1): "982693c11c07f294",
    ("humanoid", 2): "46efd7dbff81c58e",
    ("cartpole-short", 1): "7f772d8715218414",
    ("cartpole-short", 2): "bc9cb985ca1ef14c",
}


@pytest.mark.skipif(mujoco.__version__ != "3.17.0", reason="images differ between MuJoCo's minor versions")
@pytest.mark.parametrize(("name", "supersample"), DIGESTS)
def test_no_pixel_changes(name, supersample):
    fleet = Fleet(MujocoSimulator(TASKS[name], size=64, supersample=supersample))
    context, goal = fleet.reset([0, 1])
    after = fleet.step(torch.full((2, fleet.simulator.physics.action_dim), 0.5))
    digest = hashlib.sha256()
    for frames in (context.frames, goal.frames, after.frames):
        digest.update(to_uint8(frames).tobytes())
    assert digest.hexdigest()[:16] == DIGESTS[name, supersample]
