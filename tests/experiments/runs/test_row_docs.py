"""docs/rows.md explains each field of a row."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase

from corrwise.experiments.runs.rows import Key, read_rows
from tests.snippets import ROOT
from tools.results_table import RESULTS, row_files


def documented(page: str) -> set[str]:
    """Return the names and patterns in the columns of the page's tables that hold fields."""
    cells = [line.strip().strip("|").split("|") for line in page.splitlines() if line.startswith("| ")]
    named = [cell for row in cells for cell in (row[0], row[1] if len(row) > 2 else "")]
    return {name for cell in named for name in re.findall(r"`([^`]+)`", cell)}


def test_each_field_of_each_committed_row_is_documented():
    names = documented((ROOT / "docs" / "rows.md").read_text("utf-8"))
    fields: dict[str, str] = {}
    for path in row_files():
        for row in read_rows(path, Key({}, {})):
            fields |= dict.fromkeys(row, str(path.relative_to(RESULTS)))
    assert len(fields) > 40
    missing = {name: where for name, where in fields.items() if not any(fnmatchcase(name, one) for one in names)}
    assert not missing, "say in docs/rows.md what these mean"


def test_each_field_of_a_new_row_is_documented(fake_run):
    names = documented((ROOT / "docs" / "rows.md").read_text("utf-8"))
    row = json.loads((fake_run(seeds=1) / "rows.jsonl").read_text().splitlines()[0])
    assert not [name for name in row if not any(fnmatchcase(name, one) for one in names)]
