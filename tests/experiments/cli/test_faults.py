"""What is read of an error: file and line of the user's own code, want of memory, and our own faults in full."""

from __future__ import annotations

import pickle
import runpy

import numpy as np
import pytest
import torch

from corrwise._faults import Failure, described, place_of
from corrwise.experiments import cli
from corrwise.experiments.cli import sentence_of
from corrwise.validation import ConfigError

MINE = (
    "from dataclasses import replace\nfrom corrwise.envs import TASKS\n"
    "class Odd(Exception):\n    def __init__(self, one, two): super().__init__(f'{one}\\n and {two}')\n"
    "def start(model, rng):\n    {body}\n"
    "MINE = replace(TASKS['cartpole'], start=start)\n"
    "NONE = replace(TASKS['cartpole'], start=lambda: None)\n"
)
RUN = ["mpc", "--costs", "l1", "--episodes", "1", "--steps", "1", "--size", "16", "--candidates", "2"]


def _error(file, text):
    file.write_text(text)
    try:
        runpy.run_path(str(file))
    except Exception as error:
        return error
    raise AssertionError("it was meant to fail")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("{}['pose']", "KeyError: 'pose'"),
        ("assert model is None", "AssertionError"),
        ("model.no_such_thing", "AttributeError: "),
        ("raise Odd(1, 2)", "Odd: 1 and 2"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("raise type('Mine', (BaseException,), {})('odd')", "Mine: odd"),
        ("raise type('Mine', (Exception,), {'__str__': lambda self: 1 / 0})", "Mine"),
        ("raise ValueError('a\\x1b[31m\\n\\rb')", "ValueError: a\\x1b[31m b"),
    ],
)
def test_an_error_in_a_task_names_file_and_line(tmp_path, capsys, monkeypatch, body, sentence):
    (tmp_path / "mine.py").write_text(MINE.replace("{body}", body))
    monkeypatch.chdir(tmp_path)
    assert cli.main([*RUN, "--task", "mine.py:MINE", "--out", "out"]) == 2
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith(f"corrwise: mine.py:6 in start: {sentence}")
    assert "Traceback" not in error


def test_a_function_that_cannot_be_called_is_one_sentence(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(MINE.replace("{body}", "pass"))
    assert cli.main([*RUN, "--task", f"{tmp_path}/mine.py:NONE", "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "TypeError: <lambda>() takes 0 positional arguments but 2 were given" in error
    assert "Traceback" not in error


def test_want_of_memory_in_a_task_names_file_and_line(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(MINE.replace("{body}", "raise MemoryError"))
    assert cli.main([*RUN, "--task", f"{tmp_path}/mine.py:MINE", "--out", str(tmp_path / "out")]) == 2
    assert f"corrwise: not enough memory: {tmp_path}/mine.py:6 in start: MemoryError; " in capsys.readouterr().err


def test_the_traceback_can_be_asked_for(tmp_path, capsys, monkeypatch):
    (tmp_path / "mine.py").write_text(MINE.replace("{body}", "1 / 0"))
    monkeypatch.setenv("CORRWISE_DEBUG", "1")
    assert cli.main([*RUN, "--task", f"{tmp_path}/mine.py:MINE", "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "Traceback (most recent call last)" in error
    assert error.splitlines()[-1].startswith(f"corrwise: {tmp_path}/mine.py:6 in start: ZeroDivisionError")


def test_an_error_of_this_package_stays_a_traceback(monkeypatch):
    raised = KeyError("ours")

    def work(config):
        raise raised

    work.__code__ = work.__code__.replace(co_filename=cli.__file__)
    monkeypatch.setattr("corrwise.experiments.report.page.run_report", work)
    with pytest.raises(KeyError) as caught:
        cli.main(["report", "nowhere"])
    assert caught.value is raised


def test_input_that_is_refused_needs_no_place():
    assert place_of(ConfigError("size must be at least 1, got 0")) is None
    assert sentence_of(ConfigError("size must be at least 1, got 0")) == "size must be at least 1, got 0"
    assert sentence_of(RuntimeError("one\n  line")) == "one line"
    assert sentence_of(KeyError("ours")) is None
    assert sentence_of(SystemExit(0)) is None


def test_the_innermost_line_of_user_code_stands_also_below_a_library(tmp_path):
    error = _error(tmp_path / "mine.py", "import json\ndef read():\n    return json.loads('{')\nread()\n")
    assert place_of(error) == f"{tmp_path}/mine.py:3 in read"
    assert described(error).startswith(f"{tmp_path}/mine.py:3 in read: JSONDecodeError: ")


def test_a_place_survives_the_way_between_processes(tmp_path):
    plain = _error(tmp_path / "mine.py", "raise ValueError('one')")
    back = pickle.loads(pickle.dumps(Failure.of(plain))).error()
    assert (type(back), str(back), place_of(back)) == (ValueError, "one", f"{tmp_path}/mine.py:1")
    assert "Traceback" in str(back.__cause__)
    odd = _error(tmp_path / "odd.py", "class Odd(Exception):\n    def __init__(self, a, b): pass\nraise Odd(1, 2)")
    back = pickle.loads(pickle.dumps(Failure.of(odd))).error()
    assert type(back) is RuntimeError
    assert place_of(back) == f"{tmp_path}/odd.py:3"


@pytest.mark.parametrize("allocate", [lambda: np.empty(2**50), lambda: torch.empty(2**50), lambda: bytearray(2**60)])
def test_want_of_memory_is_one_sentence(allocate, monkeypatch, capsys):
    monkeypatch.setattr("corrwise.experiments.report.page.run_report", lambda config: allocate())
    assert cli.main(["report", "nowhere"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("corrwise: not enough memory: ")
    assert error.count("\n") == 1
