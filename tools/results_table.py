"""Write the tables of the README and of docs/choose_a_flow.md from docs/results, between their markers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corrwise.costs import PRESETS
from corrwise.experiments.flows.planning import planning_cells
from corrwise.experiments.flows.table_text import KEY, bodies_table, check_table, flows_table
from corrwise.experiments.planning.grid import KEY as GRID_KEY
from corrwise.experiments.planning.ranking_text import KEY as RANKING_KEY
from corrwise.experiments.planning.ranking_text import ranking_table
from corrwise.experiments.records.rows import read_rows
from corrwise.experiments.summary import Summary, summarize

RESULTS = Path(__file__).parents[1] / "docs/results"
README = Path(__file__).parents[1] / "README.md"
GUIDE = Path(__file__).parents[1] / "docs/choose_a_flow.md"


def planning_table() -> str:
    """Return what ``corrwise mpc`` reached, as Markdown: image costs first, controls after them."""
    header = (
        "| task | cost | episodes | nearest | last 10 steps | nearer than l1 by (95 % interval) | nearer in |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    folders = [RESULTS / "mpc" / task for task in ("cartpole", "ant", "humanoid")]
    return header + "".join(_line(s) for folder in folders for s in summarize(read_rows(folder / "rows.jsonl")))


def _line(row: Summary) -> str:
    name = f"*{row.cost}*" if row.control else f"`{row.cost}`"
    gain, share = "", ""
    if row.pairs and not row.control:
        gain = f"{-row.difference.value:+.2f} ({-row.difference.high:+.2f} to {-row.difference.low:+.2f})"
        share = f"{row.nearer:.0%}"
    nearest = f"{row.nearest:.2f} ± {row.nearest_error:.2f}"
    return f"| {row.task} | {name} | {row.n} | {nearest} | {row.last10:.2f} | {gain} | {share} |\n"


def speed_table() -> str:
    """Return what the benchmarks measured, as Markdown."""
    render, plan, batch, memory, flow = (
        _speed(name) for name in ("rendering", "planning", "batching", "memory", "correspondence")
    )
    ours, theirs = render["raycast_s"], render["gymnasium_s"]
    split, pairs, peaks = plan["split"], flow["ms_per_pair"], memory["memory"]
    ratio = min(theirs[pose] / ours[pose] for pose in ours)
    rows = [
        ("Humanoid 64x64", f"{1e3 * max(ours.values()):.2f} ms", f"{ratio:.0f}x faster than Gymnasium's software GL"),
        ("corr-L1 with DIS, 64x64, both directions", f"{pairs['dis 64px x1']:.2f} ms",
         f"{pairs['raft-large 128px x1'] / pairs['dis 64px x1']:.0f}x faster than with RAFT-large at 128x128"),
        ("Humanoid plan 48 x 3 x 8, DIS, beyond physics", f"{split['dis']['beyond_physics']:.3f} s",
         f"physics {split['dis']['simulate']:.3f} s in the same run"),
        ("the same with all-pairs flow", f"{split['all-pairs']['beyond_physics']:.3f} s",
         f"physics {split['all-pairs']['simulate']:.3f} s in the same run"),
        ("the same with the learned flow, the default", f"{split['learned']['beyond_physics']:.3f} s",
         f"physics {split['learned']['simulate']:.3f} s in the same run"),
        ("eight environments in lockstep", f"{batch['batching']['eight']:.2f} s a plan",
         f"{batch['batching']['ratio']:.1f}x one environment"),
        ("peak memory, 4096 candidates", f"{peaks['4096']:.0f} MiB", f"{peaks['256']:.0f} MiB with 256"),
    ]  # fmt: skip
    return "| on 2 CPU cores | | |\n|---|---|---|\n" + "".join(f"| {a} | {b} | {c} |\n" for a, b, c in rows)


def _speed(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / "speed" / f"{name}.json").read_text())


def flow_tables() -> dict[str, str]:
    """Return the tables of the guide to flows, by the name of their place.

    Rows of sub-folders (measured on another machine) come before those of docs/results/flows itself, and of rows with
    the same key the last counts.
    """
    files = sorted((RESULTS / "flows").rglob("rows.jsonl"), key=lambda path: -len(path.parts))
    rows = [row for file in files for row in read_rows(file, KEY)]
    forms = {name: preset.form for name, preset in PRESETS.items()}
    networks = {row["flow"]: row.get("network") for row in rows}
    planning = planning_cells(read_rows(RESULTS / "ablations" / "rows.jsonl", GRID_KEY), forms, networks)
    return {
        "flows": flows_table(rows, planning),
        "bodies": bodies_table(rows, "clean"),
        "degraded": bodies_table(rows, "degraded"),
        "check": check_table(rows),
        "composed": (RESULTS / "flows" / "composed.md").read_text(),
        "ranking": ranking_table(read_rows(RESULTS / "ranking" / "rows.jsonl", RANKING_KEY)),
    }


def readme_with_tables(text: str) -> str:
    """Return the README's text with its tables made anew."""
    return _filled(text, {"results": planning_table(), "speed": speed_table()})


def guide_with_tables(text: str) -> str:
    """Return the text of docs/choose_a_flow.md with its tables made anew."""
    return _filled(text, flow_tables())


def _filled(text: str, tables: Mapping[str, str]) -> str:
    for name, table in tables.items():
        head, rest = text.split(f"<!-- {name} -->\n")
        text = f"{head}<!-- {name} -->\n\n{table}\n<!-- /{name} -->\n" + rest.split(f"<!-- /{name} -->\n")[1]
    return text


if __name__ == "__main__":
    README.write_text(readme_with_tables(README.read_text()))
    GUIDE.write_text(guide_with_tables(GUIDE.read_text()))
