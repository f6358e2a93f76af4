"""Evaluating predictors: what the numbers mean, and rows that are made once."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from corrwise.experiments import cli
from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.report.table import NONE
from corrwise.experiments.runs.collect import run_collect
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.runs.settings import ConfigMismatch
from corrwise.experiments.studies.predictors.evaluate import KEY, predict, run_evaluate
from corrwise.experiments.studies.predictors.evaluation import (
    draw_curves,
    draw_strips,
    evaluation_table,
    metrics_of,
    moving_square,
)
from corrwise.predictors import CopyLast, metrics
from corrwise.predictors.data import ClipFolder, ClipWindows
from corrwise.predictors.metrics import METRICS, lpips_if_present
from corrwise.predictors.models.registry import make_model


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    run_collect(CollectConfig(out=folder, episodes=3, steps=9, size=32))
    return folder


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    made = make_model("resnet3d", context=2, action_dim=1, width=2, downs=2, blocks3d=1, blocks2d=1)
    made.save_pretrained(tmp_path / "small" / "model")
    return tmp_path / "small"


def test_rows_table_curves_videos_and_page(clips, model, tmp_path):
    config = EvaluateConfig(models=(model,), data=clips, out=tmp_path / "ev", horizon=3, windows=5, videos=2)
    page = run_evaluate(config).read_text()
    rows = read_rows(config.out / "rows.jsonl", KEY)
    assert [(row["model"], row["window"]) for row in rows] == [(m, k) for m in ("small", "copy-last") for k in range(5)]
    assert all(len(row[name]) == 3 for row in rows for name in (*METRICS, "gradient_error"))
    assert '<video src="videos/window-1.mp4"' in page
    assert (config.out / "videos" / "window-1.mp4").stat().st_size > 500
    assert page.count("data:image/png;base64,") == 2, "curves and strips"
    assert "| small | 5 |" in (config.out / "table.md").read_text()
    assert (lpips_if_present() is None) == ("LPIPS was not measured" in page)
    run_evaluate(config)
    assert read_rows(config.out / "rows.jsonl", KEY) == rows, "nothing is measured twice"


@pytest.mark.usefixtures("undrawn")
def test_a_model_of_strides_is_evaluated_on_the_frames_of_the_others(clips, model, tmp_path):
    torch.manual_seed(0)
    strided = make_model("resnet3d", context=2, action_dim=2, width=2, downs=2, blocks3d=1, blocks2d=1)
    strided.save_pretrained(tmp_path / "strides", {"stride": 2})
    config = EvaluateConfig(
        models=(model, tmp_path / "strides"), data=clips, out=tmp_path / "ev", horizon=3, windows=4, videos=0
    )  # fmt: skip
    run_evaluate(config)
    rows = read_rows(config.out / "rows.jsonl", KEY)
    assert [row["model"] for row in rows[::4]] == ["small", "strides", "copy-last"]
    assert all(len(row["psnr"]) == 3 and row["broken"] == 0 for row in rows)
    assert all(row["clip"] == rows[row["window"]]["clip"] for row in rows), "the same windows"
    assert json.loads((config.out / "config.json").read_text())["context"] == 3
    with pytest.raises(ConfigMismatch, match=r"stride.interpolator is .blend. there and .average. here"):
        run_evaluate(replace(config, stride_interpolator="average"))
    with pytest.raises(ValueError, match="at least one stride of 2 control steps, got 1"):
        run_evaluate(replace(config, horizon=1, out=tmp_path / "short"))


@pytest.mark.usefixtures("undrawn")
def test_rows_have_st_lpips_where_its_weights_are_and_older_rows_are_still_shown(clips, model, tmp_path, monkeypatch):
    class Fake:
        smallest = 21

        def __call__(self, x, y):
            assert len(x) <= 32, "memory"
            return (x - y).square().mean(dim=(-3, -2, -1))

    monkeypatch.setattr(metrics, "st_lpips_if_present", lambda: None)
    config = EvaluateConfig(models=(model,), data=clips, out=tmp_path / "ev", horizon=3, windows=12, videos=0)
    assert "ST-LPIPS was not measured" in run_evaluate(config).read_text()
    older = read_rows(config.out / "rows.jsonl", KEY)
    assert not any("st_lpips" in row for row in older)
    monkeypatch.setattr(metrics, "st_lpips_if_present", Fake)
    assert "ST-LPIPS was not measured" in run_evaluate(config).read_text()
    assert read_rows(config.out / "rows.jsonl", KEY) == older
    page = run_evaluate(replace(config, out=tmp_path / "new")).read_text()
    assert "ST-LPIPS (lower is better)" in page
    assert "ST-LPIPS was not measured" not in page
    for row in read_rows(tmp_path / "new" / "rows.jsonl", KEY):
        assert row["st_lpips"] == pytest.approx([10 ** (-psnr / 10) for psnr in row["psnr"]], rel=1e-3, abs=1e-9)


def test_the_floor_is_the_last_frame_and_rows_are_of_the_frames_that_came(clips):
    windows = ClipWindows(ClipFolder(clips), 5)
    batch = windows.windows(np.array([2]))
    shown = predict(CopyLast(), batch, 2)
    assert torch.equal(shown, batch.frames[:, 1:2].expand(-1, 3, -1, -1, -1))


def test_the_table_leaves_out_frames_in_which_nothing_moved():
    one = {"model": "a", "clip": 0, "psnr": [10.0, 20.0], "ssim": [0.5, 0.7], "sharpness": [None, 0.5]}
    rows = [one, {**one, "clip": 1, "psnr": [20.0, 30.0], "sharpness": [None, None]}]
    assert f"| a | 2 | 20.00 ± 5.00 | 0.600 ± 0.000 | 0.500 ± {NONE} |" in evaluation_table(rows)


def test_the_error_of_the_gradient_stands_where_sharpness_stood_if_all_rows_have_it():
    old = {"model": "a", "clip": 0, "psnr": [10.0], "ssim": [0.5], "sharpness": [0.5]}
    new = {**old, "model": "b", "gradient_error": [0.25]}
    assert metrics_of([new]) == ["psnr", "ssim", "gradient_error"]
    assert metrics_of([old]) == metrics_of([old, new]) == ["psnr", "ssim", "sharpness"]
    assert "gradient error" in evaluation_table([new])
    assert "sharpness" not in evaluation_table([new])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--models": "nowhere"}, "there is no model in nowhere"),
        ({"--data": "nowhere"}, "there is no folder of clips at nowhere"),
        ({"--horizon": "20"}, "expected clips of at least 22 frames"),
        ({"--windows": "0"}, "windows must be at least 1, got 0"),
    ],
)
def test_bad_input_is_one_sentence(clips, model, tmp_path, capsys, change, message):
    options = {"--models": str(model), "--data": str(clips), "--out": str(tmp_path / "ev"), **change}
    assert cli.main(["evaluate", *(word for pair in options.items() for word in pair)]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "ev").exists()


def test_a_model_for_other_actions_is_one_sentence(clips, tmp_path, capsys):
    made = make_model("resnet3d", context=2, action_dim=3, width=2, downs=2, blocks3d=1, blocks2d=1)
    made.save_pretrained(tmp_path / "other")
    words = ["evaluate", "--models", str(tmp_path / "other"), "--data", str(clips), "--out", str(tmp_path / "ev")]
    assert cli.main([*words, "--horizon", "3"]) == 2
    assert "expected clips with 3 actions a step for other, got 1" in capsys.readouterr().err
    assert not (tmp_path / "ev").exists()
    assert json.loads((tmp_path / "other" / "config.json").read_text())["model"] == "resnet3d"


@pytest.mark.parametrize(
    ("trained", "message"),
    [
        ({"task": "ant"}, "was trained on clips of task ant, and these are of cartpole"),
        ({"size": [24, 24]}, r"was trained on clips of size [24, 24], and these are of [32, 32]"),
        ({"supersample": 2}, "was trained on clips of supersample 2, and these are of 1"),
    ],
)
def test_a_model_of_other_clips_is_one_sentence(clips, tmp_path, capsys, trained, message):
    made = make_model("resnet3d", context=2, action_dim=1, width=2, downs=2, blocks3d=1, blocks2d=1)
    made.save_pretrained(tmp_path / "other", {"clips": trained})
    words = ["evaluate", "--models", str(tmp_path / "other"), "--data", str(clips), "--out", str(tmp_path / "ev")]
    assert cli.main([*words, "--horizon", "3"]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "ev").exists()


@pytest.mark.usefixtures("undrawn")
def test_rows_of_fewer_clips_are_not_mixed_in(model, tmp_path):
    clips = CollectConfig(out=tmp_path / "clips", episodes=1, steps=9, size=32)
    run_collect(clips)
    config = EvaluateConfig(models=(model,), data=clips.out, out=tmp_path / "ev", horizon=3, windows=2, videos=0)
    run_evaluate(config)
    run_collect(replace(clips, episodes=2))
    with pytest.raises(ConfigMismatch, match="frames is 10 there and 20 here"):
        run_evaluate(config)


def test_models_of_several_seeds_share_a_colour(tmp_path, monkeypatch):
    drawn, save = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *to, **how: (drawn.append(figure), save(figure, *to, **how)))
    models = ("copy-last", "svg-l1-0", "svg-l1-1", "mine")
    draw_curves(tmp_path / "curves.png", [{"model": model, "psnr": [30.0, 20.0]} for model in models])
    (figure,) = drawn
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["copy-last", "svg-l1, 2 models", "mine"]
    lines = dict(zip(models, figure.axes[0].get_lines(), strict=True))
    colours = {model: line.get_color() for model, line in lines.items()}
    assert colours["svg-l1-0"] == colours["svg-l1-1"]
    assert len({colours[model] for model in ("copy-last", "svg-l1-0", "mine")}) == 3
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_strips_show_the_square_that_moves():
    clip = np.zeros((3, 20, 40, 3), np.uint8)
    for t in range(3):
        clip[t, 8:10, 30 + t : 33 + t] = 255
    top, left, side = moving_square(clip)
    assert (top, left, side) == (2, 26, 13)
    assert moving_square(clip[:1]) == (0, 0, 40)
    clip[:, :, 0] = np.array([0, 90, 180])[:, None, None]
    assert moving_square(clip) == (0, 7, 20), "no larger than the frame"


@pytest.mark.parametrize(("panels", "lines"), [(2, 6), (8, 24), (14, 14)])
def test_the_image_of_many_models_shows_fewer_windows(panels, lines, tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, to, **_: (saved.append(figure), Path(to).write_bytes(b"-")))
    clips = torch.rand(3, 4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    draw_strips(tmp_path / "strips.png", {f"model {i}": clips for i in range(panels)}, context=2)
    assert saved[0].get_size_inches()[1] == pytest.approx(1.1 * lines + 0.3), "1.1 inches a line"
