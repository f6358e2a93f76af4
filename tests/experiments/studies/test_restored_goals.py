"""Damaged and restored goal videos side by side: the cells, the table by hand, and a run that can be continued."""

from pathlib import Path

import pytest
import torch

from corrwise.experiments import cli
from corrwise.experiments.cli.table_restored_goals import RestoredGoalTableConfig
from corrwise.experiments.runs.grid import KEY
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.studies.restored_goals import cells_of, restored_tables
from corrwise.predictors.restoration import RestorationConfig, RestorationModel
from corrwise.validation import ConfigError


def test_all_arms_of_a_task_have_the_same_episodes_and_damage_and_the_clean_goal_has_one_cell():
    config = RestoredGoalTableConfig(models=(Path("a"), Path("b")), episodes=2)
    cells = cells_of(config)
    for task, model in zip(config.tasks, ("a", "b"), strict=True):
        mine = {cell.method: cell.config for cell in cells if cell.config.task == task}
        pixels = [f"{arm}, random:share=0.4" for arm in config.arms[1:]]
        small = [f"{arm}, downscale:factor=4" for arm in ("damaged", "frame-by-frame", "guided")]
        assert list(mine) == ["clean", *pixels, *small]
        assert len({cell.manifest.digest for cell in cells if cell.config.task == task}) == 1
        assert {each.damage for name, each in mine.items() if "random" in name} == {"random:share=0.4"}
        single, guided = (mine[f"{arm}, downscale:factor=4"] for arm in ("frame-by-frame", "guided"))
        assert (single.restore_carrier, single.restore_guidance) == ("resample", 0)
        assert (guided.restore_carrier, guided.restore_guidance) == ("auto", 1)
        assert Path(single.restore).name == Path(guided.restore).name == model
        assert mine["clean"].damage is None


def _row(method, seed, last, **more):
    return {"task": "ant", "method": method, "cost": "l1", "seed": seed, "last10_distance": last, "min_distance": 0.1,
            "seconds": 5.0, **more}  # fmt: skip


def test_the_table_by_hand():
    rows = [_row("clean", seed, 0.2) for seed in range(3)]
    rows += [_row("damaged, box", seed, 0.9, goal_psnr=9.0, seconds_restore=0.0) for seed in range(3)]
    rows += [_row("frame-by-frame, box", seed, 0.4, goal_psnr=20.0, seconds_restore=1.0) for seed in range(3)]
    rows += [_row("guided, box", seed, 0.3, goal_psnr=20.5, seconds_restore=2.0) for seed in range(2)]
    rows += [_row("damaged, random", 0, 0.7)]
    tables = restored_tables(rows).splitlines()
    assert [line for line in tables if line.startswith("###")] == ["### ant, box", "### ant, random"]
    clean, damaged, single, guided = tables[4:8]
    assert clean == "| *clean* (upper bound) | 3 | 0.200 ± 0.000 |  |  |  | 0.100 |  | 0.0 | 5.0 |"
    assert damaged == "| damaged | 3 | 0.900 ± 0.000 | +0.700 (+0.700 to +0.700) |  |  | 0.100 | 9.0 | 0.0 | 5.0 |"
    assert "| -0.500 (-0.500 to -0.500) |  | 0.100 | 20.0 | 1.0 | 4.0 |" in single
    assert "| 2 | 0.300 ± 0.000 | +0.100 (+0.100 to +0.100) | -0.600" in guided
    assert "| -0.100 (-0.100 to -0.100) | 0.100 | 20.5 | 2.0 | 3.0 |" in guided


def test_a_run_is_continued_and_its_rows_make_the_table(tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        RestorationModel(RestorationConfig(width=4, blocks=1, evaluations=1)).save_pretrained(tmp_path / "model")
    small = ["--goal-frames", "2", "--horizon", "2", "--candidates", "3", "--iterations", "1", "--size", "16"]
    words = ["table", "restored-goals", "--tasks", "cartpole", "--models", str(tmp_path / "model"), *small, "--steps",
             "3", "--damages", "random", "--cost", "mse", "--processes", "1", "--episodes", "1"]  # fmt: skip
    words += ["--out", str(tmp_path / "out")]
    assert cli.main([*words, "--arms", "clean", "damaged"]) == 0
    before = (tmp_path / "out/rows.jsonl").read_bytes()
    assert cli.main(words) == 0
    assert (tmp_path / "out/rows.jsonl").read_bytes().startswith(before)
    rows = read_rows(tmp_path / "out/rows.jsonl", KEY)
    arms = ["clean", *(f"{arm}, random" for arm in ("damaged", "inpainted", "frame-by-frame", "guided"))]
    assert [row["method"] for row in rows] == arms
    assert all(row["goal_psnr"] > rows[1]["goal_psnr"] for row in rows[2:])
    assert (tmp_path / "out/table.md").read_text() == restored_tables(rows)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "models must be a folder for frame-by-frame guided, got none"),
        ({"models": (Path("a"),) * 3}, "models must be one folder, or one for each of 2 tasks, got 3"),
        (
            {"models": (Path("a"),), "goal_frames": 0},
            "which frame-by-frame and guided restore alike: give one of them as --arms, or --goal-frames above 0",
        ),
        ({"arms": ("clean",), "cost": "state"}, "cost must be an image cost, got state"),
    ],
)
def test_bad_input_is_one_sentence(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        RestoredGoalTableConfig(**options)


def test_a_folder_without_a_model_is_one_sentence_and_nothing_is_written(tmp_path, capsys):
    (tmp_path / "none").mkdir()
    words = ["--models", str(tmp_path / "none"), "--tasks", "cartpole", "--episodes", "1", "--processes", "1"]
    assert cli.main(["table", "restored-goals", *words, "--size", "16", "--out", str(tmp_path / "out")]) == 2
    there = f"there is no model in {tmp_path}/none: expected config.json and model.safetensors"
    assert capsys.readouterr().err == f"corrwise: {there}\n"
    assert not (tmp_path / "out").exists()
