"""The frozen episodes: the same for ever, whole, and of the task as it is."""

import io
from dataclasses import replace

import numpy as np
import pytest

from corrwise.envs import TASKS
from corrwise.envs.tasks import manifest as module
from corrwise.envs.tasks.manifest import draw_manifest, frozen_manifest, save_manifest
from corrwise.envs.tasks.metric import split_state, state_distance

DIGESTS = {
    "cartpole": "d6b8e6ff6fe2c2f33a6bd9117d089f755a12fa26bf79ff1e797a6b6b05c0e1f6",
    "ant": "ac5d41fd8f0d8734baa17ac837db6d8222d4775444bc38d6b6cc65960d4d418f",
    "humanoid": "081b4f2117fb5dc59c3f5e408fa6697f45b14507f7ae18cebcaf67aa52e1e189",
    "cartpole-short": "b74f38570fdfade685b07af3d8fd1b25ab4e515cbaef936a3b3a73b921661f49",
    "cartpole-gusts": "c64e218b4e64a44809c7036a8541d97b14f7f29fa20a12a3a9c8a65694f99f20",
}


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_hundred_frozen_episodes(name):
    manifest, task = frozen_manifest(name), TASKS[name]
    assert manifest.digest == DIGESTS[name], "rows of other episodes cannot be compared with those that are published"
    assert manifest.seeds.tolist() == list(range(10000, 10100))
    assert task.episode_steps >= 30
    distances = state_distance(task.compile(), manifest.starts, manifest.goals)
    assert (distances >= task.goal.min_distance).all(), "a start is at its goal"
    assert len(np.unique(manifest.goals, axis=0)) == 100


def test_they_are_what_their_seeds_draw():
    frozen, drawn = frozen_manifest("cartpole"), draw_manifest("cartpole", [10003])
    model = TASKS["cartpole"].compile()
    for one, other in zip(frozen.chosen([10003]), (drawn.starts, drawn.goals), strict=True):
        # Not to the bit: another release of MuJoCo may round otherwise, and that is why they are frozen.
        assert np.allclose(split_state(model, one)[0], split_state(model, other)[0], atol=1e-4)


def test_a_damaged_file_is_refused(tmp_path, monkeypatch):
    drawn = draw_manifest("cartpole", [0, 1])
    save_manifest(drawn, tmp_path / "cartpole.npz")
    monkeypatch.setattr(module, "_FOLDER", tmp_path)
    assert frozen_manifest.__wrapped__("cartpole").digest == drawn.digest
    with np.load(io.BytesIO((tmp_path / "cartpole.npz").read_bytes())) as saved:
        parts = dict(saved)
    parts["goals"][0, 1] += 1e-9
    np.savez(tmp_path / "cartpole.npz", **parts)
    with pytest.raises(ValueError, match="manifest of cartpole is damaged"):
        frozen_manifest.__wrapped__("cartpole")


def test_a_task_that_changed_is_refused(monkeypatch):
    changed = {**TASKS, "cartpole": replace(TASKS["cartpole"], frame_skip=4)}
    monkeypatch.setattr("corrwise.envs.tasks.manifest.TASKS", changed)
    with pytest.raises(ValueError, match="cartpole has changed since its episodes were frozen"):
        frozen_manifest.__wrapped__("cartpole")
