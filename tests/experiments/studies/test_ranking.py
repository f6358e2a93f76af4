"""How well costs rank candidates: the numbers by hand, the order of the bounds, and a run that can be continued."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from corrwise.experiments import cli
from corrwise.experiments.cli.table_ranking import RankingTableConfig
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.studies import ranking
from corrwise.experiments.studies.ranking import KEY, elite_distance, rank_correlation, run_ranking

TINY = RankingTableConfig(
    tasks=("cartpole",), costs=("l1", "corr-l1:form=disp"), flows=("all-pairs", "zero"), episodes=3, moments=(0, 2),
    horizon=6, candidates=12, iterations=2, lockstep=2, size=32
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("ranking") / "run"
    assert run_ranking(replace(TINY, out=out)) == out / "table.md"
    return out


def test_rank_correlation_by_hand():
    truth = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    assert rank_correlation(truth**3, truth) == pytest.approx(1)
    assert rank_correlation(-truth, truth) == pytest.approx(-1)
    assert rank_correlation(np.ones(5), truth) == 0
    assert rank_correlation(np.array([1, 2, 3, 4, np.nan]), truth) == pytest.approx(1), "not a number ranks last"
    assert rank_correlation(np.array([np.nan, 1, 2, 3, 4]), truth) == pytest.approx(0)


def test_elites_are_the_cheapest_fifth_and_nan_is_never_among_them():
    truth = np.arange(10.0)
    assert elite_distance(-truth, truth) == pytest.approx(8.5)
    cost = truth.copy()
    cost[:2] = np.nan
    assert elite_distance(cost, truth) == pytest.approx(2.5)


def test_a_row_for_each_task_cost_flow_and_episode(run):
    rows = read_rows(run / "rows.jsonl", KEY)
    asked = {row["cost"] for row in rows}
    assert asked == {"l1", "corr-l1:flow=all-pairs,form=disp", "corr-l1:flow=zero,form=disp"}
    assert len(rows) == 3 * 3
    for row in rows:
        assert row["sets"] == 2 * 2
        assert -1 <= row["correlation"] <= 1
        assert row["distance_state"] <= min(row["distance_elites"], row["distance_exact"])
        assert row["distance_state"] < row["distance"]
    zero, l1 = (
        [row["correlation"] for row in rows if row["cost"] == cost] for cost in ("corr-l1:flow=zero,form=disp", "l1")
    )
    assert zero[: len(l1)] == pytest.approx(l1), "without a flow the distance is twice its base"
    table = (run / "table.md").read_text()
    assert "| cartpole | `corr-l1:flow=all-pairs,form=disp` | 3 |" in table
    assert "| cartpole | *exact-flow* | 3 |" in table
    assert "100%" in table.splitlines()[-2]


def test_what_was_lost_is_measured_again_and_the_rest_is_kept(run, tmp_path):
    file = tmp_path / "rows.jsonl"
    for name in ("rows.jsonl", "config.json"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-2]))
    run_ranking(replace(TINY, out=tmp_path, lockstep=3))
    assert sorted(file.read_bytes().splitlines()) == sorted(line.rstrip() for line in lines)
    assert (tmp_path / "table.md").read_bytes() == (run / "table.md").read_bytes()
    before = file.read_bytes()
    run_ranking(replace(TINY, out=tmp_path))
    assert file.read_bytes() == before


def test_a_candidate_that_broke_down_changes_no_sets_number(monkeypatch, tmp_path):
    sets = ranking.candidate_sets

    def spoilt(*args):
        for each in sets(*args):
            each.frames[3] = np.nan
            each.distances[3] = np.nan
            yield each

    monkeypatch.setattr(ranking, "candidate_sets", spoilt)
    run_ranking(replace(TINY, out=tmp_path, episodes=1, costs=("l1",)))
    (row,) = read_rows(tmp_path / "rows.jsonl", KEY)
    assert all(np.isfinite(value) for value in row.values() if isinstance(value, float))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--tasks", "walker"], "unknown task 'walker'; there are cartpole, ant, humanoid"),
        (["--costs", "state"], "unknown cost 'state'; there are l1, mse"),
        (["--flows", "pwc"], "unknown flow 'pwc'; there are all-pairs"),
        (["--moments", "3", "3"], "moments must be different from each other, got 3 3"),
        (["--candidates", "4"], "candidates must be at least 5, got 4"),
        (["--seed", "9990"], "seed must be zero or above, its last below 10000, got 9990"),
    ],
)
def test_bad_options_are_one_sentence(flags, message, tmp_path, capsys):
    assert cli.main(["table", "ranking", "--out", str(tmp_path / "run"), *flags]) == 2
    assert capsys.readouterr().err.startswith(f"corrwise: {message}")
    assert not (tmp_path / "run").exists()


def test_a_cost_that_is_never_finite_has_no_line_but_a_warning(tmp_path, capsys, monkeypatch):
    broken = lambda x, y: torch.full(x.shape[:-3], torch.nan)  # noqa: E731
    made = ranking.make_distance
    monkeypatch.setattr(ranking, "make_distance", lambda cost: broken if cost == "ssim" else made(cost))
    config = replace(TINY, costs=("l1", "ssim"), episodes=1, moments=(0,), out=tmp_path / "run")
    table = run_ranking(config).read_text()
    warning = "cartpole, ssim: 24 of 24 candidates had a cost that is not finite"
    assert table.startswith(f"> **Warning:** {warning}")
    assert "| `l1` |" in table
    assert "`ssim`" not in table
    assert warning in capsys.readouterr().err
