"""``corrwise table interpolators``: windows, exact flow, what rows measure, and how arms are compared."""

import json
import re
from dataclasses import replace
from inspect import signature

import numpy as np
import pytest
import torch
from PIL import Image

from corrwise.experiments.cli import main
from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.cli.import_clips import ImportConfig
from corrwise.experiments.cli.table_interpolators import GROUND_TRUTH, InterpolatorTableConfig
from corrwise.experiments.runs.collect import run_collect
from corrwise.experiments.runs.import_clips import run_import
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.studies.interpolators.measure import KEY, made_frame, measured
from corrwise.experiments.studies.interpolators.table import (
    clip_values,
    grouped,
    interpolator_tables,
    run_interpolator_table,
    twin_of,
)
from corrwise.experiments.studies.interpolators.windows import HeldClips
from corrwise.predictors import metrics
from corrwise.predictors.data.formats.shards import read_clip
from corrwise.predictors.interpolation import Blend, CorrespondenceAverage
from corrwise.predictors.interpolation.registry import make_interpolation_model
from corrwise.validation import ConfigError

SIZE = 24


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Clips of two simulated episodes, and a video whose square moves by 2 px a frame."""
    out = tmp_path_factory.mktemp("held")
    run_collect(CollectConfig(out=out / "cartpole", episodes=2, steps=8, size=SIZE))
    folder = out / "images" / "square"
    folder.mkdir(parents=True)
    for i in range(9):
        image = np.zeros((SIZE, SIZE, 3), dtype=np.uint8)
        image[8:14, 2 * i : 2 * i + 6] = 255
        Image.fromarray(image).save(folder / f"{i}.png")
    run_import(ImportConfig(source=folder.parent, out=out / "square", size=SIZE))
    return out


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folders of two seeds of a model with two known frames, and of one with four."""
    out = tmp_path_factory.mktemp("trained")
    for name, context in (("flavr-l1-0", 2), ("flavr-l1-1", 2), ("four", 4)):
        torch.manual_seed(len(name))
        make_interpolation_model("flavr", context=context, width=2, blocks=1).save_pretrained(out / name / "model")
    return out


@pytest.fixture
def fake_lpips(monkeypatch):
    """ST-LPIPS as the mean difference, with or without its weights at hand."""

    class Fake:
        smallest = 21

        def __call__(self, x, y):
            return (x - y).abs().mean(dim=(-3, -2, -1))

    monkeypatch.setattr(metrics, "st_lpips_if_present", Fake)


def tiny(held, **options):
    plain = {"data": (held / "cartpole", held / "square"), "gaps": (2,), "windows": 3}
    return InterpolatorTableConfig(**{**plain, "arms": ("blend", "half-flow:flow=dis", GROUND_TRUTH), **options})


def test_a_table_is_made_once_and_goes_on(data, trained, tmp_path, fake_lpips):
    models = (trained / "flavr-l1-0", trained / "flavr-l1-1")
    config = tiny(data, models=models, out=tmp_path / "run")
    page = run_interpolator_table(config).read_text()
    rows = read_rows(config.out / "rows.jsonl", KEY)
    arms = {"blend", "half-flow:flow=dis", "flavr-l1-0", "flavr-l1-1"}
    assert {row["arm"] for row in rows if row["data"] == "square"} == arms, "no states, no ground truth"
    assert {row["arm"] for row in rows if row["data"] == "cartpole"} == {*arms, GROUND_TRUTH}
    assert len(rows) == 3 * (4 + 5)
    starts = {(row["data"], row["window"]): set() for row in rows}
    for row in rows:
        starts[row["data"], row["window"]].add((row["clip"], row["start"]))
        assert row["ms_frame"] > 0
        assert (row["weights"] is not None) == row["arm"].startswith("flavr")
    assert all(len(each) == 1 for each in starts.values()), "all interpolators see the same windows"
    assert re.search(r"\| `flavr-l1` \| 2 \| 2 \| [\d.]+ ± ", page)
    assert "No ground-truth flow for square: the clips are of no simulator." in page
    assert "### Gap 2, all folders" in page
    assert GROUND_TRUTH not in page.partition("### Gap 2, cartpole")[0]
    assert (config.out / "strips.png").stat().st_size > 1000
    run_interpolator_table(replace(config, windows=4, arms=("blend",), models=()))
    more = read_rows(config.out / "rows.jsonl", KEY)
    assert more[: len(rows)] == rows
    assert [(row["arm"], row["window"]) for row in more[len(rows) :]] == [("blend", 3)] * 2


def test_exact_flow_is_that_of_the_simulator(data):
    held = HeldClips(data / "cartpole", 4, 2, seed=0)
    assert held.no_truth == ""
    better = []
    for number in range(6):
        window = held.window(number)
        frames, _ = held.clips.read(window.clip, window.places[0] + 2, window.places[0] + 3)
        assert torch.equal(window.true[0], torch.from_numpy(frames[0]).movedim(-1, 0).float() / 255)
        flow = held.exact_flow(window)
        assert flow.both(*window.known[:, :2].unbind(1))[0].shape == (1, 2, SIZE, SIZE)
        exact, blend = (measured(made_frame(model, held, window)[0], window) for model in (None, Blend()))
        better.append((exact["psnr_moved"] or 0) - (blend["psnr_moved"] or 0))
    assert np.mean(better) > 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "own.py:TASK"}, "no built-in task"),
        ({"task": "gym:module:Env"}, "no built-in task"),
        ({"task": "ant"}, "of another model"),
        ({"task": "cartpole-short"}, ""),
    ],
)
def test_the_simulator_of_clips_is_one_of_this_package(data, monkeypatch, change, message):
    held = HeldClips(data / "cartpole", 2, 2, seed=0)
    held.clips.about = {**held.clips.about, **change}
    assert message in held.no_truth
    if message:
        with pytest.raises(ValueError, match="has no ground-truth flow"):
            held.exact_flow(held.window(0))


def _inverted(path, clip, start=0, stop=None):
    frames, actions = read_clip(path, clip, start, stop)
    return 255 - frames, actions


def test_frames_that_the_simulator_does_not_draw_have_no_ground_truth(data, monkeypatch):
    held = HeldClips(data / "cartpole", 2, 2, seed=0)
    monkeypatch.setattr("corrwise.predictors.data.folder.read_clip", _inverted)
    assert held.no_truth == "the simulator draws other images of the states"


def test_what_moved_is_measured_alone():
    known, true = torch.zeros(1, 2, 3, 8, 8), torch.zeros(1, 3, 8, 8)
    known[:, 1, :, 0] = 1
    true[:, :, 1] = 1  # seen in the middle alone
    made = true.clone()
    made[:, :, 0] = 0.1
    psnr, share = metrics.moved_psnr(made, true, known)
    assert float(share) == 2 / 8
    assert float(psnr) == pytest.approx(-10 * np.log10(0.01 / 2), abs=1e-3)
    assert metrics.moved_psnr(true, true, true[:, None])[0].isnan().all(), "nothing moved"
    assert float(metrics.moved_psnr(made * torch.nan, true, known)[0]) == pytest.approx(-10 * np.log10(1 / 2), abs=1e-3)


def test_four_known_frames(data, trained, tmp_path):
    config = tiny(data, models=(trained / "four",), out=tmp_path / "run", arms=("blend",))
    with pytest.raises(ValueError, match="an interpolator of 2 known frames, got one of 4"):
        run_interpolator_table(config)
    assert not config.out.exists()
    run_interpolator_table(replace(config, context=4, windows=1, data=config.data[:1]))
    rows = read_rows(config.out / "rows.jsonl", KEY)
    assert [row["arm"] for row in rows] == ["blend", "four"]
    held = HeldClips(data / "cartpole", 2, 4, seed=0)
    window = held.window(0)
    assert [place - window.places[0] for place in window.places] == [0, 2, 4, 6]
    assert window.middle(2)[0] == window.places[1:3]


def row(arm, data, clip, psnr, window=0, **more):
    plain = {"arm": arm, "data": data, "gap": 2, "window": window, "clip": clip, "psnr": psnr, "psnr_moved": None}
    return {**plain, "ssim": 0.5, "st_lpips": None, "ms_frame": 1.0, **more}


def test_arms_are_compared_clip_by_clip_over_the_seeds_of_their_models():
    rows = [row("half-flow", "a", clip, 20.0 + clip) for clip in range(3)]
    rows += [row(f"flavr-l1-{seed}", "a", clip, 20.0 + 2 * clip + seed) for seed in (0, 1) for clip in range(3)]
    rows += [row(f"flavr-corr-l1-{s}", "a", clip, 21.0 + 2 * clip + s) for s in (0, 1) for clip in range(3)]
    rows += [row("half-flow", "a", 0, 30.0, window=3), row("half-flow", "b", 0, 24.0)]
    arms = grouped(rows)
    assert {arm: list(seeds) for arm, seeds in arms.items()} == {
        "half-flow": [""], "flavr-l1": ["0", "1"], "flavr-corr-l1": ["0", "1"],
    }  # fmt: skip
    assert clip_values(arms["half-flow"], "psnr") == {("a", 0): 25.0, ("a", 1): 21.0, ("a", 2): 22.0, ("b", 0): 24.0}
    assert clip_values(arms["flavr-l1"], "psnr") == {("a", 0): 20.5, ("a", 1): 22.5, ("a", 2): 24.5}
    page = interpolator_tables(rows)
    assert "| `flavr-l1` | 2 | 3 | 22.50 ± 1.15 |" in page
    assert "| -0.17 (" in page
    assert "| `flavr-corr-l1` minus `flavr-l1` | 2 | a | 2 | +1.00 (+1.00 to +1.00) [+1.00, +1.00] |" in page
    assert "ST-LPIPS was not measured" in page
    assert "`flavr-l1`" not in page.partition("### Gap 2, a")[0], "it has no rows of folder b"


@pytest.mark.parametrize(
    ("arm", "twin"),
    [
        ("average", "half-flow:flow=dis"),
        ("average:flow=learned,steps=5", "half-flow"),
        ("average:flow=tv-l1", "half-flow:flow=tv-l1"),
        ("short-corr-l1:vgg=st-vgg", "short-l1:vgg=st-vgg"),
        ("blend", None),
    ],
)
def test_the_arm_that_differs_in_one_thing(arm, twin):
    assert twin_of(arm) == twin


def test_the_default_flow_of_an_average():
    assert signature(CorrespondenceAverage).parameters["flow"].default == "dis"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--gaps", "3"), "gaps must be even, got 3"),
        (("--context", "3"), "context must be 2 or 4, got 3"),
        (("--arms", "flow"), "there are blend, half-flow, average, or one with options as half-flow:flow=dis"),
        (("--arms", "half-flow:dis"), "expected options of half-flow as name=value, got dis"),
        (("--arms", "half-flow:flow=none"), "expected flow to be one of"),
        (("--arms", "average:speed=2"), "average has no such options"),
        (("--gaps", "20"), "expected clips of at least 21 frames"),
        (("--models", "nowhere"), "there is no model in nowhere"),
    ],
)
def test_what_is_refused(data, tmp_path, options, message, capsys):
    words = ["table", "interpolators", "--data", str(data / "cartpole"), "--out", str(tmp_path / "run"), *options]
    assert main(words) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


def test_folders_of_one_name_are_refused(data):
    with pytest.raises(ConfigError, match="data must be folders of different names, got square square"):
        tiny(data, data=(data / "square", data / "images" / "square"))


def test_rows_of_other_weights_are_made_anew(data, trained, tmp_path):
    config = tiny(
        data, arms=(), models=(trained / "flavr-l1-0",), data=(data / "square",), out=tmp_path / "run", windows=1
    )
    run_interpolator_table(config)
    folder = tmp_path / "flavr-l1-0" / "model"
    torch.manual_seed(99)
    make_interpolation_model("flavr", context=2, width=2, blocks=1).save_pretrained(folder)
    run_interpolator_table(replace(config, models=(tmp_path / "flavr-l1-0",)))
    lines = [json.loads(line) for line in (config.out / "rows.jsonl").read_text().splitlines()]
    assert len({line["weights"] for line in lines}) == len(lines) == 2
