"""Methods on episodes: the same rows whatever the workers, nothing twice, nothing of other settings."""

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from corrwise._faults import place_of
from corrwise.envs.tasks.manifest import draw_manifest
from corrwise.experiments import cli
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs import executors
from corrwise.experiments.runs.executors import Local
from corrwise.experiments.runs.grid import KEY, Cell, run_grid
from corrwise.experiments.runs.rows import read_rows
from tests.experiments.runs.workers import cannot_be_sent, dies, fails, fails_second

PLAIN = MPCConfig(size=16, horizon=2, candidates=4, iterations=1, steps=2, costs=("l1",), videos=False)


@pytest.fixture(scope="module")
def episodes():
    return draw_manifest("cartpole", [7, 8, 9])


def _cells(episodes, **changes):
    return [Cell(cost, replace(PLAIN, costs=(cost,), **changes), episodes) for cost in ("l1", "corr-l1", "zero-action")]


def _timeless(rows):
    plain = [{name: value for name, value in row.items() if not name.startswith("seconds")} for row in rows]
    for row in plain:
        row.pop("versions", None)
    return sorted(plain, key=lambda row: (row["method"], row["seed"]))


def test_workers_and_lockstep_change_no_row(tmp_path, episodes):
    alone = run_grid(tmp_path / "one", _cells(episodes), executor=Local(1), lockstep=3)
    shared = run_grid(tmp_path / "two", _cells(episodes), executor=Local(2), lockstep=1)
    assert _timeless(alone) == _timeless(shared)
    assert len(alone) == 9
    assert {row["steps"] for row in alone} == {2}


def test_a_run_goes_on_and_repeats_nothing(tmp_path, episodes, monkeypatch):
    cells = _cells(episodes)
    run_grid(tmp_path, cells[:1], executor=Local(1), lockstep=2)
    (tmp_path / "rows.jsonl").open("a").write('{"task": "cartpole", "meth')
    rows = run_grid(tmp_path, cells, executor=Local(1), lockstep=3)
    kept = read_rows(tmp_path / "rows.jsonl", KEY)
    assert len(rows) == len(kept) == 9
    stated = json.loads((tmp_path / "config.json").read_bytes())
    assert stated["cells"].keys() == {"cartpole/l1", "cartpole/corr-l1", "cartpole/zero-action"}
    assert stated["manifests"] == {"cartpole": episodes.digest}
    monkeypatch.setattr("corrwise.experiments.runs.episodes.EpisodeRunner.__call__", None)
    assert _timeless(run_grid(tmp_path, cells, executor=Local(1), lockstep=3)) == _timeless(rows)


def test_rows_of_episodes_that_are_not_asked_for_are_left_out(tmp_path, episodes):
    cells = _cells(episodes)[:1]
    run_grid(tmp_path, cells, executor=Local(1), lockstep=3)
    few = [replace(cell, manifest=episodes.part(slice(1))) for cell in cells]
    assert [row["seed"] for row in run_grid(tmp_path, few, executor=Local(1), lockstep=3)] == [7]


def test_a_method_that_changed_is_measured_anew(tmp_path, episodes):
    before = run_grid(tmp_path, _cells(episodes)[:1], executor=Local(1), lockstep=3)
    after = run_grid(tmp_path, _cells(episodes, horizon=1)[:1], executor=Local(1), lockstep=3)
    assert {row["settings"] for row in before} != {row["settings"] for row in after}
    assert len(after) == 3
    assert len(read_rows(tmp_path / "rows.jsonl", KEY)) == 6
    again = run_grid(tmp_path, _cells(episodes)[:1], executor=Local(1), lockstep=3)
    assert _timeless(again) == _timeless(before), "rows of the settings at hand are found among others"


def test_the_flow_is_no_setting_of_what_matches_nothing(episodes):
    plain, other = (_cells(episodes, flow=flow) for flow in ("zero", "dis"))
    same = [one.fingerprint == two.fingerprint for one, two in zip(plain, other, strict=True)]
    assert same == [True, False, True]


def test_config_json_tells_of_the_cells_of_all_runs(tmp_path, episodes):
    for cell in _cells(episodes):
        run_grid(tmp_path, [cell], executor=Local(1), lockstep=3)
    stated = json.loads((tmp_path / "config.json").read_text())["cells"]
    assert list(stated) == ["cartpole/l1", "cartpole/corr-l1", "cartpole/zero-action"]


def test_a_job_that_fails_is_reported(tmp_path):
    with pytest.raises(ValueError, match="job 1 cannot be done"):
        list(Local(1)(fails, [1]))


def test_a_job_that_fails_in_a_worker_is_reported_with_its_place_and_costs_no_other(tmp_path):
    given = []
    with pytest.raises(ValueError, match="job 1 cannot be done") as caught:
        given.extend(Local(2)(fails_second, [0, 1]))
    assert given == [0]
    assert re.fullmatch(r".*workers\.py:\d+ in fails_second", place_of(caught.value))
    assert "in fails_second" in str(caught.value.__cause__), "the traceback came along"
    assert not multiprocessing.active_children()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals of a POSIX system")
def test_a_worker_that_is_killed_is_one_sentence(monkeypatch):
    monkeypatch.setattr(executors, "TRIES", 1)
    with pytest.raises(RuntimeError, match="ended abruptly: killed, for lack of memory perhaps, or unable"):
        list(Local(2)(dies, [1, 2]))


def test_a_result_that_cannot_be_sent_is_no_worker_that_was_killed():
    with pytest.raises(TypeError, match="cannot pickle"):
        list(Local(2)(cannot_be_sent, [0, 1]))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals of a POSIX system")
def test_workers_end_with_a_parent_that_was_killed(tmp_path):
    code = (
        "from pathlib import Path; from tests.experiments.runs.workers import waits; "
        "from corrwise.experiments.runs.executors import Local\n"
        f"if __name__ == '__main__': list(Local(2)(waits, [Path({str(tmp_path)!r})] * 2))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    while len(list(tmp_path.iterdir())) < 2 and parent.poll() is None:
        time.sleep(0.1)
    children = [int(path.name) for path in tmp_path.iterdir()]
    assert len(children) == 2
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while any(_alive(child) for child in children):  # they would wait for an hour otherwise
        time.sleep(0.1)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--tasks", "walker"], "unknown task 'walker'; there are cartpole, ant, humanoid, cartpole-short"),
        (["--methods", "l2"], "unknown cost 'l2'; there are l1, mse"),
        (["--methods", "l1", "l1"], "methods must be different from each other, got l1 l1"),
        (["--episodes", "101"], "episodes must be at most 100, got 101"),
        (["--processes", "-1"], "processes must be zero or above, got -1"),
    ],
)
def test_bad_options_are_one_sentence(flags, message, tmp_path, capsys):
    assert cli.main(["table", "mpc", "--out", str(tmp_path / "run"), *flags]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"corrwise: {message}")
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()
