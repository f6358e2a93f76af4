"""Time of the planning table's 900 episodes of {L1, scaled, regularised} on all cores, estimated from the first ones.

    .venv/bin/python benchmarks/planning_table.py --episodes 10

It runs ``corrwise table mpc`` in an empty folder, longest episodes first, so that no core idles for long at the end.
The time of starting and ending is counted for each part, so the hours are an upper bound. The last line is JSON. The
exit status is 1 if the target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from corrwise.experiments.cli.table_mpc import MPCTableConfig
from corrwise.experiments.runs.grid import KEY
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.studies.planning import run_mpc_table

TASKS, METHODS = ("humanoid", "ant", "cartpole"), ("corr-l1:flow=all-pairs,form=reg", "corr-l1:flow=all-pairs", "l1")
PHASES = ("simulate", "render", "flow")
FROZEN, HOURS = 100, 2.0  # episodes of a cell in the whole table, and how long it may take


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--lockstep", type=int, default=MPCTableConfig.lockstep)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        config = MPCTableConfig(
            out=Path(folder) / "table", tasks=TASKS, methods=METHODS, episodes=options.episodes,
            lockstep=options.lockstep,
        )  # fmt: skip
        began = perf_counter()
        run_mpc_table(config)
        wall = perf_counter() - began
        rows = read_rows(config.out / "rows.jsonl", KEY)
    whole = sum(row["seconds"] for row in rows)
    shares = {name: sum(row.get(f"seconds_{name}", 0.0) for row in rows) / whole for name in PHASES}
    hours = wall * FROZEN / options.episodes / 3600
    print(f"{len(rows)} episodes in {wall:.0f} s, so {len(rows) * FROZEN // options.episodes} take {hours:.2f} h")
    print(", ".join(f"{name} {share:.0%}" for name, share in shares.items()), f"; rest {1 - sum(shares.values()):.0%}")
    cells = {
        f"{task}/{method}": sum(
            row["seconds"] for row in rows if (row["task"], row["method"]) == (task, method)
        ) / options.episodes
        for task in TASKS for method in METHODS
    }  # fmt: skip
    settings = {"episodes": options.episodes, "lockstep": options.lockstep, "cores": len(os.sched_getaffinity(0))}
    print(json.dumps({**settings, "wall_s": wall, "hours": hours, "shares": shares, "episode_s": cells}))
    return int(hours > HOURS)


if __name__ == "__main__":
    sys.exit(main())
