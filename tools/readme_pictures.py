"""Make docs/pictures/bodies.png from run folders: one step of one episode of each body, enlarged and labelled.

Usage: .venv/bin/python tools/readme_pictures.py runs/cartpole runs/ant runs/humanoid --cost corr-l1-reg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from corrwise.experiments.records.rows import read_rows
from corrwise.experiments.report.strip import load_strip, save_strip, split_strip
from corrwise.experiments.report.video import label_panels

PICTURES = Path(__file__).parents[1] / "docs/pictures"
NAMES = ("goal", "what the planner saw", "what it predicted", "matched flow")


def panel(folder: Path, cost: str, share: float) -> np.ndarray:
    """Return the four pictures of the run's nearest episode, ``share`` of the way to its nearest step."""
    rows = [row for row in read_rows(folder / "rows.jsonl") if row["cost"] == cost]
    row = min(rows, key=lambda row: row["min_distance"] / row["start_distance"])
    step = int(share * int(np.argmin(row["distances"])))
    frames = split_strip(load_strip(folder / row["strip"]))[:, step]
    return label_panels({name: frame[None] for name, frame in zip(NAMES, frames, strict=True)}, scale=3)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--cost", default="corr-l1-reg")
    parser.add_argument("--share", type=float, default=0.5, help="how far on the way to the nearest step")
    options = parser.parse_args()
    panels = [panel(folder, options.cost, options.share) for folder in options.folders]
    save_strip(PICTURES / "bodies.png", np.concatenate(panels))


if __name__ == "__main__":
    main()
