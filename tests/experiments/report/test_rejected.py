"""Candidates that were rejected: counted, warned of, and never a result."""

from __future__ import annotations

import pytest
import torch

from corrwise.envs.tasks.manifest import draw_manifest
from corrwise.experiments import cli
from corrwise.experiments.report.page import run_text, write_report
from corrwise.experiments.report.summary import Rejections, planned_rows, quoted, rejection_warnings, summarize
from corrwise.experiments.report.table import result_sentence
from corrwise.experiments.runs.executors import Local
from corrwise.experiments.runs.grid import Cell, run_grid
from corrwise.experiments.runs.mpc import MPCConfig
from corrwise.experiments.runs.rows import append_row, read_rows
from corrwise.predictors.models.registry import make_model

PLAN = ("--episodes", "2", "--steps", "2", "--horizon", "2", "--candidates", "4", "--iterations", "1", "--size", "16")
ALL = {"rejected": 8, "scored": 8, "plans_rejected": 2, "steps": 2}
SOME = {"rejected": 5, "scored": 8, "plans_rejected": 1, "steps": 2}


def _broken_model(folder):
    model = make_model("resnet3d", context=2, action_dim=1, width=2, downs=2, blocks3d=1, blocks2d=1)
    with torch.no_grad():
        for weights in model.parameters():
            weights.fill_(float("nan"))
    model.save_pretrained(folder / "model", {"clips": {"task": "cartpole", "size": [16, 16], "supersample": 1}})
    return str(folder)


def test_a_predictor_of_nan_has_no_headline(tmp_path, capsys):
    run = _broken_model(tmp_path / "broken")
    out = tmp_path / "out"
    assert cli.main(["mpc", "--predictor", run, "--out", str(out), "--costs", "l1", "zero-action", *PLAN]) == 0
    warning = "16 of 16 candidates had a cost that is not finite and were rejected, all in every plan"
    assert f"corrwise: warning: cartpole, l1, cem, broken: {warning}" in capsys.readouterr().err
    rows = {row["cost"]: row for row in read_rows(out / "rows.jsonl") if row["seed"] == 0}
    assert [rows["l1"][name] for name in ("rejected", "scored", "plans_rejected")] == [8, 8, 2]
    assert [rows["zero-action"][name] for name in ("rejected", "scored", "plans_rejected")] == [0, 0, 0]
    page = (out / "report.html").read_text()
    assert page.index(warning) < page.index("Nothing was planned: 16 of 16") < page.index("<table")
    assert "came within" not in page
    assert cli.main(["report", str(out)]) == 0
    assert warning in capsys.readouterr().err


def test_frames_that_are_not_finite_are_reported_by_an_evaluation(tmp_path, capsys):
    run, clips = _broken_model(tmp_path / "broken"), tmp_path / "clips"
    assert cli.main(["collect", "--out", str(clips), "--episodes", "2", "--steps", "6", "--size", "16"]) == 0
    words = ["--windows", "2", "--horizon", "3", "--videos", "0", "--device", "cpu"]
    assert cli.main(["evaluate", "--models", run, "--data", str(clips), "--out", str(tmp_path / "out"), *words]) == 0
    warning = "broken: 6 of 6 predicted frames are not finite and count as black; its numbers are no result"
    assert f"corrwise: warning: {warning}" in capsys.readouterr().err
    assert (tmp_path / "out" / "table.md").read_text().startswith(f"> **Warning:** {warning}.")
    assert warning in (tmp_path / "out" / "evaluation.html").read_text()


def test_a_table_of_refused_candidates_warns_above(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        "corrwise.experiments.runs.policies.GoalCost",
        lambda *_, **__: lambda frames, goal: torch.full(frames.shape[:3], torch.nan),
    )
    plain = MPCConfig(size=16, horizon=2, candidates=4, iterations=1, steps=2, costs=("l1",), videos=False)
    cell = Cell("l1", plain, draw_manifest("cartpole", [7]))
    rows = run_grid(tmp_path, [cell], executor=Local(1), lockstep=1)
    assert rejection_warnings(rows, ("task", "method")) == [Rejections(8, 8, 2, 2).sentence("cartpole, l1")]
    assert planned_rows(rows, ("task", "method")) == []
    monkeypatch.setattr("corrwise.experiments.studies.planning.cells_of", lambda config: [cell])
    assert cli.main(["table", "mpc", "--out", str(tmp_path), "--processes", "1"]) == 0
    output = capsys.readouterr()
    assert output.out.startswith("> **Warning:** cartpole, l1: 8 of 8 candidates")
    assert "corrwise: warning: cartpole, l1: 8 of 8 candidates" in output.err


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, ""),
        ({"rejected": 0, "scored": 8}, ""),
        ({"rejected": 3}, "m: 3 candidates had a cost that is not finite and were rejected"),
        (SOME, "m: 5 of 8 candidates had a cost that is not finite and were rejected; in 1 of 2 plans all were"),
        (ALL, "m: 8 of 8 candidates had a cost that is not finite and were rejected, all in every plan; "
         "nothing was planned, and its numbers are no result"),
    ],
)  # fmt: skip
def test_the_sentence_counts(counts, message):
    assert Rejections.in_rows([counts]).sentence("m") == message


def test_counts_are_over_all_rows_of_a_method():
    rows = [
        {"task": "a", "method": name, **counts} for name, counts in (("x", SOME), ("y", {}), ("x", ALL), ("z", ALL))
    ]
    first, second = rejection_warnings(rows, ("task", "method"))
    assert first.startswith("a, x: 13 of 16 candidates")
    assert second.startswith("a, z: 8 of 8 candidates")
    assert quoted([first]) == f"> **Warning:** {first}.\n\n"
    assert [row["method"] for row in planned_rows(rows, ("task", "method"))] == ["x", "x", "y"]


def _rows(**refused):
    base = {"task": "ant", "planner": "cem", "predictor": "oracle", "start_distance": 5.0, "last10_distance": 1.0}
    return [{**base, "cost": cost, "seed": i, **refused.get(cost, {})} for cost in ("l1", "corr") for i in range(7)]


def test_what_planned_nothing_is_compared_with_nothing():
    for lost in ("l1", "corr"):
        lines = {line.cost: line for line in summarize(_rows(**{lost: ALL}))}
        assert lines["corr"].pairs == 0
        assert lost not in result_sentence(list(lines.values()))
    lines = summarize(_rows(l1=ALL, corr=ALL))
    assert result_sentence(lines) == "Nothing was planned: 112 of 112 candidates had a cost that is not finite."
    assert {line.cost: line.pairs for line in summarize(_rows(corr=SOME))} == {"l1": 0, "corr": 7}


def test_the_report_says_why_a_line_stands_alone(fake_run):
    run = fake_run(costs=("l1", "corr-l1", "corr-l1-reg"), seeds=1, steps=3, images=False)
    for row in read_rows(run / "rows.jsonl"):
        append_row(run / "rows.jsonl", {**row, **(ALL if row["cost"] == "corr-l1" else {})})
    page = write_report(run).read_text()
    assert page.count("nothing was planned") == 2, "in the warning and in the table"
    assert "no shared episode" not in page


def test_the_text_of_a_run_without_the_baseline_says_that_it_was_not_run(fake_run):
    run = fake_run(costs=("corr-l1",), seeds=1, steps=3, images=False)
    text = run_text(read_rows(run / "rows.jsonl"))
    assert "l1 was not run" in text
    assert "no shared episode" not in text
