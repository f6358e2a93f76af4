"""The table of denoisers: every arm is trained as it says, measured on the same windows, and compared by clip."""

from dataclasses import replace

import pytest

from corrwise.experiments import cli
from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.cli.table_flow_matching import Arm, FlowMatchingTableConfig
from corrwise.experiments.runs.collect import run_collect
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.studies.flow_matching.grid import grid_table
from corrwise.experiments.studies.flow_matching.measure import KEY
from corrwise.experiments.studies.flow_matching.table import (
    flow_matching_tables,
    run_flow_matching_table,
    train_config,
)
from corrwise.experiments.studies.predictors.evaluate import KEY as FRAMES_KEY
from corrwise.predictors.training.flow_matching import TIMES
from corrwise.validation import ConfigError


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    out = tmp_path_factory.mktemp("flow-matching")
    for name, seed in (("clips", 0), ("held", 100)):
        run_collect(CollectConfig(out=out / name, episodes=2, steps=6, size=16, seed=seed))
    return FlowMatchingTableConfig(
        data=out / "clips", held=out / "held", out=out / "table",
        arms=("data", "velocity@uniform@velocity", "mse", "svg-prime"),
        steps=2, own_frames_after=1, batch=2, crop=16, options=("width=4", "blocks=1"), nfe=(1, 2), samples=2, shown=2,
        windows=3, residuals=True, processes=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tiny):
    return run_flow_matching_table(tiny).read_text()


def test_clips_to_learn_from_are_not_held_out(tiny, tmp_path):
    with pytest.raises(ValueError, match="expected other clips as --held than as --data"):
        run_flow_matching_table(replace(tiny, held=tiny.data, out=tmp_path / "table"))
    assert not (tmp_path / "table").exists()


def test_arms_are_read_and_written():
    assert str(Arm.parse("min-snr:gamma=5@logit-normal:std=1")) == "min-snr:gamma=5@logit-normal:std=1"
    assert str(Arm.parse("data")) == "data@uniform"
    assert Arm.parse("velocity@cosmap@noise") == Arm("velocity", "cosmap", "noise")
    assert str(Arm.parse("mse")) == "mse"


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ("data@@data", "expected arms as WEIGHT"),
        ("data@uniform@flow", "data, velocity, noise behind the second @ of an arm, got 'data@uniform@flow'"),
        ("mse@uniform", "mse has no time law"),
        ("a/b", "expected arms as WEIGHT"),
    ],
)
def test_arms_that_cannot_be_read(arm, message):
    with pytest.raises(ConfigError, match=message):
        FlowMatchingTableConfig(arms=(arm,))


@pytest.mark.parametrize(("arm", "message"), [("dat", "did you mean data"), ("data@unifrom", "did you mean uniform")])
def test_unknown_weights_and_laws_are_refused_before_any_training(tiny, arm, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        run_flow_matching_table(replace(tiny, arms=(arm,), out=tmp_path / "table"))
    assert not (tmp_path / "table").exists()


def test_every_arm_is_trained_as_it_says(tiny):
    arms = {arm: train_config(tiny, arm, 1) for arm in tiny.arms}
    assert arms["mse"].objective == "predict"
    assert arms["mse"].loss == "mse"
    assert (arms["svg-prime"].model, arms["svg-prime"].loss) == ("svg-prime", "mse")
    assert arms["data@uniform"].time_weight == "data"
    assert arms["velocity@uniform@velocity"].options[-1] == "predicts=velocity"
    same = ("steps", "batch", "horizon", "crop", "lr", "seed", "data", "actions")
    for name in same:
        assert len({getattr(each, name) for each in arms.values()}) == 1, name
    assert train_config(replace(tiny, precision="bf16-mixed"), "mse", 0).precision == "bf16-mixed"


def test_rows_and_tables(tiny, made):
    rows = read_rows(tiny.out / "rows.jsonl", KEY)
    assert {row["model"] for row in rows} == {"data@uniform-0", "velocity@uniform@velocity-0"}
    assert all(len(row["velocity"]) == len(TIMES) for row in rows)
    by_window = {name: [row["clip"] for row in rows if row["model"] == name] for name in {r["model"] for r in rows}}
    assert len({tuple(clips) for clips in by_window.values()}) == 1, "the same windows"
    assert "Squared error of the velocity" in made
    for nfe in tiny.nfe:
        futures = read_rows(tiny.out / f"frames-{nfe}" / "rows.jsonl", FRAMES_KEY)
        assert {row["samples"] for row in futures} == {2}
    assert "| `mse+residuals` | 1 |" in made
    assert "1 evaluation a frame" in made
    assert "2 evaluations a frame" in made
    assert (tiny.out / "curves.png").stat().st_size > 1000


def test_a_second_run_makes_nothing_anew(tiny, made):
    before = (tiny.out / "rows.jsonl").read_bytes()
    assert run_flow_matching_table(tiny).read_text() == made
    assert (tiny.out / "rows.jsonl").read_bytes() == before


def test_differences_are_paired_by_clip():
    rows = [
        {"model": f"{arm}-0", "window": i, "clip": i, "velocity": [base + i, base + i]}
        for arm, base in (("a", 1.0), ("b", 1.5))
        for i in range(8)
    ]
    table = flow_matching_tables(rows, {}, first="a")
    assert "+0.500 (+0.500 to +0.500)" in table


def test_weights_and_laws_are_a_grid():
    values = {"a@uniform": 0.25, "a@mode": 0.5, "b@uniform": 0.125, "mse": 0.0, "b@uniform@velocity": 0.0}
    assert [line.replace(" ", "") for line in grid_table(values, digits=3, lower=True).splitlines()] == [
        "|weight|`uniform`|`mode`|", "|---|---|---|", "|`a`|0.250|0.500|", "|`b`|**0.125**||"
    ]  # fmt: skip
    assert grid_table({"a@uniform": 1.0, "a@mode": 2.0}, digits=1, lower=True) == ""


def test_bad_input_is_one_sentence(tiny, capsys):
    assert cli.main(["table", "flow-matching", "--data", str(tiny.out / "none"), "--out", str(tiny.out / "other")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
