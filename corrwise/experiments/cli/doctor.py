"""``corrwise doctor``: what this machine offers, and the one command for each thing that is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from corrwise._process import wait_passively, waits
from corrwise.costs.spec import RECOMMENDED, CostSpec
from corrwise.validation import validated

NAME = "doctor"

_GL_PROBE = """
import mujoco
model = mujoco.MjModel.from_xml_string('<mujoco><worldbody><geom size="1"/></worldbody></mujoco>')
renderer = mujoco.Renderer(model, 16, 16)
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
renderer.update_scene(data)
renderer.render()
"""


@validated
class DoctorConfig:
    """Report what this machine offers, with one command for each thing that is missing."""


@dataclass(frozen=True)
class Finding:
    """One thing that corrwise can use.

    Attributes:
        name: what it is.
        works: whether it is there.
        message: what was detected, or what its absence means.
        command: how to get it, where it is missing and can be had.
    """

    name: str
    works: bool
    message: str
    command: str | None = None


def run(config: DoctorConfig) -> int:
    """Print what this machine offers and return 0; 1 only where not even the default renderer works."""
    set_here = wait_passively()  # before torch is loaded
    findings = [probe() for probe in (raycast, opengl, gpu, flow_weights, video)]
    findings += [threads(set_here), Finding("recommended", True, CostSpec.parse(RECOMMENDED).describe())]
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        print(f"{'ok     ' if finding.works else 'missing'}  {finding.name:<{width}}  {finding.message}")
        if not finding.works and finding.command:
            print(f"{'':<{width + 9}}  get it: {finding.command}")
    return 0 if findings[0].works else 1


def raycast() -> Finding:
    """Check whether the default renderer works."""
    try:
        from corrwise.envs import TASKS, MujocoSimulator

        MujocoSimulator(TASKS["cartpole"], size=16)
        return Finding("raycast renderer", True, f"{os.cpu_count()} CPU cores; needs no OpenGL and no display")
    except Exception as error:  # whatever is broken, the person should read it here
        return Finding("raycast renderer", False, str(error), "pip install 'mujoco>=3.17,<4' dm-control")


def opengl() -> Finding:
    """Check in a separate process whether MuJoCo can render with OpenGL without a display."""
    probe = subprocess.run(
        [sys.executable, "-c", _GL_PROBE], env={**os.environ, "MUJOCO_GL": "egl"}, capture_output=True, check=False
    )
    if probe.returncode == 0:
        return Finding("gl renderer", True, "OpenGL by EGL, for --renderer gl")
    command = "apt-get install libegl1 libgl1-mesa-dri libgles2"
    return Finding("gl renderer", False, "no EGL; the raycast renderer needs none", command)


def gpu() -> Finding:
    """Detect a GPU that torch can use, and state what runs on one."""
    import torch

    there = "costs, flows, trained predictors and training; physics, the ray caster and flow dis stay on the CPU"
    if torch.cuda.is_available():
        message = f"{torch.cuda.get_device_name()}, used with --device cuda for {there}"
        return Finding("GPU", True, message)
    return Finding("GPU", False, f"everything runs on the CPU; --device cuda would run {there}")


def flow_weights() -> Finding:
    """Detect RAFT weights that torchvision has already stored."""
    import torch
    from torchvision.models.optical_flow import Raft_Large_Weights, Raft_Small_Weights

    stored = Path(torch.hub.get_dir()) / "checkpoints"
    entries = [entry for kind in (Raft_Small_Weights, Raft_Large_Weights) for entry in kind]
    names = [str(entry) for entry in entries if (stored / entry.url.rsplit("/", 1)[-1]).exists()]
    if names:
        return Finding("RAFT weights", True, ", ".join(names))
    load = "from corrwise.costs.flow import RAFTFlow; RAFTFlow('Raft_Small_Weights.C_T_V2')"
    return Finding("RAFT weights", False, "only --flow raft needs them", f'python -c "{load}"')


def video() -> Finding:
    """Check whether PyAV brings an H.264 encoder."""
    try:
        import av

        av.CodecContext.create("libx264", "w")
        return Finding("videos", True, "H.264 by PyAV")
    except Exception as error:  # PyAV raises types of its own
        return Finding("videos", False, f"{error}; --no-videos runs without", "pip install av")


def threads(set_here: bool) -> Finding:
    """Check whether torch's threads sleep while they wait for each other."""
    passive, variables = waits()
    if passive:
        return Finding("threads", True, f"wait passively ({variables}, set by {'corrwise' if set_here else 'you'})")
    why = f"{variables}, set by you" if variables else "nothing is set"
    message = f"spin while they wait ({why}): several times slower beside one busy process"
    return Finding("threads", False, message, "export OMP_WAIT_POLICY=PASSIVE")
