"""Measuring how futures move: rows that are made once, distances with known answers, tables and videos."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from corrwise.costs.motion.score import LEVELS, level_means, level_shares, wasserstein
from corrwise.experiments import cli
from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.report.statistics import over_samples
from corrwise.experiments.report.table import NONE
from corrwise.experiments.runs.collect import run_collect
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.runs.settings import ConfigMismatch
from corrwise.experiments.studies.motion.distances import Pooled
from corrwise.experiments.studies.motion.measure import ACCELERATIONS, KEY, LENGTHS, REAL, videos
from corrwise.experiments.studies.motion.run import broken_futures, run_motion
from corrwise.experiments.studies.motion.table import motion_page, motion_tables
from corrwise.experiments.studies.predictors.evaluate import run_evaluate
from corrwise.predictors.models.registry import make_model
from corrwise.validation import ConfigError
from tests.experiments.runs.test_row_docs import ROOT, documented
from tests.predictors.tiny_models import awake


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return the options of a run that has been made."""
    folder = tmp_path_factory.mktemp("motion")
    run_collect(CollectConfig(out=folder / "clips", episodes=3, steps=9, size=32))
    torch.manual_seed(0)
    small = {"context": 2, "action_dim": 1, "width": 2}
    point = make_model("resnet3d", **small, downs=2, blocks3d=1, blocks2d=1)
    drawn = make_model("svg-prime", **small, features=4, latent=2, hidden=4)
    for name, model in (("small", point), ("drawn", awake(drawn))):
        model.save_pretrained(folder / name / "model")
    config = EvaluateConfig(
        models=(folder / "drawn", folder / "small"), data=folder / "clips", out=folder / "ev", horizon=4, windows=5,
        samples=3, videos=1, motion=True, motion_flow="dis", motion_interpolator="blend",
    )  # fmt: skip
    assert run_motion(config) == folder / "ev" / "motion.html"
    return config


def rows_of(config):
    return read_rows(config.out / "rows.jsonl", KEY)


def test_rows_of_all_models_of_the_true_frames_and_of_a_still_video(run):
    rows = rows_of(run)
    models = (REAL, "drawn", "small", "copy-last")
    assert [(row["model"], row["window"]) for row in rows] == [(m, k) for m in models for k in range(5)]
    assert {row["model"]: row["samples"] for row in rows} == {REAL: 1, "drawn": 3, "small": 1, "copy-last": 1}
    for row in rows:
        assert len(row[LENGTHS]) == len(row[ACCELERATIONS]) == LEVELS
        assert ("energy" in row) == (row["model"] != REAL)
        if row["model"] == "copy-last":
            assert (row["smoothness"], row["dynamic"], row["largest"], max(row[LENGTHS])) == (1, 0, 0, 0)
    assert max(max(row[LENGTHS]) for row in rows if row["model"] == REAL) > 0.5
    names = documented((ROOT / "docs" / "rows.md").read_text("utf-8"))
    assert not set(rows[0]) - names
    before = (run.out / "rows.jsonl").read_bytes()
    run_motion(run)
    assert (run.out / "rows.jsonl").read_bytes() == before, "nothing is measured twice"


def test_a_stopped_run_goes_on_with_the_same_rows(run, tmp_path):
    rows = (run.out / "rows.jsonl").read_bytes().splitlines(keepends=True)
    config = replace(run, out=tmp_path, videos=0, batch=2)
    (tmp_path / "config.json").write_bytes((run.out / "config.json").read_bytes())
    (tmp_path / "rows.jsonl").write_bytes(b"".join(rows[:8]) + rows[8][:40])
    run_motion(config)
    again = rows_of(config)
    assert len(again) == len(rows)
    for one, two in zip(rows_of(run), again, strict=True):
        for name in ("smoothness", "dynamic", "largest", LENGTHS, "energy"):
            assert np.allclose(one.get(name, 0), two.get(name, 0), rtol=0.02, atol=1e-3), name  # another batch


def test_a_row_that_was_edited_to_another_clip_is_made_again(run, tmp_path):
    config = replace(run, out=tmp_path / "edited", videos=0)
    shutil.copytree(run.out, config.out)
    rows = rows_of(run)
    edited = [{**row, "clip": row["clip"] + 7} if number == 3 else row for number, row in enumerate(rows)]
    (config.out / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in edited))
    run_motion(config)
    *_, last = again = rows_of(config)
    assert len(again) == len(rows) + 1
    assert {**last, "versions": {}} == {**rows[3], "versions": {}}
    assert (config.out / "table.md").read_text() == (run.out / "table.md").read_text()


def test_the_page_and_the_videos_are_there(run):
    page = (run.out / "motion.html").read_text()
    assert '<video src="videos/window-0.mp4"' in page
    assert "Side by side" in page
    assert page.count("data:image/png;base64,") == 3, "distributions, colour wheel and strips"
    assert (run.out / "videos" / "window-0.mp4").stat().st_size > 500
    table = (run.out / "table.md").read_text()
    assert "| copy-last | 1 | 1.0000 ± 0.0000 | 0.000 ± 0.000 | 0.500 |" in table
    assert "### More than drawn" in table
    assert "### Farther from the true frames than drawn" in table
    assert "(dis)" in table
    assert "that blend makes" in table


def test_rows_of_another_flow_are_not_mixed(run, tmp_path):
    with pytest.raises(ConfigMismatch, match=r"motion.flow is .dis. there and .tv-l1. here"):
        run_motion(replace(run, motion_flow="tv-l1"))
    shutil.copytree(run.models[1], tmp_path / "true")
    with pytest.raises(ValueError, match="not named true"):
        run_motion(replace(run, models=(tmp_path / "true",), out=tmp_path / "ev"))


def test_losses_of_other_models_are_refused_before_anything_is_measured(run, tmp_path):
    line = {"model": "arm-0", "weights": "others", "window": 0, "clip": 0, "velocity": [1.0]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(ValueError, match="at least 3 models with a held-out loss in --losses, got 0"):
        run_motion(replace(run, losses=tmp_path, out=tmp_path / "few"))
    assert not (tmp_path / "few").exists()


def test_options_that_need_each_other(run):
    for options, sentence in (
        ({"samples": 0}, "give --samples, too"),
        ({"horizon": 1}, "--horizon of at least 2"),
        ({"residuals": run.data}, "leave them out"),
        ({"motion": False, "blind": 2}, "--blind needs --motion"),
        ({"fps": 100}, "--fps 100 keeps one of 12 frames: give a --horizon of at least as many"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            replace(run, **options)


def of_lengths(model, clip, window, values):
    few = level_means(torch.as_tensor(values)[None])[0].tolist()
    return {"model": model, "clip": clip, "window": window, LENGTHS: few, ACCELERATIONS: few}


def test_pooled_distances_are_those_of_all_pixels_together():
    draw = np.random.default_rng(0)
    true = [of_lengths(REAL, k // 2, k, draw.random(400)) for k in range(6)]
    same = [{**row, "model": "same"} for row in true]
    shifted = [{**row, "model": "far", LENGTHS: [value + 0.5 for value in row[LENGTHS]]} for row in true]
    other = [of_lengths("other", k // 2, k, draw.random(400) * (1 + k)) for k in range(6)]
    pooled = Pooled(true, {"same": same, "far": shifted, "other": other}, LENGTHS)
    assert pooled.distance("same") == (0, 0, 0)
    assert pooled.distance("far") == pytest.approx((0.5, 0.5, 0.5))
    one, two = (torch.tensor([row[LENGTHS] for row in rows]) for rows in (other, true))
    exact = wasserstein(one, two, level_shares().expand(6, -1), level_shares().expand(6, -1))
    distance = pooled.distance("other")
    assert distance.value == pytest.approx(exact, rel=1e-3)
    assert distance.low < exact < distance.high
    more = pooled.difference("other", "far")
    assert more.value == pytest.approx(exact - 0.5, rel=1e-2)


def test_each_clip_has_the_same_weight():
    true = [of_lengths(REAL, clip, k, [0.0] * 9) for k, clip in enumerate((0, 1, 1, 1))]
    model = [of_lengths("m", clip, k, [1.0 * (clip == 0)] * 9) for k, clip in enumerate((0, 1, 1, 1))]
    assert Pooled(true, {"m": model}, LENGTHS).distance("m").value == pytest.approx(0.5)


def test_the_interval_of_a_whole_sample_is_that_of_its_mean():
    values = np.random.default_rng(1).normal(2, 1, 50)
    made = over_samples(50, lambda chosen: values[chosen].mean(axis=1))
    assert made.value == pytest.approx(values.mean())
    assert made.high - made.low == pytest.approx(2 * 1.96 * values.std() / 50**0.5, rel=0.15)


def test_tables_of_one_model_compare_with_nothing():
    base = {"smoothness": 0.9, "dynamic": 0.5, "largest": 1.0, "samples": 2}
    rows = [{**of_lengths(model, 0, 0, [0.5, 1.0]), **base} for model in (REAL, "m")]
    page = motion_page(motion_tables(rows, flow="dis", interpolator="blend"))
    assert "More than" not in page
    assert f"| m | 2 | 0.9000 ± {NONE} | 0.500 ± {NONE} | 0.700 |" in page


def test_frames_that_are_not_finite_are_black_and_counted():
    futures = torch.ones(1, 2, 3, 3, 4, 4)
    futures[0, 1, 2, 0, 0, 0] = torch.nan
    made = videos(torch.full((1, 3, 4, 4), 0.5), futures)
    assert made.shape == (1, 2, 4, 3, 4, 4)
    assert made[0, :, 0].unique().tolist() == [0.5]
    assert made[0, 1, 3].unique().tolist() == [0]
    row = {"model": "m", "broken_samples": 2, "samples": 2, "energy": [1.0, 2.0]}
    sentence = "m: 2 of 4 sampled frames are not finite and count as black"
    assert broken_futures([row, {"model": REAL}]) == [sentence]
    sentence = "m: 4 of 4 sampled frames are not finite and count as black; its numbers are no result"
    assert broken_futures([{**row, "broken_samples": 4}]) == [sentence]


def test_the_command_line_writes_the_page(run, tmp_path, capsys):
    words = f"--models {run.models[1]} --data {run.data} --out {tmp_path / 'ev'} --horizon 2 --windows 2 --samples 2"
    words += " --videos 0 --motion --motion-flow dis --motion-interpolator blend"
    assert cli.main(["evaluate", *words.split()]) == 0
    assert capsys.readouterr().out.endswith("motion.html\n")
    assert "Side by side" not in (tmp_path / "ev" / "motion.html").read_text()
    assert json.loads((tmp_path / "ev" / "config.json").read_text())["motion_flow"] == "dis"
    with pytest.raises(Exception, match="expected a list of finite numbers"):
        run_evaluate(replace(run, out=tmp_path / "ev", motion=False))
