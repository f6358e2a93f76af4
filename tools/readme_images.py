"""Make docs/images/planning.gif from run folders: an episode of each body with two costs, and what one matched.

Of each run it shows the episode in which the ratio of the two nearest distances is the median. Usage:

    .venv/bin/corrwise mpc --task cartpole --costs l1 recommended --episodes 5 --out runs/images/cartpole
    (and so for ant and humanoid)
    .venv/bin/python tools/readme_images.py runs/images/cartpole runs/images/ant runs/images/humanoid
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from corrwise.experiments.report.strip import PANELS
from corrwise.experiments.report.video import label_panels
from corrwise.experiments.runs.rows import read_rows

IMAGES = Path(__file__).parents[1] / "docs/images"
COSTS = ("l1", "recommended")
NAMES = ("pixel L1", "corr-L1")
STAY = 10  # frames that the end is shown for


def median_episode(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of both costs in the episode whose ratio of nearest distances is the median."""
    rows = {(row["cost"], row["seed"]): row for row in read_rows(folder / "rows.jsonl")}
    seeds = sorted({seed for _, seed in rows})
    ratios = [rows[COSTS[0], seed]["min_distance"] / rows[COSTS[1], seed]["min_distance"] for seed in seeds]
    seed = seeds[int(np.argsort(ratios)[len(ratios) // 2])]
    return [rows[cost, seed] for cost in COSTS]


def body(folder: Path) -> list[np.ndarray]:
    """Return the frames of one body's line: the goal, what both planners saw, and what was matched."""
    rows = median_episode(folder)
    strips = [panels_of(folder / row["strip"], row.get("panels") or PANELS) for row in rows]
    frames, flow = [], stretched(strips[1]["flow"])
    for step in range(len(strips[0]["seen"])):
        seen = {
            f"{name}: {row['distances'][step]:.2f} away": strip["seen"][step]
            for name, row, strip in zip(NAMES, rows, strips, strict=True)
        }
        panels = {"goal": strips[0]["goal"][step], **seen, "what corr-L1 matched": flow[step]}
        frames.append(label_panels({name: panel[None] for name, panel in panels.items()}, scale=3)[0])
    return frames


def panels_of(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the frames of each panel of a strip, (steps, h, w, 3); frames are square."""
    with Image.open(path) as image:
        strip = np.asarray(image.convert("RGB"))
    side = len(strip) // len(names)
    return dict(zip(names, strip.reshape(len(names), side, -1, side, 3).swapaxes(1, 2), strict=True))


def stretched(flow: np.ndarray) -> np.ndarray:
    """Return colours of an episode's flow so that all but its longest tenth differ in colour: white is no motion."""
    ink = 255.0 - flow
    strength = ink.max(axis=-1)
    return (255 - np.clip(ink * 255 / np.quantile(strength[strength > 0], 0.9), 0, 255)).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    bodies = [body(folder) for folder in parser.parse_args().folders]
    steps = max(len(frames) for frames in bodies) + STAY
    whole = [np.concatenate([frames[min(t, len(frames) - 1)] for frames in bodies]) for t in range(steps)]
    images = [Image.fromarray(frame) for frame in whole]
    plain = Image.Dither.NONE
    palette = Image.fromarray(np.concatenate(whole[::3])).quantize(256, Image.Quantize.MAXCOVERAGE, dither=plain)
    first, *more = (image.quantize(palette=palette, dither=plain) for image in images)
    first.save(IMAGES / "planning.gif", save_all=True, append_images=more, duration=100, loop=0, optimize=True)


if __name__ == "__main__":
    main()
