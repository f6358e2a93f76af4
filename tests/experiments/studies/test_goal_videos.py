"""Goals from key frames side by side: the episodes, the table by hand, and a run that can be continued."""

from itertools import islice

import numpy as np
import pytest

from corrwise.envs import TASKS
from corrwise.envs.physics import Physics
from corrwise.envs.tasks.goals import sample_path
from corrwise.envs.tasks.metric import split_state
from corrwise.experiments import cli
from corrwise.experiments.cli.table_goals import GoalTableConfig
from corrwise.experiments.runs.grid import KEY
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.studies.goal_videos import arms_table, cells_of, goal_tables, swinging
from corrwise.validation import ConfigError
from tools.goal_page import FOLDER, chosen_arms, chosen_costs, page_with_tables, targets_table


def test_episodes_of_cartpole_are_those_whose_pole_swings():
    chosen = list(islice(swinging("cartpole", 1000), 4))
    model = TASKS["cartpole"].compile()
    physics = Physics(model, TASKS["cartpole"].frame_skip)
    for seed in range(1000, chosen[-1] + 1):
        path = sample_path(TASKS["cartpole"], physics, np.random.default_rng(seed))
        pole = split_state(model, path)[0][:, 1]
        swings = len(path) - 1 >= 24 and np.abs(np.diff(pole)).sum() >= np.pi
        assert swings == (seed in chosen)
    assert list(islice(swinging("ant", 5), 3)) == [5, 6, 7], "a body without a pole has all"


def test_all_arms_have_the_same_episodes_and_differ_in_what_they_follow():
    cells = cells_of(GoalTableConfig(tasks=("ant",), arms=("blend", "last"), costs=("l1", "mse"), episodes=2))
    assert [cell.method for cell in cells] == ["blend, l1", "blend, mse", "last, l1", "last, mse"]
    assert len({cell.manifest.digest for cell in cells}) == 1
    assert [cell.config.interpolator for cell in cells] == ["blend", "blend", "last", "last"]


def _row(arm, seed, keys, cost="mse"):
    ends = {"last10_distance": 1.0, "min_distance": 0.5, "seconds": 2.0}
    return {"task": "ant", "method": f"{arm}, {cost}", "cost": cost, "seed": seed, "key_distances": keys, **ends}


def test_the_table_by_hand():
    rows = [_row("half-flow", seed, [0.1, 0.3]) for seed in range(3)]
    rows += [_row("blend", seed, [0.3, 0.5]) for seed in range(3)]
    rows += [_row("true", seed, [0.0, 0.2]) for seed in range(2)]
    lines = goal_tables(rows).splitlines()
    assert lines[0] == "### ant, `mse`"
    blend, half, true = lines[4:]
    assert half == "| **half-flow** | 3 | 0.200 ± 0.000 |  |  | 0.100 | 0.300 | 1.000 | 0.500 | 2.0 |"
    assert blend.startswith("| blend | 3 | 0.400 ± 0.000 | +0.200 (+0.200 to +0.200) | 100% | 0.300 | 0.500 |")
    assert "privileged" in true
    assert "| 2 | 0.100 ± 0.000 | -0.100 (-0.100 to -0.100) | 0% |" in true


def test_a_run_is_continued_and_its_rows_make_the_table(tmp_path):
    words = ["table", "goals", "--tasks", "cartpole", "--costs", "mse", "--goal-frames", "2", "--horizon", "2",
             "--candidates", "3", "--iterations", "1", "--size", "32", "--processes", "1", "--episodes", "1",
             "--out", str(tmp_path)]  # fmt: skip
    assert cli.main([*words, "--arms", "last"]) == 0
    before = (tmp_path / "rows.jsonl").read_bytes()
    assert cli.main([*words, "--arms", "last", "blend"]) == 0
    assert (tmp_path / "rows.jsonl").read_bytes().startswith(before)
    rows = read_rows(tmp_path / "rows.jsonl", KEY)
    assert [row["method"] for row in rows] == ["last, mse", "blend, mse"]
    assert all(len(row["key_distances"]) == 2 for row in rows)
    assert (tmp_path / "table.md").read_text() == goal_tables(rows)


@pytest.mark.parametrize("costs", [("state",), ("l1", "exact-flow"), ("random-action",)])
def test_controls_that_see_no_image_are_refused(costs):
    with pytest.raises(ConfigError, match="image costs"):
        GoalTableConfig(costs=costs)


def test_an_arm_has_the_cost_with_which_it_was_nearest_on_tuning_episodes():
    tuning = [
        _row("blend", 0, [0.2], "l1"),
        _row("blend", 0, [0.1]),
        _row("half-flow", 0, [0.2]),
        _row("next", 0, [1.0]),
    ]
    costs = chosen_costs(tuning)
    assert costs == {("ant", "blend"): "mse", ("ant", "half-flow"): "mse", ("ant", "next"): "mse"}
    costs["ant", "blend"] = "l1"
    rows = [_row("blend", 7, [0.2], "l1"), _row("blend", 7, [0.3]), _row("half-flow", 7, [0.1]), _row("true", 7, [0.1])]
    own = chosen_arms(rows, costs)["ant"]
    assert {arm: mine[0]["cost"] for arm, mine in own.items()} == {"blend": "l1", "half-flow": "mse"}
    assert arms_table(own).splitlines()[2].startswith("| blend | `l1` | 1 | 0.200 ± nan | +0.100 | 100% |")


def test_a_comparison_counts_where_its_whole_interval_is_above_zero():
    def arm(name, values, cost="mse"):
        return [_row(name, seed, [value]) | {"cost": cost} for seed, value in enumerate(values)]

    own = {"ant": {"half-flow": arm("half-flow", [0.1] * 8), "blend": arm("blend", [0.3, 0.4] * 4, "l1"),
                   "next": arm("next", [0.0, 0.2] * 4), "true": arm("true", [0.0, 0.01] * 4)}}  # fmt: skip
    same = {"ant": {"blend": arm("blend", [0.5] * 8), "next": own["ant"]["next"]}}
    lines = targets_table(own, same, {"ant": {"last": arm("last", [0.7] * 6)}}).splitlines()[2:]
    cells = {line.split(" | ")[1]: line.strip("| ").split(" | ") for line in lines}
    assert list(cells) == ["blend", "next", "true (privileged)", "blend, half-flow's cost", "last, aggregate last"]
    assert cells["blend"][2:5] == ["8", "0.350", "0.100"]
    assert [each[-1] for each in cells.values()] == ["yes", "no", "**half-flow is worse**", "yes", "yes"]
    assert cells["last, aggregate last"][2] == "6", "the episodes that both have"


def test_the_tables_of_the_results_are_those_that_the_rows_give():
    text = (FOLDER / "README.md").read_text()
    assert page_with_tables(text) == text, "run python -m tools.goal_page"
