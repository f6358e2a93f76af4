"""``corrwise.experiments.plan``: the command ``corrwise mpc`` as a function."""

from __future__ import annotations

from dataclasses import replace

import pytest

from corrwise.experiments import cli, plan
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs.mpc import run_mpc
from corrwise.validation import ConfigError

OPTIONS = {"episodes": 2, "steps": 2, "horizon": 3, "candidates": 4, "iterations": 1, "size": 16, "videos": False}


def _timeless(rows):
    return [{name: value for name, value in row.items() if not name.startswith("seconds")} for row in rows]


def test_a_plan_has_the_rows_of_the_command_its_table_and_its_report(tmp_path, capsys):
    run = plan(task="cartpole", costs=["l1", "zero-action"], out=tmp_path, **OPTIONS)
    assert [(row["cost"], row["seed"]) for row in run.rows] == [
        *(("l1", 0), ("l1", 1)),
        *(("zero-action", 0), ("zero-action", 1)),
    ]
    assert capsys.readouterr().out == ""
    head, rule, *lines = run.table().splitlines()
    assert head.startswith("| cost | episodes | start and 2 steps |")
    assert set(rule) == {"|", "-"}
    assert [line.split(" | ")[:2] for line in lines] == [["| l1", "2"], ["| zero-action", "2"]]
    assert "zero-action" in run.report().read_text()
    again = plan(task="cartpole", costs=["l1", "zero-action"], out=tmp_path, **OPTIONS)
    assert again.rows == run.rows, "nothing is planned twice"
    config = replace(MPCConfig(costs=("l1",), **OPTIONS), out=tmp_path / "command")
    run_mpc(config)
    assert _timeless(plan(costs=["l1"], out=config.out, **OPTIONS).rows) == _timeless(run.rows[:2])


def test_a_plan_prints_what_the_command_prints(tmp_path, capfd):
    words = (
        "mpc --costs zero-action --episodes 2 --steps 2 --horizon 3 --candidates 4 --iterations 1 --size 16 --no-videos"
    )
    run = plan(costs=["zero-action"], out=tmp_path / "a" / "run", **OPTIONS)
    library = capfd.readouterr().err
    assert cli.main([*words.split(), "--out", str(tmp_path / "b" / "run")]) == 0
    command = capfd.readouterr().err
    lines = [
        [line for line in text.replace("\r", "\n").splitlines() if line and "%|" not in line]
        for text in (library, command)
    ]
    assert lines[0] == lines[1]
    assert lines[0][-1].startswith("zero-action: ")
    shown, rounded = lines[0][-1], run.table().splitlines()[-1].split(" | ")[2]
    assert shown.startswith(f"zero-action: {rounded} from the goal"), "as in the table"


def test_a_plan_without_a_folder_gets_a_temporary_one(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run = plan(costs=["zero-action"], **OPTIONS)
    assert run.out.parent == tmp_path
    assert (run.out / "rows.jsonl").is_file()


def test_a_plan_refuses_what_the_command_refuses():
    with pytest.raises(ConfigError, match="size must be at least 16 pixels, got 8"):
        plan(size=8)
    with pytest.raises(ConfigError, match=r"^plan has no option 'colour'; corrwise mpc --help lists them$"):
        plan(colour="red")
    with pytest.raises(ConfigError, match=r"^plan has no option 'tasks' \(did you mean task\?\); corrwise mpc --help"):
        plan(tasks=["cartpole"])
