"""Give committed rows of planned episodes the fingerprints that ``corrwise.experiments.runs.settings`` computes.

Old rows have a hash of all their settings, which a new option would have changed. New rows have a hash of the settings
that differ from the frozen defaults. ``fingerprints_before.json`` lists by folder the old hashes of the cells in
config.json. A row with one of them gets the fingerprint of its cell, also if the cell was renamed. No measurement
changes, and a file without old hashes stays unchanged.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from corrwise._writing import write_bytes_atomic
from corrwise.experiments.runs.grid import cell_settings
from corrwise.experiments.runs.settings import Settings, fingerprint, frozen_defaults

ROOT = Path(__file__).parents[1] / "docs/results"
BEFORE = Path(__file__).parent / "fingerprints_before.json"
_SETTINGS = re.compile(r'"settings": "([0-9a-f]{12})"')


def cell_fingerprint(settings: dict[str, Any]) -> str:
    """Return the fingerprint of what config.json tells of a cell: all its settings, or those that differ."""
    return fingerprint(cell_settings(Settings(settings, defaults=frozen_defaults()["mpc"]["defaults"])))


def migrated(lines: str, cells: dict[str, dict[str, Any]], before: set[str]) -> str:
    """Return the text of a rows.jsonl with new fingerprints in the place of old ones, and no other byte changed."""
    after = []
    for line in lines.splitlines(keepends=True):
        match = _SETTINGS.search(line)
        if match is not None and match[1] in before:
            row = json.loads(line)
            new = cell_fingerprint(cells[f"{row['task']}/{row['method']}"])
            line = f"{line[: match.start(1)]}{new}{line[match.end(1) :]}"
        after.append(line)
    return "".join(after)


def migrate(root: Path) -> list[Path]:
    """Rewrite the rows of all folders below a folder of results, and return the files that changed."""
    changed = []
    for folder, hashes in json.loads(BEFORE.read_text()).items():
        file, config = root / folder / "rows.jsonl", root / folder / "config.json"
        text = file.read_text()
        new = migrated(text, json.loads(config.read_text())["cells"], set(hashes))
        if new != text:
            write_bytes_atomic(file, new.encode())
            changed.append(file)
    return changed


if __name__ == "__main__":
    for path in migrate(ROOT):
        print(path)
