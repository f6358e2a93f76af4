"""The table of plans over futures: arms on the same episodes, and what its lines state."""

from __future__ import annotations

from dataclasses import replace

import pytest

from corrwise.experiments.cli.table_futures import FuturesTableConfig
from corrwise.experiments.runs.grid import KEY
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.studies.futures import cells_of, futures_table, run_futures_table
from corrwise.validation import ConfigError

TINY = FuturesTableConfig(
    cost="state", futures=2, risks=("cvar",), horizon=6, plan_every=6, candidates=4, iterations=1, size=16,
    supersample=1, episodes=2, processes=1,
)  # fmt: skip
ORDER = ["oracle, 1", "oracle-gusts, cvar of 2", "zero-action, -"]


def without_times(folder):
    rows = read_rows(folder / "rows.jsonl", KEY)
    return {(row["method"], row["seed"]): row["distances"] for row in rows}


def test_a_table_has_each_arm_on_the_same_episodes(tmp_path):
    page = run_futures_table(replace(TINY, out=tmp_path)).read_text("utf-8")
    assert [line.split(" | ")[1:3] for line in page.splitlines()[4:7]] == [["1", "2"], ["cvar of 2", "2"], ["-", "2"]]
    rows = without_times(tmp_path)
    assert {name for name, _ in rows} == set(ORDER)
    assert len({tuple(rows[name, 10_000]) for name in ORDER}) > 1
    assert len({rows[name, 10_000][0] for name in ORDER}) == 1, "the same start and goal"


def row(method, seed, near, *, lowest=0.1, final=None):
    far = near if final is None else final
    return {"task": "cartpole-gusts", "method": method, "cost": "state", "seed": seed, "seconds": 1.0,
            "last10_distance": near, "min_distance": lowest, "final_distance": far}  # fmt: skip


def test_arms_are_compared_with_the_first_and_who_came_near_and_ended_far_is_lost():
    rows = [row(ORDER[1], seed, 0.3) for seed in range(4)]
    rows += [row(ORDER[0], seed, distance) for seed, distance in enumerate((0.2, 1.3, 1.3, 1.3))]
    rows += [row(ORDER[2], seed, 1.5, lowest=1.5) for seed in range(4)]
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in futures_table(rows, ORDER).splitlines()[4:7]
    ]
    assert [line[1] for line in lines] == ["1", "cvar of 2", "-"]
    assert [line[4] for line in lines] == ["0.100 ± 0.000", "0.100 ± 0.000", "1.500 ± 0.000"]
    assert lines[1][5].startswith("+0.725")
    assert [line[6] for line in lines] == ["", "75%", "0%"]
    assert [line[7] for line in lines] == ["75%", "0%", "0%"]


def test_arms_have_the_futures_and_risks_that_are_asked_for():
    cells = {cell.method: cell.config for cell in cells_of(replace(TINY, risks=("mean", "cvar"), futures=4))}
    assert list(cells) == ["oracle, 1", "oracle-gusts, mean of 4", "oracle-gusts, cvar of 4", "zero-action, -"]
    careful = cells["oracle-gusts, cvar of 4"]
    assert (careful.futures, careful.risk, careful.plan_every) == (4, "cvar", 6)
    assert cells["oracle, 1"].futures == 1


def test_arms_that_could_not_be_told_apart_are_refused():
    with pytest.raises(ConfigError, match="stochastic must be runs whose folders have different names"):
        replace(TINY, deterministic=("oracle",), stochastic=("oracle",))
