"""The planning table: it follows from the rows, and the command makes it whole."""

from itertools import product

import pytest

from corrwise.experiments import cli
from corrwise.experiments.cli.options import TABLE_TASKS, TASK_NAMES
from corrwise.experiments.cli.table_mpc import METHOD_NAMES, MPCTableConfig
from corrwise.experiments.studies import planning
from corrwise.experiments.studies.planning import (
    METHODS,
    TASK_PLANNERS,
    by_method,
    cells_of,
    draw_table,
    method_config,
    mpc_table,
)
from tools.planning_tables import paper_table


def _row(method, seed, nearest, task="cartpole"):
    parts = {"simulate": 2.0, "render": 1.0, "flow": 0.5, "predict": 0.1, "plan": 0.4}
    return {
        **{"task": task, "method": method, "seed": seed, "min_distance": nearest, "last10_distance": nearest + 1},
        **{f"seconds_{name}": 10 * spent for name, spent in parts.items()},
        **{"seconds": 40.0, "steps": 10, "distances": [3.0, nearest]},
    }


def _rows():
    near = {"l1": 2.0, "recommended": 0.5, "state": 0.25, "exact-flow": 0.4}
    return [_row(name, seed, value + 0.1 * seed) for name, value in near.items() for seed in range(6)]


def _line(text, method):
    (line,) = [line for line in text.splitlines() if f"| {method} |" in line]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_line_says_what_the_rows_say():
    line = _line(mpc_table(_rows()), "`recommended`")
    assert line[:4] == ["cartpole", "`recommended`", "6", "1.75"]
    assert line[4].startswith("1.86 (")
    assert line[5:7] == ["0.75", "0.75"]
    assert line[7].startswith("3.00 (")
    assert line[8] == "100%"
    assert line[9] == "86% (86% to 86%)"
    assert line[10] == "94% (94% to 94%)"
    assert line[11:] == ["4.00", "2.00 / 1.00 / 0.50 / 0.50"]


def test_pairs_are_pairs_and_what_is_missing_is_left_out():
    rows = [*_rows(), _row("recommended", 99, 1000.0)]
    assert _line(mpc_table(rows), "`recommended`")[7].startswith("3.00 ("), "episode 99 has no L1 beside it"
    rows = [{**row, "min_distance": None} if row["seed"] == 3 and row["method"] == "l1" else row for row in _rows()]
    assert _line(mpc_table(rows), "`recommended`")[9].startswith("86%")
    alone = [row for row in _rows() if row["method"] == "recommended"]
    plain = ["cartpole", "`recommended`", "6", "1.75", "0.75", "0.75", "4.00", "2.00 / 1.00 / 0.50 / 0.50"]
    assert _line(mpc_table(alone), "`recommended`") == plain, "without L1 there is no comparison"


def test_the_papers_numbers_stand_under_ours():
    last, ours, published = paper_table([*_rows(), _row("corr-l1:flow=all-pairs", 99, 1.0)]).splitlines()[2:]
    assert ours == "| nearest | 2.25 | 1.00 | 0.75 (3.00x) | 0.65 (3.46x) | 0.50 (4.50x) |", "99 has no L1"
    assert last == "| **cartpole**, last 10 steps | 3.25 | 2.00 | 1.75 (1.86x) | 1.65 (1.97x) | 1.50 (2.17x) |"
    assert published == "| the paper's | 5.520 | 1.653 (3.34x) |  |  |  |"
    _, short = paper_table([_row("l1", 0, 1.0, task="cartpole-short")]).splitlines()[2:]
    assert short == "| nearest | 1.00 |", "which the paper does not have"


def test_tasks_stand_in_one_order_whichever_was_run_first():
    rows = [_row("l1", 0, 1.0, task=task) for task in ("my.py:MINE", *reversed(TASK_NAMES))]
    assert list(by_method(rows)) == [*TASK_NAMES, "my.py:MINE"]


def test_no_share_of_a_gap_that_may_be_none_and_no_empty_column():
    near = {"l1": 2.0, "recommended": 1.0, "exact-flow": 1.9}
    rows = [
        _row(name, seed, value + (seed % 3 if name == "exact-flow" else 1))
        for name, value in near.items()
        for seed in range(9)
    ]
    head, _, *lines = mpc_table(rows).splitlines()
    assert "gap" not in head, "exact flow is no nearer than L1, and there is no row of the true state"
    assert all(line.count("|") == head.count("|") for line in lines)
    assert "gap to exact flow closed" in mpc_table(_rows())


def test_images_are_drawn_of_any_rows(tmp_path):
    draw_table(tmp_path / "none.png", [])
    assert not (tmp_path / "none.png").exists()
    draw_table(tmp_path / "some.png", [*_rows(), _row("zero-action", 0, 3.0, task="ant")])
    assert (tmp_path / "some.png").stat().st_size > 10_000


def test_names_are_those_of_the_command_line_and_all_share_planner_and_budget():
    assert tuple(METHODS) == METHOD_NAMES
    for task, name in product(TASK_NAMES, METHODS):
        plain, config = method_config("l1", task), method_config(name, task)
        for option in ("planner", "horizon", "candidates", "iterations", "aggregate", "size", "supersample", "knots"):
            assert getattr(config, option) == getattr(plain, option)
        assert config.task == task
        assert config.costs == (name,)
    assert set(TASK_PLANNERS) <= set(TASK_NAMES)
    assert len(cells_of(MPCTableConfig())) == len(TABLE_TASKS) * len(METHODS)


@pytest.fixture
def quick(monkeypatch):
    from dataclasses import replace

    few = {"horizon": 2, "candidates": 4, "iterations": 1, "size": 16, "steps": 2}
    monkeypatch.setattr(planning, "PLAIN", replace(planning.PLAIN, **few))


def test_the_command_leaves_rows_table_and_image(tmp_path, quick, capsys):
    out = tmp_path / "table"
    flags = ["--tasks", "cartpole", "--methods", "l1", "corr-l1", "state", "--episodes", "2", "--processes", "1"]
    assert cli.main(["table", "mpc", "--out", str(out), *flags]) == 0
    assert capsys.readouterr().out.strip() == f"{(out / 'table.md').read_text()}\n{out / 'table.md'}"
    text = (out / "table.md").read_text()
    assert _line(text, "`corr-l1`")[2] == "2"
    assert (out / "table.png").exists()
    before = (out / "rows.jsonl").read_bytes()
    assert cli.main(["table", "mpc", "--out", str(out), *flags]) == 0
    assert (out / "rows.jsonl").read_bytes() == before
    assert (out / "table.md").read_text() == text
