"""The ray caster draws what MuJoCo draws by default: its rules of visibility, and sites like geoms."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from corrwise.envs import RaycastRenderer
from corrwise.envs.renderers import scene
from tests.envs.renderers.drawn import SHAPES, VISIBILITY, cell, grid
from tests.envs.worlds import state_of, task_of

_SITES = [f'<site {shape} euler="30 20 40" rgba="1 .5 0 1"/>' for shape in SHAPES.values()]
_GEOMS = [each.replace("<site", "<geom") for each in _SITES]


@pytest.mark.parametrize(("element", "joint"), list(product(["geom", "site"], ["<freejoint/>", ""])))
def test_groups_and_alphas_hide_as_in_mujoco(element, joint):
    xml = grid([f'<{element} size=".3" {attributes}/>' for attributes in VISIBILITY], joint=joint)
    image = _drawn(xml)[1][0].numpy()
    seen = {name: bool((cell(image, number) > 0.2).any()) for number, name in enumerate(VISIBILITY)}
    assert seen == VISIBILITY


@pytest.mark.parametrize("joint", ["<freejoint/>", ""])
def test_a_site_looks_as_a_geom_of_its_shape(joint):
    sites, geoms = (_drawn(grid(each, joint=joint), poses=5)[1] for each in (_SITES, _GEOMS))
    assert (sites.amax(dim=1) > 0.2).sum() > 500
    assert ((sites - geoms).abs() > 1.5 / 255).float().mean() < 1e-3


def test_a_site_s_pixels_move_with_its_body():
    (sites, _, states), (geoms, *_) = (_drawn(grid(each), poses=6) for each in (_SITES, _GEOMS))
    flows, seen = zip(*(each.correspondence(states[:3], states[3:]) for each in (sites, geoms)), strict=True)
    assert flows[0].abs().max() > 3
    assert ((flows[0] - flows[1]).abs() > 1e-3).float().mean() < 2e-3
    assert (seen[0] != seen[1]).float().mean() < 2e-3
    lengths = [each.displacement(states[:3], states[3:]) for each in (sites, geoms)]
    assert torch.allclose(*lengths, rtol=0.01)


def test_what_is_nearest_is_seen():
    """Of a green geom and a red site the nearer one, behind a blue wall neither, and a yellow still site behind all."""
    green, red = '<geom size=".2" rgba="0 1 0 1" {}/>', '<site size=".2" rgba="1 0 0 1" {}/>'
    near, here = 'pos="0 -.4 0"', ""
    pairs = [(near, here), (here, near), (near, here)]
    wall = '<geom type="box" size=".3 .05 .3" rgba="0 0 1 1" pos="0.3 -.9 .7"/>'
    still = '<site type="box" size="2 .1 2" rgba="1 1 0 1" pos="0 1 0"/>'
    bodies = [green.format(geom) + red.format(site) for geom, site in pairs]
    image = _drawn(grid(bodies, more=wall + still))[1][0].numpy()
    middles = [cell(image, number) for number in range(4)]
    shown = [tuple((each[:, 7, 7] > 0.2).tolist()) for each in middles]
    assert shown == [(False, True, False), (True, False, False), (False, False, True), (True, True, False)]


def test_culling_loses_no_site(monkeypatch):
    renderer, culled, states = _drawn(grid(_SITES), poses=12)
    monkeypatch.setattr(
        scene, "covered", lambda corners, view, *, height, width: np.ones((len(corners), height, width), bool)
    )
    assert torch.equal(culled, renderer.render(states))


def test_threads_and_chunks_change_no_site():
    _, images, states = _drawn(grid(_SITES), poses=7)
    model = task_of(grid(_SITES)).compile()
    for threads, chunk in ((1, 64), (2, 3), (1, 1)):
        renderer = RaycastRenderer(model, height=64, width=64, threads=threads, chunk=chunk)
        assert torch.equal(images, renderer.render(states))
        assert torch.equal(images, renderer.render(states)), "an earlier call left a trace"


def _drawn(xml: str, *, poses: int = 1) -> tuple[RaycastRenderer, torch.Tensor, np.ndarray]:
    """Return a renderer of a model, its images of random poses (the first at rest), and their states."""
    model = task_of(xml).compile()
    renderer, rng = RaycastRenderer(model, height=64, width=64), np.random.default_rng(0)
    states = [state_of(model)]
    while len(states) < poses:
        states.append(state_of(model, lambda data: data.qpos.__iadd__(0.2 * rng.standard_normal(model.nq))))
    stacked = np.stack(states)
    return renderer, renderer.render(stacked), stacked
