"""The examples of docs/add_an_env.md are run as they stand."""

from __future__ import annotations

import os
import re
from pathlib import Path

from corrwise.experiments import cli
from tests.contracts import check_task

PAGE = Path(__file__).parents[2] / "docs" / "add_an_env.md"


def test_documented_task_keeps_the_contract_and_is_used_as_shown():
    task, use, *_ = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len([line for line in task.splitlines() if line]) <= 30
    names: dict = {}
    exec(compile(task, PAGE, "exec"), names)
    check_task(names["TASK"])
    exec(compile(use, PAGE, "exec"), names)
    assert names["frames"].shape == (2, 5, 8, 3, 32, 32)
    assert names["observation"]["desired_goal"].shape == (32, 32, 3)


def test_documented_file_of_suite_bodies_is_planned_on_without_touching_the_package(tmp_path, monkeypatch):
    whole = next(
        code for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL) if "QUAD" in code
    )
    monkeypatch.chdir(tmp_path)
    Path("my_tasks.py").write_text(whole)
    names: dict = {}
    exec(compile(whole, PAGE, "exec"), names)
    for name in ("REACHER", "QUADRUPED"):
        check_task(names[name])
        quick = ["--steps", "2", "--size", "16", "--horizon", "2", "--candidates", "4", "--iterations", "1"]
        run = ["mpc", "--task", f"my_tasks.py:{name}", "--costs", "l1", "exact-flow", "--episodes", "1", *quick]
        assert cli.main([*run, "--no-videos", "--out", name]) == 0
        assert f'"task": "{name}"' in Path(name, "rows.jsonl").read_text()
        assert os.path.getsize(Path(name, "report.html")) > 1000
