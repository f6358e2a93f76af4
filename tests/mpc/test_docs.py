"""The example of docs/add_a_planner.md is run as it stands."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from tests.contracts import check_planner

PAGE = Path(__file__).parents[2] / "docs" / "add_a_planner.md"


def test_documented_planner_keeps_the_contract(tmp_path, monkeypatch):
    (code, *_) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    (tmp_path / "documented_planner.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    check_planner(import_module("documented_planner").LocalSearch)


def test_documented_policies_run(capsys):
    page = PAGE.with_name("mpc_as_a_policy.md")
    one, many = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    quick = one.replace('"corrwise/Cartpole-v0"', '"corrwise/Cartpole-v0", max_episode_steps=2')
    exec(compile(quick, page, "exec"), {})
    assert re.match(r"mean return -\d\.\d\d", capsys.readouterr().out)
    names: dict = {}
    exec(compile(many.replace("num_envs=4", "num_envs=4, size=24"), page, "exec"), names)
    assert names["rewards"].shape == (4,)
