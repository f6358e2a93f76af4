"""Ablations: one choice changed at a time, beside the choice made, on episodes that the planning table never uses."""

from dataclasses import asdict, replace

import pytest

from corrwise.envs.tasks.manifest import frozen_manifest
from corrwise.experiments import cli
from corrwise.experiments.cli.options import BODY_NAMES
from corrwise.experiments.cli.table_ablations import AXIS_NAMES
from corrwise.experiments.studies import ablations, planning
from corrwise.experiments.studies.ablations import AXES, COSTS, ablation_table, names, variants
from corrwise.experiments.studies.planning import BASELINE, OURS, method_config


def test_the_names_are_those_of_the_command_line():
    assert AXES == AXIS_NAMES
    for task in BODY_NAMES:
        named = [name for axis in AXES for name, _ in variants(axis, task)]
        assert len(set(named)) == len(named)
        assert named == [name for axis in AXES for name in names(axis, (BASELINE, OURS)) if name in named]


def _differs(one, other):
    one, other = asdict(one), asdict(other)
    return {name for name in one if one[name] != other[name]}


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("task", BODY_NAMES)
def test_each_variant_changes_one_thing(axis, task):
    for name, config in variants(axis, task):
        assert config.task == task
        if axis in COSTS:
            assert _differs(config, method_config(OURS, task)) == {"costs"}
        else:
            method = name.split()[0]
            assert _differs(config, method_config(method, task)) == set(axis.split("-"))
            assert config.costs == (method,)


def _row(method, seed, nearest):
    return {"task": "ant", "method": method, "seed": seed, "min_distance": nearest, "seconds": 20.0, "steps": 10}


def test_a_line_says_what_a_variant_gains_on_the_choice_made():
    rows = [
        _row(method, seed, value + seed)
        for method, value in (
            ("l1", 2.0),
            ("l1 horizon 6", 1.5),
            ("recommended", 1.0),
            ("recommended horizon 6", 1.2),
        )
        for seed in range(4)
    ]
    lines = ablation_table(rows, ["horizon"], ("l1", "recommended")).splitlines()
    assert lines[0] == "### horizon"
    assert "| **l1** | 3.50 |  | 2.00 |" in lines
    assert "| l1 horizon 6 | 3.00 | +0.50 (+0.50 to +0.50) | 2.00 |" in lines
    assert "| recommended horizon 6 | 2.70 | -0.20 (-0.20 to -0.20) | 2.00 |" in lines
    assert not any("horizon 16" in line for line in lines), "what was not measured is left out"
    assert ablation_table(rows, ["size"], ("l1", "recommended")) == "\n"


def test_the_command_tries_an_axis_on_tuning_episodes(tmp_path, monkeypatch, capsys):
    few = {"horizon": 2, "candidates": 4, "iterations": 1, "size": 16, "steps": 2}
    quick = replace(planning.PLAIN, **few)
    monkeypatch.setattr(planning, "PLAIN", quick)
    monkeypatch.setattr(
        ablations, "variants", lambda axis, task, methods: [("l1 horizon 8", replace(quick, horizon=1))]
    )
    out = tmp_path / "out"
    flags = ["--tasks", "cartpole", "--axes", "horizon", "--methods", "l1", "--episodes", "2", "--processes", "1"]
    assert cli.main(["table", "ablations", "--out", str(out), *flags]) == 0
    text = (out / "table.md").read_text()
    assert "| l1 horizon 8 |" in text
    assert "| **l1** |" in text
    assert not {1000, 1001} & set(frozen_manifest("cartpole").seeds.tolist())
    assert text.startswith("# Each choice changed alone\n\nTuning episodes, seeds 1000 to 1001. What was chosen")
    assert "chosen (cartpole cem, 2 steps):" in text
    assert capsys.readouterr().out == f"{text}\n{out / 'table.md'}\n"
    flags[flags.index("l1")] = "state"  # another command into the same folder
    assert cli.main(["table", "ablations", "--out", str(out), *flags]) == 0
    assert "| l1 horizon 8 |" in (out / "table.md").read_text()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--axes", "colour"], "unknown axis 'colour'; there are planner, horizon"),
        (["--methods", "ssim"], "unknown method 'ssim'; there are l1, recommended"),
        (["--seed", "9990"], "seed must be zero or above, its last below 10000, got 9990"),
        (["--episodes", "0"], "episodes must be at least 1, got 0"),
    ],
)
def test_bad_options_are_one_sentence(flags, message, tmp_path, capsys):
    assert cli.main(["table", "ablations", "--out", str(tmp_path / "run"), *flags]) == 2
    assert capsys.readouterr().err.startswith(f"corrwise: {message}")
    assert not (tmp_path / "run").exists()
