"""The examples of docs/add_an_env.md keep the contract of a task."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

from corrwise.experiments import cli
from corrwise.testing import check_task
from tests.snippets import ROOT, blocks, save_named

PAGE = ROOT / "docs" / "add_an_env.md"


def test_documented_task_keeps_the_contract_and_is_used_as_shown(tmp_path, monkeypatch):
    task, use, *_ = blocks(PAGE)
    assert len([line for line in task.splitlines() if line]) <= 31  # the name of its file among them
    save_named(PAGE, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    check_task(import_module("puck").TASK)
    names: dict = {}
    exec(compile(use, PAGE, "exec"), names)
    assert names["frames"].shape == (2, 5, 8, 3, 32, 32)
    assert names["observation"]["desired_goal"].shape == (32, 32, 3)


def test_documented_file_of_suite_bodies_is_planned_on_without_touching_the_package(tmp_path, monkeypatch):
    save_named(PAGE, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("REACHER", "QUADRUPED"):
        check_task(getattr(import_module("my_tasks"), name))
        quick = ["--steps", "2", "--size", "16", "--horizon", "2", "--candidates", "4", "--iterations", "1"]
        run = ["mpc", "--task", f"my_tasks.py:{name}", "--costs", "l1", "exact-flow", "--episodes", "1", *quick]
        assert cli.main([*run, "--no-videos", "--out", name]) == 0
        assert f'"task": "{name}"' in Path(name, "rows.jsonl").read_text()
        assert os.path.getsize(Path(name, "report.html")) > 1000
