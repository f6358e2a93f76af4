"""The table of predictors: clips, models, frames and plans in one resumable folder."""

import json
from dataclasses import asdict, replace

import pytest

from corrwise.experiments import cli
from corrwise.experiments.cli.table_predictors import Arm, PredictorTableConfig
from corrwise.experiments.runs.grid import KEY
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.studies.predictors.table import (
    held_frames,
    held_plans,
    predictor_tables,
    run_predictor_table,
    train_config,
    warm_config,
)

TINY = PredictorTableConfig(
    tasks=("cartpole",), seeds=1, clips=2, eval_episodes=1, warm=1, steps=1, batch=2, horizon=2, windows=3,
    shown=3, episodes=1, plan_horizon=2, candidates=4, iterations=1, cost="l1", size=32, processes=1,
)  # fmt: skip


ARMS = (  # in the order of tables
    "resnet3d-l1", "resnet3d-corr-l1:flow=all-pairs", "resnet3d-corr-l1:flow=dis",
    "resnet3d-corr-l1:flow=dis,directions=1", "resnet3d-corr-l1:flow=affine", "resnet3d-corr-l1",
    "resnet3d-corr-l1:form=reg", "resnet3d-l1:vgg=st-alex", "resnet3d-corr-l1:flow=dis,vgg=st-alex", "resnet3d-mse",
    "resnet3d-corr-mse:flow=dis", "resnet3d-corr-mse", "svg-mse", "svg-corr-mse:flow=dis", "svg-prime-mse",
    "svg-prime-corr-mse:flow=dis",
)  # fmt: skip


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_is_a_model_and_a_loss(arm):
    config = train_config(TINY, "ant", arm, 2)
    assert f"{config.model}-{config.loss}" == arm == str(Arm.parse(arm))
    twin = asdict(train_config(TINY, "ant", str(Arm.parse(arm).pixel_wise), 2))
    differs = {name for name, value in asdict(config).items() if value != twin[name]}
    assert differs <= {"loss", "out"}, "twins differ in their loss alone, and begin with the same weights"


@pytest.mark.parametrize(
    ("arm", "twin"),
    [
        ("resnet3d-corr-l1:flow=dis,directions=1", "resnet3d-l1"),
        ("svg-prime-corr-mse:form=reg,magnitude=2", "svg-prime-mse"),
        ("resnet3d-corr-l1:flow=dis,vgg=st-alex", "resnet3d-l1:vgg=st-alex"),
        ("resnet3d-l1:vgg=st-alex", "resnet3d-l1:vgg=st-alex"),
    ],
)
def test_an_arm_is_compared_with_its_base_distance_at_the_same_place(arm, twin):
    assert str(Arm.parse(arm).pixel_wise) == twin


def test_an_arm_has_one_name_and_one_place_in_tables():
    assert PredictorTableConfig(arms=("resnet3d-corr-l1:epsilon=0.1,flow=dis",)).arms == ("resnet3d-corr-l1:flow=dis",)
    assert tuple(sorted(sorted(ARMS), key=lambda arm: Arm.parse(arm).place)) == ARMS


def test_arms_of_a_model_begin_with_the_same_weights():
    first = {warm_config(TINY, "ant", arm, 0) for arm in ARMS if arm.startswith("resnet3d-")}
    assert [(config.loss, config.horizon) for config in first] == [("mse", 1)]
    assert train_config(TINY, "ant", "resnet3d-corr-l1:flow=dis", 0).init_from == str(first.pop().out)


def test_the_arms_of_every_model_are_trained_and_evaluated(tmp_path):
    arms = ("resnet3d-corr-mse:form=reg", "svg-mse", "svg-prime-mse")
    table = run_predictor_table(replace(TINY, out=tmp_path, arms=arms, episodes=0, size=64)).read_text()
    for arm in arms:
        assert f"| cartpole | `{arm}` | 1 |" in table
    models = {folder.name for folder in (tmp_path / "models" / "cartpole").iterdir()}
    assert models == {f"{arm}-0" for arm in (*arms, "resnet3d-warm", "svg-warm", "svg-prime-warm")}


def test_a_run_is_continued_and_the_table_shows_all_that_the_folder_holds(tmp_path, monkeypatch):
    config = replace(TINY, out=tmp_path, arms=("resnet3d-corr-l1:flow=dis",))
    run_predictor_table(config)
    rows = read_rows(tmp_path / "plans" / "rows.jsonl", KEY)
    assert [row["method"] for row in rows] == ["zero-action", "oracle", "copy-last", "resnet3d-corr-l1:flow=dis-0"]
    table = run_predictor_table(replace(config, arms=("resnet3d-l1",), episodes=0)).read_text()
    frames, plans = table.split("### Plans")
    lines = [line.split("|")[2].strip(" `") for line in frames.splitlines() if line.startswith("| cartpole")]
    assert lines == ["resnet3d-l1", "resnet3d-corr-l1:flow=dis", "copy-last"]
    assert "`resnet3d-corr-l1:flow=dis`" in plans
    assert "`resnet3d-l1`" not in plans, "its plans were not asked for"
    monkeypatch.setattr("corrwise.experiments.runs.episodes.EpisodeRunner.__call__", None)
    assert run_predictor_table(config).read_text() == table, "nothing is made twice"


def test_of_what_was_made_twice_the_newest_counts(tmp_path):
    file = tmp_path / "frames" / "ant" / "rows.jsonl"
    file.parent.mkdir(parents=True)
    window = {
        "model": "resnet3d-l1-0",
        "window": 0,
        "clip": 0,
        **{name: [1.0] for name in ("psnr", "ssim", "sharpness")},
    }
    file.write_text("".join(f"{json.dumps({**window, 'weights': weights})}\n" for weights in ("old", "new")))
    assert [row["weights"] for row in held_frames(tmp_path)["ant"]] == ["new"]
    assert held_plans(tmp_path) == []
    file = tmp_path / "plans" / "rows.jsonl"
    file.parent.mkdir()
    row = {"task": "ant", "method": "resnet3d-l1-0", "seed": 1, "min_distance": 1.0, "last10_distance": 1.0}
    file.write_text("".join(f"{json.dumps({**row, 'settings': each})}\n" for each in ("old", "new")))
    assert held_plans(tmp_path) == [{**row, "method": "resnet3d-l1", "settings": "new"}]


def _frames(model, clip, sharpness):
    window = {"model": model, "clip": clip, "psnr": [30.0], "ssim": [0.9]}
    return [{**window, "sharpness": [sharpness - 0.1, None]}, {**window, "sharpness": [sharpness + 0.1]}]


def test_tables_pair_clips_and_episodes():
    frames = _frames("copy-last", 0, 1.0)
    for clip in range(3):
        for seed, better in ((0, 0.1), (1, 0.3)):
            frames += _frames(f"resnet3d-l1-{seed}", clip, 0.5 + 0.1 * clip)
            frames += _frames(f"resnet3d-corr-l1:flow=dis-{seed}", clip, 0.5 + 0.1 * clip + better)
    with_more = [row | {"st_lpips": [0.25] * len(row["psnr"])} for row in frames]
    assert "sharpness | st_lpips | psnr: more" in predictor_tables({"cartpole": with_more}, [])
    assert "st_lpips" not in predictor_tables({"cartpole": [*with_more, frames[0]]}, [])
    plans = [
        {
            "task": "cartpole",
            "method": method,
            "seed": seed,
            "min_distance": near + 0.1 * seed,
            "last10_distance": 2 * near + 0.1 * seed,
            "seconds": 1.0,
            "steps": 1,
        }
        for method, near in (
            ("zero-action", 2.0),
            ("oracle", 0.5),
            ("resnet3d-l1", 1.5),
            ("resnet3d-corr-l1:flow=dis", 0.8),
        )
        for seed in range(3)
    ]
    text = predictor_tables({"cartpole": frames}, plans)
    assert "| `resnet3d-corr-l1:flow=dis` | 2 | 30.000 ± 0.000 | 0.900 ± 0.000 | 0.800 ± 0.058 | 0.000 (" in text
    assert "+0.200 (+0.200 to +0.200) [+0.100, +0.300]" in text
    last = "1.70 | 80% (80% to 80%) | 1.40 (1.40 to 1.40)"
    assert f"| `resnet3d-corr-l1:flow=dis` | 3 | {last} | 0.90 | 80% (80% to 80%) | 0.70 (0.70 to 0.70) |" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--arms", "gan-l1"], "unknown arm 'gan-l1'; expected a model (resnet3d, svg, svg-prime, denoiser)"),
        (["--arms", "flavr-l1"], "unknown arm 'flavr-l1'"),
        (["--arms", "svg-l3"], "unknown cost 'l3'"),
        (["--arms", "svg-state"], "unknown cost 'state'"),
        (["--arms", "svg-l1:vgg=a/vgg.pth"], "expected weights that have a name in an arm, got 'svg-l1:vgg=a/vgg.pth'"),
        (["--arms", "svg-l1", "svg-l1"], "arms must be different from each other, got svg-l1 svg-l1"),
        (["--tasks", "cat"], "unknown task 'cat'"),
        (["--cost", "l3"], "unknown cost 'l3'"),
        (["--episodes", "101"], "episodes must be at most 100, got 101"),
        (["--steps", "0"], "steps must be at least 1, got 0"),
    ],
)
def test_bad_options_are_one_sentence(tmp_path, capsys, arguments, message):
    assert cli.main(["table", "predictors", "--out", str(tmp_path / "x"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 50, "arms": ("resnet3d-l1",)}, "multiples of 4"),
        ({"size": 36, "arms": ("svg-mse",)}, "36"),
        ({"size": 16, "arms": ("resnet3d-corr-l1:flow=raft",)}, "at least 32 pixels for resnet3d-corr-l1:flow=raft"),
        ({"arms": ("resnet3d-corr-l1:flow=dis,form=reg",)}, "needs a flow with gradients, got DISFlow"),
        ({"tasks": ("ant",), "shown": 30}, "expected context and horizon of at most the 31 frames of ant, got 32"),
    ],
)
def test_what_can_only_fail_later_is_refused_at_once(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        run_predictor_table(replace(TINY, out=tmp_path / "table", **options))
    assert not (tmp_path / "table").exists()
