"""The tables of docs/results/interpolation/goal-videos that no command writes, and its image.

    .venv/bin/python -m tools.goal_page

fills the tables from the rows. With ``--image`` it also runs the median episode of each body again, and draws what each
arm showed at the key times.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from corrwise.envs import TASKS, MujocoSimulator
from corrwise.envs.arrays import to_uint8
from corrwise.experiments.cli.table_goals import GoalTableConfig
from corrwise.experiments.report.statistics import mean_and_error, paired_difference, share_nearer
from corrwise.experiments.report.strip import save_strip
from corrwise.experiments.report.table import markdown_table
from corrwise.experiments.report.video import label_panels
from corrwise.experiments.runs.goal_videos import KeyFrames, key_frames
from corrwise.experiments.runs.grid import KEY, Cell
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.studies.goal_videos import ARM, arm_of, arms_table, cells_of, goal_tables
from corrwise.experiments.studies.planning import Row, Rows, by_method
from tools.results_table import filled

FOLDER = Path(__file__).parents[1] / "docs/results/interpolation/goal-videos"
SHOWN = ("half-flow", "blend", "last", "next", "true")


def chosen_costs(tuning: Iterable[Row]) -> dict[tuple[str, str], str]:
    """Return the cost with which each arm of a task was nearest to the key frames of the tuning episodes."""
    best: dict[tuple[str, str], tuple[float, str]] = {}
    for task, methods in by_method(tuning).items():
        for name, rows in methods.items():
            near = mean_and_error([float(np.mean(row["key_distances"])) for row in rows])[0], str(rows[0]["cost"])
            best[task, arm_of(name)] = min(near, best.get((task, arm_of(name)), near))
    return {where: cost for where, (_, cost) in best.items()}


def chosen_arms(rows: Iterable[Row], costs: Mapping[tuple[str, str], str]) -> dict[str, Rows]:
    """Return the rows of each task by arm, each arm with its chosen cost; arms without such rows are left out."""
    return {
        task: {
            arm_of(name): mine for name, mine in methods.items() if costs.get((task, arm_of(name))) == mine[0]["cost"]
        }
        for task, methods in by_method(rows).items()
    }


def targets_table(own: Mapping[str, Rows], same: Mapping[str, Rows], end: Mapping[str, Rows]) -> str:
    """Return a line for each comparison of half-flow with an arm: reached where the whole interval is above zero.

    Args:
        own: the rows of each task by arm, each arm with its own cost.
        same: those with half-flow's cost, compared where an arm's own cost is another one.
        end: those of plans that aim by their last frame, whatever their cost.
    """
    lines = []
    for task, arms in own.items():
        ours = arms[ARM]
        compared = {name: mine for name, mine in arms.items() if name != ARM}
        others = {name: mine for name, mine in same[task].items() if name in compared}
        compared |= {
            f"{name}, half-flow's cost": mine
            for name, mine in others.items()
            if mine[0]["cost"] != compared[name][0]["cost"]
        }
        compared |= {f"{name}, aggregate last": mine for name, mine in end.get(task, {}).items()}
        lines += [
            [task, f"{name} (privileged)" if name.startswith("true") else name, *_compared(mine, ours)]
            for name, mine in compared.items()
        ]
    head = (
        "body",
        "half-flow against",
        "n",
        "key frames",
        "half-flow's",
        "difference (95 %)",
        "half-flow nearer",
        "above zero",
    )
    return markdown_table(head, lines)


def _compared(mine: Sequence[Row], ours: Sequence[Row]) -> list[str]:
    other, half = (_by_seed(rows) for rows in (mine, ours))
    pairs = [[each[seed] for seed in sorted(set(other) & set(half))] for each in (other, half)]
    difference = paired_difference(*pairs)
    means = [f"{mean_and_error(each)[0]:.3f}" for each in pairs]
    result = "yes" if difference.low > 0 else "**half-flow is worse**" if difference.high < 0 else "no"
    return [str(len(pairs[0])), *means, difference.text("+.3f"), f"{share_nearer(*reversed(pairs)):.0%}", result]


def _by_seed(rows: Iterable[Row]) -> dict[int, float]:
    return {row["seed"]: float(np.mean(row["key_distances"])) for row in rows}


def page_with_tables(text: str) -> str:
    """Return the text of the results' README.md with new tables."""
    rows, tuning, end = (read_rows(FOLDER / name / "rows.jsonl", KEY) for name in ("", "tuning", "end-of-plan"))
    tables = {"tuning": goal_tables(tuning)}
    if rows:
        own = chosen_arms(rows, chosen_costs(tuning))
        costs = {(task, arm): arms[ARM][0]["cost"] for task, arms in own.items() for arm in SHOWN}
        ends = {
            task: {arm_of(name): mine for name, mine in methods.items()} for task, methods in by_method(end).items()
        }
        tables["targets"] = targets_table(own, chosen_arms(rows, costs), ends)
        tables["own"] = "\n".join(f"### {task}\n\n{arms_table(arms)}" for task, arms in own.items())
        tables["all"] = goal_tables(rows)
    return filled(text, tables)


def median_seed(arms: Rows) -> int:
    """Return the episode whose ratio of key distances, half-flow's over the blend's, is the median."""
    near = [
        {row["seed"]: float(np.mean(row["key_distances"])) for row in arms[name]} for name in ("half-flow", "blend")
    ]
    seeds = sorted(set(near[0]) & set(near[1]))
    return sorted(seeds, key=lambda seed: near[0][seed] / near[1][seed])[len(seeds) // 2]


def image_of(task: str, arms: Rows) -> np.ndarray:
    """Return a line for each key frame: goals halfway to it, itself, and what each arm showed at its time."""
    seed = median_seed(arms)
    lines = halfway(cell_of(task, "true", "mse", seed), "true", key_frame=False)
    for name in ("half-flow", "blend"):
        lines = joined(lines, halfway(cell_of(task, name, "mse", seed), name, key_frame=name == "blend"))
    for name in (name for name in SHOWN if name in arms):
        lines = joined(lines, reached(cell_of(task, name, arms[name][0]["cost"], seed), name))
    return np.concatenate([label_panels({k: image[None] for k, image in line.items()}, scale=2)[0] for line in lines])


def cell_of(task: str, arm: str, cost: str, seed: int) -> Cell:
    """Return the cell of one arm, with one episode."""
    (cell,) = cells_of(GoalTableConfig(tasks=(task,), arms=(arm,), costs=(cost,), seed=seed, episodes=1))
    return cell


def keys_of(cell: Cell) -> KeyFrames:
    """Return the key frames of the episode."""
    simulator, seeds = MujocoSimulator(TASKS[cell.config.task], size=cell.config.size, threads=1), cell.manifest.seeds
    starts, goals = (simulator.render(states) for states in cell.manifest.chosen(seeds.tolist()))
    return key_frames(cell.config, simulator, seeds.tolist(), starts, goals)


def halfway(cell: Cell, name: str, *, key_frame: bool) -> list[dict[str, np.ndarray]]:
    """Return the goal halfway to each key frame, uint8 (h, w, 3), and where asked for the key frame."""
    keys = keys_of(cell)
    goal, lines = to_uint8(keys.goal.frames[0]), []
    for before, time in pairwise((0, *keys.times[0])):
        line = {f"{name}, halfway": goal[(before + time) // 2 - 1]}
        lines.append({**line, "key frame": goal[time - 1]} if key_frame else line)
    return lines


def reached(cell: Cell, name: str) -> list[dict[str, np.ndarray]]:
    """Return what an arm showed at each key time, under its distance to the key frame."""
    seeds = cell.manifest.seeds.tolist()
    (episode,) = cell.planned.runner(threads=1, images=True)(seeds, frozen=cell.manifest.chosen(seeds))
    (times,) = keys_of(cell).times
    return [
        {f"{name}: {distance:.2f}": episode.panels["seen"][time]}
        for time, distance in zip(times, episode.key_distances or (), strict=True)
    ]


def joined(one: list[dict[str, np.ndarray]], two: list[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
    """Return lines of panels, each followed by those of the other."""
    return [{**left, **right} for left, right in zip(one, two, strict=True)]


def main(words: Sequence[str] | None = None) -> None:
    """Fill the page, and draw its image where asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", action="store_true", help="run an episode of each body again, and draw it")
    page = FOLDER / "README.md"
    page.write_text(page_with_tables(page.read_text()))
    if parser.parse_args(words).image:
        rows, tuning = (read_rows(folder / "rows.jsonl", KEY) for folder in (FOLDER, FOLDER / "tuning"))
        for task, arms in chosen_arms(rows, chosen_costs(tuning)).items():
            save_strip(FOLDER / f"{task}.png", image_of(task, arms))


if __name__ == "__main__":
    main()
