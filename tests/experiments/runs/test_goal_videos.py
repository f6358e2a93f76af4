"""Key frames on the way to a goal, the video made from them, and plans that follow it."""

import numpy as np
import pytest
import torch

from corrwise.costs.flow.networks import network_hash
from corrwise.envs import TASKS, Fleet, MujocoSimulator
from corrwise.envs.tasks.goals import sample_episode, sample_path
from corrwise.experiments import cli
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs.goal_videos import key_frames
from corrwise.experiments.runs.mpc import mpc_settings
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.runs.settings import fingerprint
from corrwise.experiments.studies.goal_videos import arms_table
from corrwise.predictors.interpolation import HalfFlow
from corrwise.predictors.interpolation.registry import make_interpolation_model
from corrwise.predictors.models.pretrained import weights_hash
from corrwise.validation import ConfigError

SMALL = {"size": 32, "candidates": 6, "iterations": 1, "horizon": 3, "costs": ("l1",), "videos": False}


@pytest.fixture(scope="module")
def simulators():
    return {name: MujocoSimulator(TASKS[name], size=32) for name in ("cartpole", "ant", "humanoid")}


def _key_frames(simulator, **options):
    """Return the key frames of episodes 0 and 1."""
    context, goal = Fleet(simulator).reset([0, 1])
    return key_frames(MPCConfig(**options, **SMALL), simulator, [0, 1], context.frames[:, -1], goal.frames[:, -1])


@pytest.mark.parametrize("task", ["cartpole", "ant", "humanoid"])
def test_the_hidden_path_leads_from_the_start_to_the_goal_of_the_episode(simulators, task):
    physics = simulators[task].physics
    for seed in (0, 3):
        start, goal = sample_episode(TASKS[task], physics, np.random.default_rng(seed))
        path = sample_path(TASKS[task], physics, np.random.default_rng(seed))
        assert np.array_equal(path[0], start)
        assert np.array_equal(path[-1], goal)
        assert len(path) - 1 <= TASKS[task].goal.max_steps


def test_key_frames_are_at_their_times_in_the_video_which_then_stands_still(simulators):
    simulator = simulators["cartpole"]
    keys = _key_frames(simulator, goal_frames=4, interpolator="blend")
    frames = keys.goal.frames
    for i in range(2):
        assert len(keys.times[i]) == 4
        for time, state in zip(keys.times[i], keys.states[i], strict=True):
            torch.testing.assert_close(frames[i, time - 1], simulator.render(state[None])[0])
        assert (frames[i, keys.times[i][-1] - 1 :] == frames[i, -1]).all()
    _, goal = Fleet(simulator).reset([0, 1])
    torch.testing.assert_close(frames[:, -1], goal.frames[:, -1])


def test_controls_are_goals_of_the_same_key_frames(simulators):
    simulator = simulators["cartpole"]
    keys = {name: _key_frames(simulator, goal_frames=3, interpolator=name) for name in ("last", "next", "true")}
    for name, each in keys.items():
        assert each.times == keys["true"].times
        assert all(map(np.array_equal, each.states, keys["true"].states)), name
    for i, times in enumerate(keys["true"].times):
        path = sample_path(simulator.task, simulator.physics, np.random.default_rng(i))
        torch.testing.assert_close(keys["true"].goal.frames[i, : times[-1]], simulator.render(path[1:]))
        assert torch.equal(keys["last"].goal.frames[i, 0], keys["true"].goal.frames[i, -1])
        shown = keys["next"].goal.frames[i]
        assert len(shown) == max(each[-1] for each in keys["true"].times)
        for before, time in zip((0, *times), times, strict=False):
            assert (shown[before:time] == keys["true"].goal.frames[i, time - 1]).all(), "each until its time"
    assert keys["last"].goal.frames.shape[1] == 1, "an image, not a video"


@pytest.mark.parametrize("interpolator", ["blend", "last", "next", "true"])
def test_no_state_is_drawn_twice(simulators, interpolator, monkeypatch):
    simulator, drawn = simulators["cartpole"], []
    render = simulator.renderer.render

    def recorded(states):
        drawn.extend(state.tobytes() for state in states)
        return render(states)

    monkeypatch.setattr(simulator.renderer, "render", recorded)
    _key_frames(simulator, goal_frames=3, interpolator=interpolator)
    assert len(drawn) == len(set(drawn))


def test_rows_have_the_distance_to_each_key_frame_and_do_not_depend_on_the_lockstep(tmp_path):
    words = ["mpc", "--costs", "l1", "--goal-frames", "3", "--interpolator", "blend", "--aggregate", "mean", "--steps",
             "40", "--episodes", "2", "--size", "32", "--candidates", "4", "--iterations", "1", "--horizon", "2",
             "--no-videos"]  # fmt: skip
    rows = []
    for lockstep in ("1", "2"):
        assert cli.main([*words, "--lockstep", lockstep, "--out", str(tmp_path / lockstep)]) == 0
        rows.append(sorted(read_rows(tmp_path / lockstep / "rows.jsonl"), key=lambda row: row["seed"]))
    for one, two in zip(*rows, strict=True):
        assert one["distances"] == two["distances"]
        assert one["key_distances"] == two["key_distances"]
        assert len(one["key_distances"]) == 3
        assert one["key_distances"][-1] in one["distances"]


def test_an_episode_that_ends_before_the_first_key_frame_has_none(tmp_path):
    words = ["mpc", "--costs", "l1", "--goal-frames", "1", "--steps", "2", "--episodes", "1", "--size", "32",
             "--candidates", "2", "--iterations", "1", "--horizon", "1", "--no-videos"]  # fmt: skip
    assert cli.main([*words, "--out", str(tmp_path)]) == 0
    rows = read_rows(tmp_path / "rows.jsonl")
    assert [row["key_distances"] for row in rows] == [[]]
    assert "nan" in arms_table({"half-flow": rows})


def test_a_goal_video_changes_what_is_planned(tmp_path):
    words = ["mpc", "--costs", "l1", "--aggregate", "mean", "--steps", "6", "--episodes", "1", "--size", "32",
             "--candidates", "16", "--iterations", "2", "--horizon", "4", "--no-videos"]  # fmt: skip
    distances = []
    for name, more in (("image", []), ("video", ["--goal-frames", "6"])):
        assert cli.main([*words, *more, "--out", str(tmp_path / name)]) == 0
        distances.append(read_rows(tmp_path / name / "rows.jsonl")[0]["distances"])
    assert distances[0][0] == distances[1][0]
    assert distances[0] != distances[1]


def test_settings_state_the_network_behind_half_flow():
    settings = mpc_settings(MPCConfig(goal_frames=2, interpolator="half-flow", **SMALL))
    assert settings["interpolator_network"] == network_hash(HalfFlow().flow)
    for options in ({}, {"goal_frames": 2, "interpolator": "blend"}, {"goal_frames": 2, "interpolator": "next"}):
        assert "interpolator_network" not in mpc_settings(MPCConfig(**SMALL, **options))


def test_a_trained_interpolator_or_one_with_options_makes_the_goal_video(simulators, tmp_path):
    model = make_interpolation_model("flavr", width=8, blocks=1).eval()
    model.save_pretrained(tmp_path / "flavr" / "model")
    trained = {"goal_frames": 2, "interpolator": str(tmp_path / "flavr")}
    keys, blend = (
        _key_frames(simulators["cartpole"], **each) for each in (trained, {**trained, "interpolator": "blend"})
    )
    assert keys.times == blend.times
    for i, times in enumerate(keys.times):
        key = [time - 1 for time in times]
        assert torch.equal(keys.goal.frames[i, key], blend.goal.frames[i, key])
        assert not torch.equal(keys.goal.frames[i], blend.goal.frames[i])
    settings = mpc_settings(MPCConfig(**trained, **SMALL))
    assert settings["interpolator_network"] == weights_hash(tmp_path / "flavr" / "model")
    (tmp_path / "flavr").rename(tmp_path / "moved")
    moved = mpc_settings(MPCConfig(**{**trained, "interpolator": str(tmp_path / "moved" / "model")}, **SMALL))
    assert fingerprint(settings) != fingerprint(moved), "the folder's name is that of the run"
    zero = mpc_settings(MPCConfig(goal_frames=2, interpolator="half-flow:flow=zero", **SMALL))
    assert "interpolator_network" not in zero


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"goal_frames": -1}, "goal_frames must be zero or above"),
        ({"goal_frames": 2, "costs": ("l1", "state")}, "0 for cost state"),
        ({"goal_frames": 2, "interpolator": "flavour"}, "flavour"),
        ({"interpolator": "next"}, "interpolator must be left out without --goal-frames, got next"),
        ({"goal_frames": 2, "interpolator": "half-flow:flow"}, "options of half-flow as name=value, got flow"),
    ],
)
def test_bad_input_is_one_sentence(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        MPCConfig(**{**SMALL, **options})
