"""dm_control's suite in both renderers: run as ``MUJOCO_GL=egl python -m tests.envs.renderers.gl_suite``."""

from __future__ import annotations

import re
import sys
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import torch

from corrwise.envs import Camera, GLRenderer, RaycastRenderer
from corrwise.envs.renderers.shapes import Shapes
from tests.envs.worlds import state_of, task_of

OVERLAP = 0.8  # of the pixels that moving parts cover in one renderer and in the other
EXCEPTIONS = {"dog": "1 skin"}  # what the ray caster reports as left out
RENDERED = ("cartpole", "dog", "humanoid")  # by dm_control itself, too: a context of OpenGL for each takes its time
SIZE, FOVY = 72, 40.0


def main() -> None:
    GLRenderer(task_of("<mujoco/>").compile(), height=8, width=8)  # before dm_control's OpenGL: it loads triton first
    from dm_control import suite

    overlaps, left_out = {}, {}
    for domain, task in sorted(dict(reversed(suite.ALL_TASKS)).items()):
        model, state = world(domain, task)
        gl = GLRenderer(model, height=SIZE, width=SIZE)
        rays = RaycastRenderer(model, height=SIZE, width=SIZE, supersample=2)  # OpenGL smooths its edges, too
        images = [each.render(state[None])[0] for each in (gl, rays)]
        hide_what_moves(model)
        one, two = _differ(images[0], gl.render(state[None])[0]), _differ(images[1], rays.background)
        assert one.sum() > 40, f"{domain}: hardly anything that moves is in the image"
        overlaps[domain] = float((one & two).sum() / (one | two).sum())
        left_out[domain] = rays.left_out
    print({domain: round(overlap, 2) for domain, overlap in overlaps.items()})
    assert len(overlaps) >= 19, f"expected all domains of the suite, got {list(overlaps)}"
    low = {domain for domain, overlap in overlaps.items() if overlap < OVERLAP}
    assert low == set(EXCEPTIONS), f"expected {set(EXCEPTIONS)} below {OVERLAP}, got {overlaps}"
    assert all(reason in left_out[domain] for domain, reason in EXCEPTIONS.items()), left_out


def world(domain: str, task: str) -> tuple[mujoco.MjModel, np.ndarray]:
    """Return a domain's model with a camera that shows all moving parts, and an initial state; step and render it."""
    from dm_control import suite
    from dm_control.mujoco import engine

    made: list[tuple[Any, dict[str, Any]]] = []
    plain = engine.Physics.from_xml_string.__func__

    def noted(cls: Any, xml_string: Any, assets: Any = None) -> Any:
        made.append((xml_string, assets or {}))
        return plain(cls, xml_string, assets)

    engine.Physics.from_xml_string = classmethod(noted)
    try:
        env = suite.load(domain, task, task_kwargs={"random": 0})
    finally:
        engine.Physics.from_xml_string = classmethod(plain)
    env.reset()
    physics = env.physics
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), *made[-1])
        spec = mujoco.MjSpec.from_file(str(Path(folder, "model.xml")))
        camera = _framing(physics.model.ptr, physics.data.ptr)
        model = replace(task_of("<mujoco/>", camera=camera), model=lambda: spec).compile()

    def pose(data: mujoco.MjData) -> None:
        for field in ("qpos", "mocap_pos", "mocap_quat"):
            getattr(data, field)[:] = getattr(physics.data, field)

    state = state_of(model, pose)
    assert env.step(env.action_spec().minimum).reward is not None, f"this MuJoCo does not step dm_control's {domain}"
    if domain in RENDERED:
        assert physics.render(32, 32).std() > 0, f"this MuJoCo does not render dm_control's {domain}"
    return model, state


def hide_what_moves(model: mujoco.MjModel) -> None:
    """Make all that moves invisible."""
    geoms, sites = (model.body_weldid[bodies] != 0 for bodies in (model.geom_bodyid, model.site_bodyid))
    everything = slice(None)
    for kind, moves in (
        ("geom", geoms), ("site", sites), ("skin", everything), ("flex", everything), ("tendon", everything)
    ):  # fmt: skip
        getattr(model, f"{kind}_matid")[moves] = -1
        getattr(model, f"{kind}_rgba")[moves, 3] = 0


def _write(folder: Path, xml: Any, assets: dict[str, Any]) -> None:
    """Write a model and its assets to a folder that MuJoCo can load."""
    text = xml if isinstance(xml, str) else xml.decode()
    kept = re.findall(r'(?:mesh|texture)dir="([^"]*)"', text)
    for name, content in {**assets, "model.xml": text}.items():
        for file in (folder / name, *(folder / each / name for each in kept)):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)


def _framing(model: mujoco.MjModel, data: mujoco.MjData) -> Camera:
    """Return a camera that shows all moving shapes, from the front and above."""
    shapes = Shapes.of_model(model)
    centres = np.concatenate([data.geom_xpos, data.site_xpos[shapes.sites]])[shapes.moving]
    reach = np.concatenate([model.geom_rbound, shapes.size[model.ngeom :].max(axis=1)])[shapes.moving, None]
    low, high = (centres - reach).min(axis=0), (centres + reach).max(axis=0)
    away = np.array([0.3, -0.8, 0.5]) * np.linalg.norm(high - low) / 2 / np.sin(np.radians(FOVY / 2))
    return Camera(tuple(((low + high) / 2 + away).tolist()), tuple(((low + high) / 2).tolist()), FOVY)


def _differ(one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
    return ((one - two).abs() > 0.03).any(dim=0)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main())
