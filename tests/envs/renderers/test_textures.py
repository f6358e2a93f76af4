"""Textures on moving shapes, an option of the task: the faces of an in-hand cube differ."""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
import pytest
import torch

from corrwise.envs import MujocoSimulator, RaycastRenderer, Task
from tests.envs.renderers.drawn import FACES, TURNS, cell, cubes, patterned
from tests.envs.worlds import state_of, task_of


def _task(spec: mujoco.MjSpec, **fields) -> Task:
    return replace(task_of("<mujoco/>"), model=spec.copy, **fields)


def _image(task: Task, size: int = 64, change=lambda data: None) -> torch.Tensor:
    simulator = MujocoSimulator(task, size=size)
    return simulator.render(state_of(simulator.model, change))


def test_each_face_of_a_cube_shows_its_colour():
    image = _image(_task(cubes(), textures=True)).numpy()
    for number, face in enumerate(FACES):
        middle = cell(image, number)[:, 7, 7]
        assert np.abs(middle / middle.max() - face / face.max()).max() < 0.1, f"{TURNS[number]}: {middle}, {face}"
    plain = [cell(_image(_task(cubes())).numpy(), number)[:, 7, 7] for number in range(6)]
    assert np.ptp(plain, axis=0).max() < 0.02, "without the option all faces have the mean colour"


def test_a_distant_pattern_becomes_its_mean():
    spec = patterned(kind="2d", repeat="40 40")
    near, far = (_image(_task(each, textures=True), 32) for each in (patterned(kind="2d"), spec))
    assert near[1].max() > 0.8, "stripes are seen where there are few"
    assert far[1][far[1] > 0].max() < 0.6, "stripes finer than a pixel have their mean colour"


def test_a_mesh_has_its_own_coordinates():
    image = _image(_task(patterned(kind="2d", repeat="1 1", turn="0 0 0"), textures=True)).numpy()
    mesh = cell(image, 6)  # a square that has the first 80 % of the texture's columns
    covered = mesh.max(axis=0) > 0
    blue, green = (mesh[channel] > 0.3 for channel in (2, 1))
    assert covered.sum() > 100
    assert blue.sum() / covered.sum() == pytest.approx(0.25 / 0.8, abs=0.06)
    assert green.sum() / covered.sum() == pytest.approx(0.5, abs=0.06)
    columns = np.nonzero(blue.any(axis=0))[0]
    assert columns.max() < np.nonzero(covered.any(axis=0))[0].mean(), "the first columns are at the left"


def test_textures_need_no_thread_and_no_chunk():
    model = _task(cubes()).compile()
    rng = np.random.default_rng(0)
    states = [state_of(model, lambda data: data.qpos.__iadd__(0.2 * rng.standard_normal(model.nq))) for _ in range(5)]
    images = [
        RaycastRenderer(model, height=32, width=32, textures=True, threads=threads, chunk=chunk).render(
            np.stack(states)
        )
        for threads, chunk in ((1, 64), (2, 2), (1, 1))
    ]
    assert torch.equal(images[0], images[1])
    assert torch.equal(images[0], images[2])
