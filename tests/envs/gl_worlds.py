"""What only a process with OpenGL can check: run as ``MUJOCO_GL=egl python -m tests.envs.gl_worlds``."""

from __future__ import annotations

import sys

import numpy as np

import tests.conftest  # noqa: F401  # the run-time shape checks
from corrwise.envs import TASKS, Fleet, MujocoSimulator
from corrwise.envs.renderers import RENDERERS, GLRenderer, RaycastRenderer
from tests.contracts import check_renderer
from tests.envs.worlds import some_states

SIZE = 64


def silhouettes_agree(name: str) -> None:
    """The moving bodies' masks of both renderers overlap; each renderer's own empty stage is the reference."""
    model, states = MujocoSimulator(TASKS[name], size=SIZE).model, some_states(name)
    overlaps = []
    for state in states:
        masks = []
        for make in (GLRenderer, RaycastRenderer):
            empty, full = state.copy(), state
            empty[1 : 4 if model.nq > 2 else 2] = 1e4  # the body has left the picture
            shown = make(model, height=SIZE, width=SIZE).render(np.stack([full, empty]))
            masks.append(((shown[0] - shown[1]).abs() > 0.04).any(dim=0))
        overlaps.append(((masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()).item())
    print(name, "overlap", [round(each, 2) for each in overlaps])
    assert min(overlaps) > 0.8, f"{name}: the renderers' silhouettes overlap by {overlaps}"


def main() -> None:
    for name, make in RENDERERS.items():
        for task in TASKS:
            if name != "raycast":
                check_renderer(make(MujocoSimulator(TASKS[task], size=SIZE).model, height=32, width=40), some_states(task)[:3])
    for task in TASKS:
        silhouettes_agree(task)
    fleet = Fleet(MujocoSimulator(TASKS["cartpole"], size=32, renderer="gl"))
    assert fleet.reset([0])[0].frames.shape == (1, 1, 3, 32, 32)


if __name__ == "__main__":
    sys.exit(main())
