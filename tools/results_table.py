"""Write the README's result table from the rows in docs/results/mpc, between its two markers."""

from __future__ import annotations

from pathlib import Path

from corrwise.experiments.rows import read_rows
from corrwise.experiments.summary import Summary, summarize

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- results -->\n", "<!-- /results -->\n"
HEADER = """\
| task | cost | episodes | nearest | last 10 steps | nearer than l1 by (95 % interval) | nearer in |
|---|---|---|---|---|---|---|
"""


def table() -> str:
    """Return the table as Markdown: image costs first, controls after them."""
    folders = [ROOT / "docs/results/mpc" / task for task in ("cartpole", "ant", "humanoid")]
    lines = [_line(summary) for folder in folders for summary in summarize(read_rows(folder / "rows.jsonl"))]
    return HEADER + "".join(lines)


def _line(row: Summary) -> str:
    name = f"*{row.cost}*" if row.control else f"`{row.cost}`"
    gain, share = "", ""
    if row.pairs and not row.control:
        low, high = sorted((-row.difference.low, -row.difference.high))
        gain, share = f"{-row.difference.value:+.2f} ({low:+.2f} to {high:+.2f})", f"{row.nearer:.0%}"
    nearest = f"{row.nearest:.2f} ± {row.nearest_error:.2f}"
    return f"| {row.task} | {name} | {row.n} | {nearest} | {row.last10:.2f} | {gain} | {share} |\n"


def readme_with_table(text: str) -> str:
    """Return the README's text with its table made anew."""
    head, rest = text.split(BEGIN)
    return head + BEGIN + "\n" + table() + "\n" + END + rest.split(END)[1]


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(readme_with_table(readme.read_text()))
