"""Clips of a task: what the simulator shows, in shards that a killed run leaves whole."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from corrwise.envs import TASKS, Fleet, MujocoSimulator
from corrwise.envs.arrays import to_uint8
from corrwise.experiments import cli
from corrwise.experiments.cli.collect import BEHAVIOUR_NAMES, CollectConfig
from corrwise.experiments.runs.collect import BEHAVIOURS, run_collect
from corrwise.predictors.data import ClipFolder, read_shard

TINY = CollectConfig(episodes=12, steps=5, size=16, behaviours=("random", "coloured"))


def _clips(folder):
    return [clip for file in sorted(folder.glob("shard-*.h5")) for clip in read_shard(file)]


def _same(one, two):
    return all(
        np.array_equal(a, b) for a, b in zip((one.frames, one.actions), (two.frames, two.actions), strict=True)
    ) and np.array_equal(one.states, two.states)


def test_behaviours_are_those_of_the_options():
    assert tuple(BEHAVIOURS) == BEHAVIOUR_NAMES


@pytest.mark.parametrize("task", TASKS)
def test_a_clip_is_what_the_environment_shows(tmp_path, task):
    run_collect(replace(TINY, out=tmp_path, task=task, episodes=2, steps=3))
    simulator = MujocoSimulator(TASKS[task], size=16)
    for clip, behaviour in zip(_clips(tmp_path), TINY.behaviours, strict=True):
        assert clip.about["behaviour"] == behaviour
        assert np.abs(clip.actions).max() <= 1
        fleet = Fleet(simulator)
        fleet.begin(clip.states[:1], clip.states[:1], [clip.about["seed"]])
        for t, action in enumerate(clip.actions):
            np.testing.assert_array_equal(clip.frames[t], to_uint8(fleet.context.frames[0, -1]))
            fleet.step(torch.from_numpy(action)[None])
            np.testing.assert_array_equal(clip.states[t + 1], fleet.snapshot()[0])
        np.testing.assert_array_equal(clip.frames[-1], to_uint8(fleet.context.frames[0, -1]))


def test_a_planner_may_act(tmp_path):
    run_collect(replace(TINY, out=tmp_path, episodes=1, behaviours=("mpc",), cost="l1", steps=2))
    (clip,) = _clips(tmp_path)
    assert (clip.about["behaviour"], clip.frames.shape) == ("mpc", (3, 16, 16, 3))
    assert np.abs(clip.actions).max() <= 1


def test_a_killed_run_goes_on_with_the_same_clips(tmp_path):
    run_collect(replace(TINY, out=tmp_path / "whole", threads=1))
    parts = tmp_path / "parts"
    run_collect(replace(TINY, out=parts, episodes=7))
    (parts / "shard-00001.h5").write_bytes(b"torn")
    first = (parts / "shard-00000.h5").stat().st_mtime_ns
    run_collect(replace(TINY, out=parts))
    again = (parts / "shard-00000.h5").stat().st_mtime_ns
    assert again > first, "seven episodes became ten"
    run_collect(replace(TINY, out=parts))
    assert (parts / "shard-00000.h5").stat().st_mtime_ns == again, "what is there is not made anew"
    run_collect(replace(TINY, out=parts, episodes=3))
    assert ClipFolder(parts).lengths == [6] * 12, "fewer take none away"
    assert all(_same(a, b) for a, b in zip(_clips(tmp_path / "whole"), _clips(parts), strict=True))
    index = json.loads((parts / "index.json").read_text())
    assert [shard["episodes"] for shard in index["shards"].values()] == [list(range(10)), [10, 11]]
    assert ClipFolder(parts).about["versions"]["mujoco"]


def test_a_clip_ends_where_physics_breaks_down(tmp_path, monkeypatch):
    def broken(config, simulator, seeds, steps):
        states, actions = BEHAVIOURS["coloured"](config, simulator, seeds, steps)
        states[:, 3:] = np.nan
        return states, actions

    monkeypatch.setitem(BEHAVIOURS, "random", broken)
    run_collect(replace(TINY, out=tmp_path, episodes=2))
    assert ClipFolder(tmp_path).lengths == [3, 6]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "cat"], "unknown task 'cat'"),
        (["--behaviours", "sleep"], "unknown behaviour 'sleep'; there are random, coloured, mpc"),
        (["--episodes", "0"], "episodes must be at least 1, got 0"),
        (["--size", "4"], "size must be at least 16 pixels, got 4"),
        (["--task", "nowhere.py:T"], "expected a Python file with a task"),
    ],
)
def test_bad_options_are_one_sentence(tmp_path, capsys, arguments, message):
    assert cli.main(["collect", "--out", str(tmp_path / "x"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_a_folder_of_other_clips_is_refused(tmp_path, capsys):
    words = ["collect", "--out", str(tmp_path), "--episodes", "1", "--steps", "2", "--size", "16"]
    assert cli.main(words) == 0
    assert cli.main([*words, "--size", "24"]) == 2
    assert "choose another output folder" in capsys.readouterr().err
    assert ClipFolder(tmp_path).size == (16, 16)
