"""Threads wait passively where nothing else is set, and doctor reports what is in force."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from corrwise._process import POLICIES, wait_passively, waits
from corrwise.experiments.cli.doctor import threads


@pytest.fixture
def silent(monkeypatch):
    for name in POLICIES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "torch")
    return monkeypatch


def test_nothing_set_means_passive(silent):
    assert wait_passively()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert not wait_passively(), "and only once"
    silent.delenv("OMP_WAIT_POLICY")


@pytest.mark.parametrize("name", POLICIES)
def test_what_the_user_has_set_stands(silent, name):
    silent.setenv(name, "7")
    assert not wait_passively()
    assert {each: os.environ.get(each) for each in POLICIES} == {**dict.fromkeys(POLICIES), name: "7"}


def test_nothing_is_set_once_torch_is_there(silent):
    silent.setitem(sys.modules, "torch", None)
    assert not wait_passively()
    assert waits() == (False, "")


@pytest.mark.parametrize(
    ("variables", "works", "words"),
    [
        ({}, False, "spin while they wait (nothing is set)"),
        ({"OMP_WAIT_POLICY": "passive"}, True, "wait passively (OMP_WAIT_POLICY=passive, set by you)"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, False, "spin while they wait (OMP_WAIT_POLICY=ACTIVE, set by you)"),
        ({"GOMP_SPINCOUNT": "0"}, True, "wait passively (GOMP_SPINCOUNT=0, set by you)"),
        ({"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "9"}, False, "GOMP_SPINCOUNT=9, set by you"),
    ],
)
def test_doctor_reports_what_is_in_force(silent, variables, works, words):
    for name, value in variables.items():
        silent.setenv(name, value)
    finding = threads(set_here=False)
    assert finding.works == works
    assert words in finding.message
    silent.setenv("OMP_WAIT_POLICY", "PASSIVE")
    silent.delenv("GOMP_SPINCOUNT", raising=False)
    assert "set by corrwise" in threads(set_here=True).message


def test_the_command_line_sets_it_before_torch_is_loaded_and_importing_sets_nothing():
    plain = {name: value for name, value in os.environ.items() if name not in POLICIES}
    script = (
        "import os\nbefore = dict(os.environ)\nfrom corrwise.experiments.cli import main\nimport corrwise.mpc.config\n"
        "assert dict(os.environ) == before\nmain(['report', '/nowhere'])\nimport torch"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env={**plain, "OMP_DISPLAY_ENV": "verbose"}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    if "OMP_WAIT_POLICY" not in done.stderr:
        pytest.skip("this torch's OpenMP does not show its settings")
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in done.stderr


def test_the_tests_themselves_wait_passively_or_as_asked():
    assert any(name in os.environ for name in POLICIES)
