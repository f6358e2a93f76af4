"""The example of docs/add_a_planner.md is run as it stands."""

from __future__ import annotations

from importlib import import_module

from corrwise.testing import check_planner
from tests.snippets import ROOT, save_named


def test_documented_planner_keeps_the_contract(tmp_path, monkeypatch):
    save_named(ROOT / "docs" / "add_a_planner.md", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    check_planner(import_module("local_search").LocalSearch)
