"""Both renderers draw and hide what MuJoCo does by default; ``gl_worlds`` runs these checks."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import mujoco
import numpy as np
import torch

from corrwise.envs import GLRenderer, MujocoSimulator, RaycastRenderer
from tests.envs.renderers.drawn import CLOTH, SHAPES, SKIN, TURNS, VISIBILITY, cell, cubes, grid, patterned
from tests.envs.worlds import state_of, task_of

SIZE = 128


def both_draw_and_hide_the_same() -> None:
    """MuJoCo's groups and alphas, own or a material's, of geoms and of sites, moving or not."""
    for element, joint in product(("geom", "site"), ("<freejoint/>", "")):
        xml = grid([f'<{element} size=".3" {attributes}/>' for attributes in VISIBILITY], joint=joint)
        for image in _images(task_of(xml).compile()):
            seen = [bool((cell(image, number) > 0.2).any()) for number in range(len(VISIBILITY))]
            wrong = [name for name, drawn in zip(VISIBILITY, seen, strict=True) if drawn != VISIBILITY[name]]
            assert not wrong, f"{element} with {wrong}"


def sites_have_the_same_outlines() -> None:
    sites = [f'<site {shape} euler="30 20 40" rgba="1 0 0 1"/>' for shape in SHAPES.values()]
    gl, rays = (image.max(axis=0) > 0.1 for image in _images(task_of(grid(sites)).compile(), supersample=2))
    for number, name in enumerate(SHAPES):
        one, two = (cell(each[None], number) for each in (gl, rays))
        assert (one & two).sum() > 0.9 * (one | two).sum(), f"the outlines of a {name} differ"


def cubes_in_the_hand_show_the_same_faces() -> None:
    turns = (*TURNS, "30 40 10", "70 10 50")
    gl, rays = _images(_compiled(lambda: cubes(turns)), supersample=2)
    for number, turn in enumerate(turns):
        difference = np.abs(cell(gl, number) - cell(rays, number)).mean()
        assert difference < 0.06, f"turned by {turn}, the faces differ by {difference:.3f}"


def textures_lie_alike_on_all_shapes() -> None:
    for kind, uniform in product(("2d", "cube"), ("false", "true")):
        model = _compiled(lambda kind=kind, uniform=uniform: patterned(kind=kind, uniform=uniform))
        gl, rays = _images(model, supersample=2)
        plain = _rays(model, textures=False)
        for number in range(model.ngeom):
            with_it, without = (np.abs(cell(gl, number) - cell(each, number)).mean() for each in (rays, plain))
            text = f"{kind}, uniform {uniform}, shape {number}: off by {with_it:.3f}, without by {without:.3f}"
            assert with_it < 0.5 * without, text


def cloth_and_skin_are_drawn_by_opengl() -> None:
    for xml, move in ((CLOTH, _lifted), (SKIN.format('group="3"'), _lifted)):
        simulator = MujocoSimulator(task_of(xml), size=SIZE, renderer="gl")
        there, away = simulator.render(np.stack([state_of(simulator.model), state_of(simulator.model, move)]))
        assert (there[0] > 0.3).sum() > 300
        assert not torch.equal(there, away)
        simulator.check_drawn()


def _lifted(data: mujoco.MjData) -> None:
    data.qpos += 0.3


def _compiled(spec: Callable[[], mujoco.MjSpec]) -> mujoco.MjModel:
    return replace(task_of("<mujoco/>"), model=spec).compile()


def _images(model: mujoco.MjModel, *, supersample: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of the model's rest pose by OpenGL and by rays."""
    gl = GLRenderer(model, height=SIZE, width=SIZE)
    return gl.render(state_of(model)[None])[0].numpy(), _rays(model, supersample=supersample)


def _rays(model: mujoco.MjModel, *, supersample: int = 1, textures: bool = True) -> np.ndarray:
    rays = RaycastRenderer(model, height=SIZE, width=SIZE, supersample=supersample, textures=textures)
    return rays.render(state_of(model)[None])[0].numpy()


def main() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        both_draw_and_hide_the_same()
        sites_have_the_same_outlines()
        cubes_in_the_hand_show_the_same_faces()
        textures_lie_alike_on_all_shapes()
        cloth_and_skin_are_drawn_by_opengl()
