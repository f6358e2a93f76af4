"""Folders of other commands are named, whichever command is given one."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from corrwise.experiments.cli import commands, main
from corrwise.experiments.runs.owner import owner_of

RESULTS = Path(__file__).parents[3] / "docs/results"
OPTIONS = {name: [each.name for each in fields(made.config) if each.name != "out"] for name, made in commands().items()}
WITH_ROWS = {name: options for name, options in OPTIONS.items() if len(options) > 3}


@pytest.mark.parametrize("name", WITH_ROWS)
def test_settings_are_those_of_one_command_also_with_more_of_them(name):
    assert owner_of(WITH_ROWS[name]) == f"corrwise {name}"
    assert owner_of([*WITH_ROWS[name], "spot_checks"]) == f"corrwise {name}"


@pytest.mark.parametrize(
    ("folder", "owner"),
    [
        ("toy/curves", "corrwise toy"),
        ("restoration/carriers", "corrwise table noise-carriers"),
        ("flow-matching/plans/oracle", "corrwise mpc"),
        ("table-mpc", "a corrwise table of plans"),
        ("agents", ""),  # of an older version
    ],
)
def test_published_folders_have_an_owner_unless_they_are_too_old(folder, owner):
    assert owner_of(json.loads((RESULTS / folder / "config.json").read_text())) == owner


def test_a_folder_of_another_command_is_refused_and_stays_as_it_is(tmp_path, capsys):
    settings = {**dict.fromkeys(OPTIONS["restore"]), "source": "1", "weights": "2", "seed": 0}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    (tmp_path / "rows.jsonl").write_text('{"frame": 0, "visible": 1.0}\n')
    out = ["--out", str(tmp_path)]
    for words, advice in (
        (["report", str(tmp_path)], "corrwise report takes one of corrwise mpc"),
        (["table", "noise-carriers", *out], "choose another output folder"),
        (["mpc", "--costs", "zero-action", *out], "choose another output folder"),
        (["table", "mpc", *out], "choose another output folder"),
    ):
        assert main(words) == 2
        assert capsys.readouterr().err == f"corrwise: {tmp_path} is the folder of corrwise restore; {advice}\n"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.json", "rows.jsonl"]
