"""What an image does not show of a body that has turned, and the table of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from corrwise.envs import TASKS, MujocoSimulator
from corrwise.envs.tasks.manifest import frozen_manifest
from tools.planning_tables import turned, turned_table

ORIENTATION, LEGS = slice(4, 8), slice(8, 16)  # of an Ant's state, which begins with time and place
BENDS = np.array([1, -1, -1, 1])  # which way each leg's ankle bends
QUARTER = np.array([np.cos(np.pi / 4), 0, 0, np.sin(np.pi / 4)])


def test_an_ant_turned_by_a_quarter_with_its_legs_renamed_looks_the_same():
    states = frozen_manifest("ant").goals[:3]
    quarter = states.copy()
    quarter[:, ORIENTATION] = [_after(state[ORIENTATION], QUARTER) for state in states]
    hips, ankles = states[:, LEGS].reshape(-1, 4, 2).transpose(2, 0, 1)
    renamed = np.roll(hips, -1, axis=1), np.roll(ankles * BENDS, -1, axis=1) * BENDS
    quarter[:, LEGS] = np.stack(renamed, axis=-1).reshape(-1, 8)
    simulator = MujocoSimulator(TASKS["ant"], size=32)
    same, other = simulator.renderer.render(states), simulator.renderer.render(quarter)
    assert torch.equal(same, other)
    assert (simulator.state_distance(quarter, states) > 1).all()
    alone = states.copy()
    alone[:, ORIENTATION] = quarter[:, ORIENTATION]
    assert not torch.equal(same, simulator.renderer.render(alone))


def test_turns_are_angles_between_start_and_goal():
    manifest = frozen_manifest("humanoid").part(slice(2))
    starts, goals = manifest.starts.copy(), manifest.starts.copy()
    starts[0, ORIENTATION], goals[0, ORIENTATION] = (1, 0, 0, 0), QUARTER
    angles = turned(replace(manifest, starts=starts, goals=goals))
    assert list(angles.values()) == pytest.approx([90.0, 0.0], abs=1e-4)


def test_a_body_that_falls_over_has_not_turned():
    manifest = frozen_manifest("humanoid").part(slice(1))
    starts, goals = manifest.starts.copy(), manifest.starts.copy()
    starts[0, ORIENTATION] = 1, 0, 0, 0
    goals[0, ORIENTATION] = np.sqrt(0.75), 0, 0.5, 0  # pitches by 60 degrees
    assert turned(replace(manifest, starts=starts, goals=goals)) == {10000: pytest.approx(0.0, abs=1e-4)}


def test_the_table_splits_episodes_and_leaves_out_bodies_that_are_not_free():
    seeds = frozen_manifest("ant").seeds.tolist()
    rows = [
        {"task": task, "method": method, "seed": seed, "min_distance": distance, "last10_distance": 2 * distance}
        for task in ("ant", "cartpole")
        for method, distance in (("l1", 2.0), ("recommended", 1.0), ("exact-flow", 0.5), ("state", 0.25))
        for seed in seeds
    ]
    head, _, *lines = turned_table(rows).strip().split("\n")
    assert head.startswith("| task | degrees of yaw | n | distance |")
    cells = [line.strip("| ").split(" | ") for line in lines]
    assert [(cell[0], cell[3]) for cell in cells] == [("ant", "last 10 steps"), ("ant", "nearest")] * 2
    assert sum(int(cell[2]) for cell in cells[::2]) == len(seeds)
    assert all(cell[4:8] == ["4.00", "2.00", "1.00", "0.50"] and cell[8].startswith("2.00") for cell in cells[::2])
    assert all(cell[4:8] == ["2.00", "1.00", "0.50", "0.25"] and cell[8].startswith("2.00") for cell in cells[1::2])


def _after(first: np.ndarray, then: np.ndarray) -> np.ndarray:
    """Return the product of two quaternions: a turn about the body's own axis after the first orientation."""
    w, v = first[0] * then[0] - first[1:] @ then[1:], first[0] * then[1:] + then[0] * first[1:]
    return np.array([w, *(v + np.cross(first[1:], then[1:]))])
