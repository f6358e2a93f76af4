"""Fill the page of interpolators, docs/results/interpolation, with the tables that its rows give.

python -m tools.interpolation_page
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import product

import numpy as np

from corrwise.experiments.report.statistics import paired_difference
from corrwise.experiments.report.table import markdown_table
from corrwise.experiments.runs.rows import Row, read_rows
from corrwise.experiments.studies.interpolators.measure import KEY
from corrwise.experiments.studies.interpolators.table import Seeds, clip_values, grouped
from tools.results_table import RESULTS, filled

FOLDER = RESULTS / "interpolation"
GROUPS = {
    "three bodies": ("cartpole", "ant", "humanoid"),
    "walker, cheetah": ("walker", "cheetah"),
    "real video": ("bikes", "carphone", "bunny"),
}
NAMES = {
    "blend": "blend",
    "half-flow:flow=dis": "half-flow, DIS",
    "half-flow": "half-flow, learned",
    "half-flow:flow=ground-truth": "*half-flow, ground truth* (privileged)",
    "average:flow=dis": "average, DIS",
    "l1": "FLAVR, L1",
    "corr-l1": "FLAVR, corr-L1",
    "corr-l1-reg": "FLAVR, corr-L1, regulariser",
    "corr-l1-dis": "FLAVR, corr-L1, DIS",
    "mse": "FLAVR, MSE: where all begin",
}
PAIRS = (("corr-l1", "l1"), ("corr-l1-reg", "l1"), ("corr-l1-dis", "l1"), ("average:flow=dis", "half-flow:flow=dis"))
METRICS = {"psnr": ("PSNR, dB", 2), "st_lpips": ("ST-LPIPS x 1000", 1)}
GAPS = (2, 6)


def summary_table(rows: Sequence[Row]) -> str:
    """Return the means of each arm over the clips of each group, at each gap."""
    head = [f"{group}, gap {gap}" for group, gap in product(GROUPS, GAPS)]
    lines, arms, parts = [], grouped(rows), _parts(rows)
    for arm, name in NAMES.items():
        if arm not in arms:
            continue
        cells = []
        for group, gap in product(GROUPS, GAPS):
            values = [list(_values(parts[group, gap].get(arm, {}), metric).values()) for metric in METRICS]
            texts = [
                f"{np.mean(each):.{digits}f}"
                for each, (_, digits) in zip(values, METRICS.values(), strict=True)
                if each
            ]
            cells.append(" / ".join(texts))
        lines.append([name, *cells])
    return markdown_table(["PSNR, dB / ST-LPIPS x 1000", *head], lines)


def pairs_table(rows: Sequence[Row]) -> str:
    """Return the differences of pairs of arms, paired by clip, with their 95 % intervals."""
    lines, arms, parts = [], grouped(rows), _parts(rows)
    pairs = [pair for pair in PAIRS if arms.keys() >= set(pair)]
    for (arm, other), (metric, (name, digits)) in product(pairs, METRICS.items()):
        cells = []
        for group, gap in product(GROUPS, GAPS):
            both = arms[arm].keys() & arms[other].keys()  # models of the same seeds
            one, two = (_values(parts[group, gap].get(each, {}), metric, both) for each in (arm, other))
            clips = sorted(one.keys() & two.keys())
            difference = paired_difference([one[clip] for clip in clips], [two[clip] for clip in clips])
            cells.append(difference.text(f"+.{digits}f"))
        lines.append([f"{NAMES[arm]} minus {NAMES[other]}: {name}", *cells])
    return markdown_table(["", *(f"{group}, gap {gap}" for group, gap in product(GROUPS, GAPS))], lines)


def _parts(rows: Sequence[Row]) -> dict[tuple[str, int], Mapping[str, Seeds]]:
    """Return the rows of each group and gap, by arm and seed."""
    return {
        (group, gap): grouped([row for row in rows if row["gap"] == gap and row["data"] in GROUPS[group]])
        for group, gap in product(GROUPS, GAPS)
    }


def _values(seeds: Seeds, metric: str, only: Collection[str] = ()) -> dict[tuple[str, int], float]:
    """Return a metric of each clip: over its windows, then over the models of an arm or ``only`` some."""
    scale = 1000 if metric == "st_lpips" else 1
    mine = {seed: rows for seed, rows in seeds.items() if seed in only or not only}
    return {clip: scale * value for clip, value in clip_values(mine, metric).items()} if seeds else {}


def page_with_tables(text: str) -> str:
    """Return the page's text with new tables."""
    rows = read_rows(FOLDER / "rows.jsonl", KEY)
    return filled(text, {"summary": summary_table(rows), "pairs": pairs_table(rows)})


if __name__ == "__main__":
    page = FOLDER / "README.md"
    page.write_text(page_with_tables(page.read_text()))
