"""The run itself: complete rows, the same rows however it is cut up, and nothing lost when it is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from corrwise.costs import PRESETS, CostSpec
from corrwise.costs.flow import FLOWS
from corrwise.costs.flow.learned.net import FlowNet, FlowNetConfig
from corrwise.costs.flow.learned.net_file import save_net
from corrwise.envs.arrays import from_uint8
from corrwise.experiments import cli
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs.distances import make_distance
from corrwise.experiments.runs.episodes import EpisodeRunner
from corrwise.experiments.runs.mpc import mpc_settings, run_mpc
from corrwise.experiments.runs.rows import read_rows, row_key
from corrwise.experiments.runs.settings import ConfigMismatch, differences
from corrwise.validation import ConfigError

TINY = MPCConfig(
    costs=("l1", "corr-l1"), episodes=3, seed=5, steps=3, horizon=3, candidates=4, iterations=2, size=16, lockstep=2
)
KEYS = {
    *("task", "cost", "planner", "predictor", "seed", "steps", "seconds", "seconds_plan", "rejected", "versions"),
    *(f"{which}_distance{kind}" for which in ("start", "min", "final") for kind in ("", "_full")),
    *("last10_distance", "distances", "residual", "displacement_px", "occluded"),
}


def rows_without_times(folder):
    rows = read_rows(folder / "rows.jsonl")
    kept = [{k: v for k, v in row.items() if not k.startswith("seconds")} for row in rows]
    return {row_key(row): row for row in kept}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    run_mpc(replace(TINY, out=out))
    return out


def test_a_run_leaves_rows_images_videos_and_a_report(whole):
    rows = read_rows(whole / "rows.jsonl")
    assert len(rows) == 6
    for row in rows:
        assert set(row) >= KEYS
        assert row["steps"] == 3
        assert len(row["distances"]) == 4
        assert row["min_distance"] == min(row["distances"])
        assert (row["start_distance"], row["final_distance"]) == (row["distances"][0], row["distances"][-1])
        assert row["min_distance"] <= row["min_distance_full"]
        assert row["seconds"] == pytest.approx(sum(v for k, v in row.items() if k.startswith("seconds_")))
        assert (whole / row["strip"]).stat().st_size > 0
        assert (whole / row["video"]).stat().st_size > 0
    assert sorted({row["seed"] for row in rows}) == [5, 6, 7]
    starts = {(row["cost"], row["seed"]): row["start_distance"] for row in rows}
    assert all(starts["l1", seed] == starts["corr-l1", seed] for seed in (5, 6, 7)), "the same starts for every cost"
    assert json.loads((whole / "config.json").read_text())["horizon"] == 3
    assert "corr-l1" in (whole / "report.html").read_text()


def test_rows_state_what_a_correspondence_wise_cost_was_made_of(whole):
    for row in read_rows(whole / "rows.jsonl"):
        parts = row["residual"], row["displacement_px"], row["occluded"]
        if row["cost"] == "l1":
            assert parts == (None, None, None)
        else:
            assert 0 < parts[0] < 2
            assert 0 <= parts[1] < 16 * 2**0.5, "no match is farther than the image is wide"
            assert 0 <= parts[2] <= 1


def test_the_terms_are_those_of_the_planned_frame_and_the_goal():
    (episode,) = EpisodeRunner(replace(TINY, steps=2, size=32), "recommended")([5])
    assert [len(values) for values in episode.terms.values()] == [2, 2, 2]
    frame, goal = (from_uint8(episode.panels[name][1][None]) for name in ("predicted", "goal"))
    terms = make_distance("recommended").terms(frame, goal)
    assert terms.displacement > 0
    assert episode.terms["residual"][1] == pytest.approx(float(terms.residual))
    assert episode.terms["displacement_px"][1] == pytest.approx(float(terms.displacement))
    assert episode.terms["occluded"][1] == pytest.approx(float(terms.occluded))


def test_a_broken_frame_has_no_terms(monkeypatch):
    monkeypatch.setattr(
        "corrwise.experiments.runs.shown._after",
        lambda predictor, context, plan: torch.full_like(context.frames[:, -1], float("nan")),
    )
    (episode,) = EpisodeRunner(replace(TINY, steps=1), "corr-l1")([5])
    assert all(np.isnan(values).all() for values in episode.terms.values())


def test_the_numbers_that_the_flow_chose_are_written_down(whole):
    written = json.loads((whole / "config.json").read_text())["made_of"]
    assert written == {"l1": {"base": "l1"}, "corr-l1": CostSpec.parse("corr-l1").settings()}
    assert written["corr-l1"]["epsilon"] == PRESETS["learned"].scaling


def test_other_weights_are_another_run(tmp_path):
    net = FlowNet(FlowNetConfig(fine=4, coarse=8, width=16, heads=2, hidden=4))
    weights = tmp_path / "net.safetensors"
    save_net(net, weights)
    cost = f"corr-l1:weights={weights}"
    config = replace(TINY, costs=(cost,), episodes=1, steps=1, out=tmp_path / "run", videos=False)
    run_mpc(config)
    run_mpc(config)
    with torch.no_grad():
        net.embed.bias += 1
    save_net(net, weights)
    with pytest.raises(ConfigMismatch, match="made with network"):
        run_mpc(config)


def test_lockstep_and_order_never_change_a_row(whole, tmp_path):
    run_mpc(replace(TINY, out=tmp_path, lockstep=1, costs=("corr-l1", "l1")))
    assert rows_without_times(tmp_path) == rows_without_times(whole)


def test_memory_never_changes_a_row_but_of_a_network(tmp_path):
    matched = replace(TINY, costs=("corr-l1:flow=all-pairs",), episodes=2)
    run_mpc(replace(matched, out=tmp_path / "much"))
    run_mpc(replace(matched, out=tmp_path / "little", max_frames=2))
    assert rows_without_times(tmp_path / "much") == rows_without_times(tmp_path / "little")


def test_a_second_run_adds_nothing_and_more_episodes_only_what_is_missing(whole, tmp_path):
    config = replace(TINY, out=tmp_path, episodes=2, videos=False)
    run_mpc(config)
    before = (tmp_path / "rows.jsonl").read_bytes()
    run_mpc(config)
    assert (tmp_path / "rows.jsonl").read_bytes() == before
    run_mpc(replace(config, episodes=3))
    assert (tmp_path / "rows.jsonl").read_bytes().startswith(before)
    result, wanted = rows_without_times(tmp_path), rows_without_times(whole)
    assert {key: {**row, "video": None} for key, row in wanted.items()} == result


def test_a_folder_that_was_moved_is_still_the_same_run(tmp_path):
    config = replace(TINY, out=tmp_path / "here", costs=("zero-action",), videos=False)
    run_mpc(config)
    assert str(tmp_path) not in (config.out / "config.json").read_text()
    moved = config.out.rename(tmp_path / "there")
    before = (moved / "rows.jsonl").read_bytes()
    run_mpc(replace(config, out=moved))
    assert (moved / "rows.jsonl").read_bytes() == before


def test_a_torn_last_row_is_run_again(whole, tmp_path):
    config = replace(TINY, out=tmp_path, costs=("l1",))
    run_mpc(config)
    rows = tmp_path / "rows.jsonl"
    data = rows.read_bytes()
    rows.write_bytes(data[:-40])
    run_mpc(config)
    assert rows_without_times(tmp_path) == {k: v for k, v in rows_without_times(whole).items() if k[1] == "l1"}


def test_kill_dash_nine_and_the_same_command_give_the_same_rows(whole, tmp_path):
    argv = "--costs l1 corr-l1 --episodes 3 --seed 5 --steps 3 --horizon 3 --candidates 4 --iterations 2 --size 16"
    words = ["mpc", *argv.split(), "--lockstep", "1", "--out", str(tmp_path)]
    script = (
        "import os, signal, sys\nfrom corrwise.experiments.runs import folder\nkept, append = [], folder.append_row\n"
        "def killed(path, row):\n"
        "    if len(kept) == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    append(path, row)\n"
        "    kept.append(row)\n"
        "folder.append_row = killed\nfrom corrwise.experiments.cli import main\nmain(sys.argv[1:])"
    )
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(rows_without_times(tmp_path)) == 2, "the run was killed in its middle"
    assert cli.main(words) == 0
    assert rows_without_times(tmp_path) == rows_without_times(whole)


def test_the_same_seed_is_the_same_episode_alone_or_in_company():
    config = replace(TINY, task="ant", aggregate="sum")
    together = EpisodeRunner(config, "corr-l1:form=reg")([3, 4])
    alone = [EpisodeRunner(config, "corr-l1:form=reg")([seed])[0] for seed in (3, 4)]
    for a, b in zip(together, alone, strict=True):
        assert a.distances == b.distances
        assert all(
            np.array_equal(x, y) for name in a.panels for x, y in zip(a.panels[name], b.panels[name], strict=True)
        )


@pytest.mark.parametrize(
    "cost",
    [
        "zero-action",
        "random-action",
        "state",
        "exact-flow",
        "exact-flow-squared",
        "ssim",
        "corr-mse:form=both",
        "recommended",
    ],
)
def test_every_kind_of_policy_runs_on_every_body(cost):
    for task in ("cartpole", "ant", "humanoid"):
        config = replace(TINY, task=task, steps=1, iterations=1, size=32)
        (episode,) = EpisodeRunner(config, cost)([0])
        assert np.isfinite(episode.distances).all()
        assert [len(images) for images in episode.panels.values()] == [2] * 4, "one before each step, and the last"


def test_planning_on_the_true_state_beats_doing_nothing():
    config = replace(TINY, steps=40, horizon=12, candidates=32)
    seeds = [0, 1, 2, 3]
    planned, idle = (EpisodeRunner(config, cost, images=False)(seeds) for cost in ("state", "zero-action"))
    nearest = [np.mean([min(episode.distances) for episode in episodes]) for episodes in (planned, idle)]
    assert nearest[0] < 0.5 * nearest[1]


def test_a_flow_that_breaks_stops_the_run_with_a_sentence(monkeypatch):
    class Broken:
        def __call__(self, target, source):
            return torch.zeros(1, 3)

    monkeypatch.setitem(FLOWS, "learned", Broken)
    with pytest.raises(ValueError, match="to return"):
        EpisodeRunner(TINY, "corr-l1")([0])


def test_views_and_depth_are_planned_on_and_shown(tmp_path):
    config = replace(
        TINY, task="ant", costs=("l1", "corr-l1", "exact-flow"), episodes=1, steps=2, candidates=2, iterations=1,
        cameras=("main", "side"), depth=True, videos=False, out=tmp_path / "both",
    )  # fmt: skip
    run_mpc(config)
    rows = read_rows(tmp_path / "both" / "rows.jsonl")
    names = ("", " side", " depth", " side depth")
    assert rows[1]["panels"] == [
        *(f"{panel}{name}" for panel in ("goal", "seen", "predicted") for name in names), "flow", "flow side"
    ]  # fmt: skip
    assert all((row["cameras"], row["depth"]) == (["main", "side"], True) for row in rows)
    assert rows[1]["residual"] > 0
    assert "seen side depth" in (tmp_path / "both" / "report.html").read_text()
    with pytest.raises(ConfigMismatch, match=r"depth_weight is 1\.0 there and 2"):
        run_mpc(replace(config, depth_weight=2.0))
    frozen = differences(mpc_settings(TINY))
    assert not {"cameras", "depth", "depth_weight", "depth_scale"} & frozen.keys(), "rows of before would be orphaned"


def test_a_second_view_and_depth_change_what_is_planned():
    plain, two, deep = (
        EpisodeRunner(replace(TINY, task="ant", candidates=8, **options), "l1")([5])[0].distances
        for options in ({}, {"cameras": ("main", "side")}, {"depth": True})
    )
    assert plain != two
    assert plain != deep


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cameras": ("main", "main")}, "cameras must be different names, got main main"),
        ({"cameras": ()}, "cameras must be different names, got"),
        ({"depth_weight": -1.0}, "depth_weight must be zero or above, got -1"),
        ({"depth_scale": 0.0}, "depth_scale must be above zero and finite, got 0"),
    ],
)
def test_views_that_make_no_run_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        replace(TINY, **options)


OWN = """
from corrwise.costs import CorrespondenceWise, l1
from corrwise.costs.flow import ZeroFlow

WEIGHT = 2.0

def weighted(x, y):
    return WEIGHT * l1(x, y)

def matched():
    return CorrespondenceWise(weighted, ZeroFlow())

READY = matched()
NUMBER = 3

def broken():
    return None
"""


def test_user_costs_by_name(tmp_path):
    file = tmp_path / "my_costs.py"
    file.write_text(OWN)
    costs = (*(f"{file}:{name}" for name in ("weighted", "matched", "READY")), "l1")
    config = replace(TINY, costs=costs, episodes=1, steps=1, out=tmp_path / "run", videos=False)
    run_mpc(config)
    rows = {row["cost"]: row for row in read_rows(tmp_path / "run" / "rows.jsonl")}
    assert set(rows) == {"weighted", "matched", "READY", "l1"}
    assert rows["weighted"]["distances"] == rows["l1"]["distances"], "twice a cost ranks alike"
    assert rows["matched"]["residual"] == rows["READY"]["residual"] > 0
    assert rows["matched"]["seconds_flow"] > 0
    file.write_text(OWN + "# a comment\n")
    run_mpc(config)
    assert len(read_rows(tmp_path / "run" / "rows.jsonl")) == 4
    file.write_text(OWN.replace("2.0", "3.0"))
    with pytest.raises(ConfigMismatch, match=r"made_of\.weighted\.source is .* there and .* here"):
        run_mpc(config)


@pytest.mark.parametrize(
    ("cost", "sentence"),
    [
        ("my_costs.py:NUMBER", "expected a distance, or a function without arguments that makes one, named 'NUMBER'"),
        ("my_costs.py:broken", "expected a function that makes a distance of two images as .*, got one that made None"),
        ("nowhere.py:x", "got '.*nowhere.py' which is no file"),
    ],
)  # fmt: skip
def test_what_is_no_user_cost_is_refused(cost, sentence, tmp_path):
    (tmp_path / "my_costs.py").write_text(OWN)
    with pytest.raises(ValueError, match=sentence):
        run_mpc(replace(TINY, costs=(f"{tmp_path}/{cost}",), out=tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_user_cost_may_not_take_a_name_that_is_built_in():
    with pytest.raises(ConfigError, match=r"cost must be named otherwise than one that is built in, got my\.py:l1"):
        replace(TINY, costs=("my.py:l1",))
    with pytest.raises(ConfigError, match=r"costs must be different from each other, got a\.py:X b\.py:X"):
        replace(TINY, costs=("a.py:X", "b.py:X"))
