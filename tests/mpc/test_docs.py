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
