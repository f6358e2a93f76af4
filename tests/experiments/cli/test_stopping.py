"""Ctrl-C and SIGTERM: one sentence, the exit status of the signal, no process left, and rows that go on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from corrwise._process import interruptions_later, stoppable
from corrwise._writing import only_run
from corrwise.experiments import cli
from corrwise.experiments.runs.grid import KEY
from corrwise.experiments.runs.rows import read_rows

NAMES = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
TABLE = ["table", "mpc", "--tasks", "cartpole", "--lockstep", "1", "--out"]


@pytest.fixture(autouse=True)
def _heeded():
    """Heed both signals, also where these tests were started to ignore them, as a shell's background jobs are."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in NAMES}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def sentence(number):
    return f"corrwise: {NAMES[number]}; the same command continues where it stopped\n"


def _begin(*words):
    """Start a process in a group of its own."""
    return subprocess.Popen(
        [sys.executable, *words],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _alive(group):
    """Return the processes of a group, without those that wait to be collected."""
    pids = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                state, _, its_group = stat.read().rsplit(")", 1)[1].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state != "Z":
            pids.append(int(pid))
    return pids


def _idle(folder):
    """Return the distances of each episode in which nothing is commanded."""
    rows = read_rows(folder / "rows.jsonl", KEY)
    return {row["seed"]: row["distances"] for row in rows if row["method"] == "zero-action"}


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="counts processes in /proc")
def test_ctrl_c_ends_a_table_with_its_workers_and_the_same_folder_goes_on(tmp_path):
    words = [*TABLE, str(tmp_path / "run"), "--methods", "zero-action", "random-action", "state", "--processes", "2"]
    run = _begin("-m", "corrwise", *words)
    while not read_rows(tmp_path / "run" / "rows.jsonl", KEY) and run.poll() is None:
        time.sleep(0.05)
    assert len(_alive(run.pid)) >= 3, "the command and two workers"
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does
    printed = run.communicate()[1]
    assert run.returncode == 130
    assert printed.endswith("\n" + sentence(signal.SIGINT)), "on a line of its own, below the bar"
    beside = re.sub(r".*\d+%\|.*\n", "", printed).strip() + "\n"
    assert beside == sentence(signal.SIGINT), "nothing but the bar and one sentence"
    while _alive(run.pid):  # what shares pipes with the workers ends after them
        time.sleep(0.05)
    rows = tmp_path / "run" / "rows.jsonl"
    assert rows.read_bytes().endswith(b"\n")
    with only_run(tmp_path / "run"):
        pass
    few = ["--methods", "zero-action", "--episodes", "3", "--processes", "1"]
    assert cli.main([*TABLE, str(tmp_path / "run"), *few]) == 0
    assert cli.main([*TABLE, str(tmp_path / "whole"), *few]) == 0
    kept, whole = (_idle(tmp_path / name) for name in ("run", "whole"))
    assert len(whole) == 3
    assert {seed: kept[seed] for seed in whole} == whole


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_sentence_and_its_exit_status(number, monkeypatch, capsys):
    def work(config):
        signal.raise_signal(number)

    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr("corrwise.experiments.report.page.run_report", work)
    assert cli.main(["report", "nowhere"]) == 128 + number
    assert capsys.readouterr().err == sentence(number)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_second_signal_does_not_disturb_the_end(monkeypatch, capsys):
    cleaned = []

    def work(config):
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            cleaned.append(True)

    monkeypatch.setattr("corrwise.experiments.report.page.run_report", work)
    assert cli.main(["report", "nowhere"]) == 130
    assert cleaned
    assert capsys.readouterr().err == sentence(signal.SIGINT)


def test_an_interruption_that_became_another_error_is_one_still(monkeypatch, capsys):
    def work(config):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            raise ImportError("a library that was interrupted while it loads") from error

    monkeypatch.setattr("corrwise.experiments.report.page.run_report", work)
    assert cli.main(["report", "nowhere"]) == 130
    assert capsys.readouterr().err == sentence(signal.SIGINT)


def test_signals_that_are_ignored_stay_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with stoppable() as stop:
            signal.raise_signal(signal.SIGTERM)
        assert stop.number is None
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_command_in_a_thread_leaves_the_signals_alone():
    stops = []

    def run():
        with stoppable() as stop, interruptions_later():
            stops.append(stop.number)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert stops == [None]


def test_a_signal_waits_until_processes_have_started():
    started = []

    def start():
        with interruptions_later():
            signal.raise_signal(signal.SIGTERM)
            started.append(True)
        started.append("not reached")

    with stoppable() as stop, pytest.raises(KeyboardInterrupt):
        start()
    assert started == [True]
    assert stop.number == signal.SIGTERM


def test_an_interruption_of_the_imports_prints_nothing_else():
    script = (
        "import signal, sys\nfrom importlib.abc import MetaPathFinder\n"
        "class Interrupts(MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'tyro': signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupts())\nsys.argv[1:] = ['doctor']\n"
        "from corrwise.__main__ import run\nrun()\n"
    )
    run = _begin("-c", script)
    assert run.communicate()[1] == sentence(signal.SIGINT)
    assert run.returncode == 130


def test_a_program_that_cannot_stop_is_stopped():
    script = (
        "import sys, time\nfrom corrwise import _process as stopping\nstopping._PATIENCE = 0.1\n"
        "from corrwise.experiments.report import page\n"
        "def work(config):\n"
        "    print('begun', flush=True, file=sys.stderr)\n"
        "    while True:\n"
        "        try: time.sleep(3600)\n"
        "        except BaseException: pass\n"
        "page.run_report = work\nsys.argv[1:] = ['report', 'nowhere']\n"
        "from corrwise.__main__ import run\nrun()\n"
    )
    run = _begin("-c", script)
    assert run.stderr.readline() == "begun\n"
    os.kill(run.pid, signal.SIGTERM)
    assert run.communicate()[1].strip() + "\n" == sentence(signal.SIGTERM)
    assert run.returncode == 143
