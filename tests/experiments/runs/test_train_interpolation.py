"""``corrwise train --objective interpolate``: the ordinary command trains FLAVR, stops and goes on."""

import json
from dataclasses import replace

import pytest
import torch

from corrwise.experiments import cli
from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.cli.train import TrainConfig
from corrwise.experiments.runs.collect import run_collect
from corrwise.experiments.runs.train import clips_of, run_train
from corrwise.experiments.runs.trainers import make_loss, make_trainer
from corrwise.predictors.data import Batch, ClipFolder
from corrwise.predictors.interpolation import load_interpolator
from corrwise.predictors.training import FrameInterpolation, WarmStart
from corrwise.validation import ConfigError

SIZE = 16


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    out = tmp_path_factory.mktemp("interpolate")
    run_collect(CollectConfig(out=out / "clips", episodes=4, steps=8, size=SIZE))
    return TrainConfig(
        data=(out / "clips",),
        objective="interpolate",
        model="flavr",
        loss="corr-l1:flow=dis",
        out=out / "run",
        steps=4,
        batch=2,
        gap=(4,),
        options=("width=2", "blocks=1"),
        warm_start=2,
        checkpoint_every=2,
        val_fraction=0.25,
    )


@pytest.fixture(scope="module")
def whole(tiny):
    """The folder of a model that was trained without a stop."""
    return run_train(tiny)


def test_what_is_kept_is_an_interpolator(tiny, whole):
    model = load_interpolator(whole)
    frames = torch.rand(1, 2, 3, SIZE, SIZE)
    assert model(frames, [0, 4], [2]).shape == (1, 1, 3, SIZE, SIZE)


def test_a_run_that_stops_in_its_warm_start_ends_like_one_that_does_not(tiny, whole, tmp_path):
    stopped = replace(tiny, out=tmp_path / "run")
    trainer = make_trainer(stopped, 1, (SIZE, SIZE), make_loss(stopped))
    assert isinstance(trainer.objective, WarmStart)
    assert isinstance(trainer.objective.then, FrameInterpolation)
    assert (trainer.objective.first.scale, trainer.objective.then.scale) == (1.0, 0.5)
    run_train(replace(stopped, steps=3))
    weights = load_interpolator(run_train(stopped)).state_dict()
    for name, value in load_interpolator(whole).state_dict().items():
        assert torch.equal(value, weights[name])


def test_four_frames_by_the_command_line(tiny, tmp_path):
    words = ["train", "--objective", "interpolate", "--model", "flavr", "--loss", "l1", "--data", str(tiny.data[0])]
    words += ["--context", "4", "--gap", "2", "--options", "width=2", "blocks=1", "--steps", "1", "--batch", "2"]
    assert cli.main([*words, "--out", str(tmp_path / "run")]) == 0
    assert load_interpolator(tmp_path / "run" / "model").known == (0.0, 1.0, 2.0, 3.0)


def test_clips_of_several_bodies_are_learned_together(tiny, tmp_path):
    run_collect(CollectConfig(out=tmp_path / "ant", task="ant", episodes=2, steps=6, size=SIZE, seed=0))
    config = replace(tiny, data=(*tiny.data, tmp_path / "ant"), out=tmp_path / "run", val_fraction=0.5)
    clips, seen, held = clips_of(config)
    assert (clips.lengths, seen.lengths, held.lengths) == ([9] * 4 + [7] * 2, [9, 9, 7], [9, 9, 7])
    ant = ClipFolder(tmp_path / "ant")
    for part, clip in ((seen, 0), (held, 1)):
        frames, actions = part.read(2, 1, 4)
        assert (frames == ant.read(clip, 1, 4)[0]).all()
        assert actions.shape == (3 - 1, 0)
    about = json.loads((run_train(config) / "config.json").read_text())["about"]
    assert "task" not in about["clips"]
    assert about["clips"]["size"] == [SIZE, SIZE]
    run_train(config)  # it is the same run


@pytest.mark.parametrize(
    ("objective", "size", "message"),
    [
        ("predict", SIZE, r"got \(H, W, A\) \(16, 16, 1\), \(16, 16, 8\)"),
        ("interpolate", 24, r"\(H, W\) \(16, 16\), \(24"),
    ],
)
def test_clips_that_cannot_be_learned_together(tiny, tmp_path, objective, size, message):
    run_collect(CollectConfig(out=tmp_path / "ant", task="ant", episodes=1, steps=6, size=size, seed=0))
    model = "flavr" if objective == "interpolate" else "resnet3d"
    data = (*tiny.data, tmp_path / "ant")
    config = replace(tiny, data=data, objective=objective, model=model, warm_start=0, options=(), out=tmp_path / "run",
                     gap=(2,))  # fmt: skip
    with pytest.raises(ValueError, match=message):
        run_train(config)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "predict", "gap": (2,)}, "svg-prime .*with --objective predict"),
        ({"objective": "predict", "model": "resnet3d"}, r"gap must be left out with --objective predict, got \(4,\)"),
        ({"horizon": 6}, "horizon must be left out with --objective interpolate, got 6"),
        ({"model": "svg"}, "flavr with --objective interpolate"),
        ({"loss": "l1"}, "0 for l1, which matches no pixels"),
        ({"warm_start": 4}, "fewer than the 4 steps"),
    ],
)
def test_options_that_do_not_fit_each_other(tiny, options, message):
    with pytest.raises(ConfigError, match=message):
        replace(tiny, **options)


@pytest.mark.parametrize(
    ("gap", "message"),
    [
        (3, r"expected a gap of a multiple of 2 frames between 2 known ones, .* got a gap of 3$"),
        (10, "at least 11 frames"),
    ],
)
def test_gaps_that_no_window_has(tiny, tmp_path, gap, message):
    with pytest.raises(ValueError, match=message):
        run_train(replace(tiny, gap=(gap,), out=tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_held_out_windows_are_evaluated_as_they_are(tiny):
    varied = make_trainer(tiny, 1, (SIZE, SIZE), make_loss(tiny)).objective.then
    assert varied.augmentation is not None
    batch = Batch(torch.rand(2, 5, 3, SIZE, SIZE), torch.zeros(2, 4, 1))
    losses = [
        varied.evaluate(batch, {"model": varied.model.eval()}, torch.Generator("cpu").manual_seed(seed)).total
        for seed in (0, 1)
    ]
    assert losses[0] == losses[1] == varied.prediction.loss(batch).total
