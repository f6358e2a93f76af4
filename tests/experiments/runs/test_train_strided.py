"""Training on strides: exact resume, a model that states its stride, and one sentence where there can be none."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from corrwise.experiments import cli
from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.cli.train import TrainConfig
from corrwise.experiments.runs import train
from corrwise.experiments.runs.collect import run_collect
from corrwise.experiments.runs.train import run_train
from corrwise.predictors.data import ClipFolder
from corrwise.predictors.models.pretrained import about_model, model_stride
from corrwise.predictors.models.registry import load_model


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    run_collect(CollectConfig(out=folder, episodes=3, steps=10, size=16))
    return folder


@pytest.fixture
def tiny(clips, tmp_path):
    options = ("width=2", "downs=2", "blocks3d=1", "blocks2d=1")
    return TrainConfig(
        data=(clips,), out=tmp_path / "run", steps=3, batch=2, horizon=2, stride=2, options=options, checkpoint_every=1,
        val_fraction=0.34, loss="l1",
    )  # fmt: skip


def test_a_run_on_strides_that_stops_ends_like_one_that_does_not(tiny, tmp_path):
    folder, parts = run_train(tiny), replace(tiny, out=tmp_path / "parts")
    run_train(replace(parts, steps=2))
    with pytest.raises(ValueError, match="stride is 2 there and 3 here"):
        run_train(replace(parts, stride=3))
    run_train(parts)
    losses = [torch.load(run.out / "checkpoint.pt", weights_only=True)["losses"] for run in (tiny, parts)]
    assert losses[0] == losses[1]
    assert (load_model(folder).config.action_dim, model_stride(folder)) == (2, 2)
    assert about_model(folder)["about"]["clips"]["action_dim"] == 1, "the clips' own"


def test_held_out_windows_have_strides_of_held_out_clips(tiny, clips, monkeypatch):
    shown, held_out = [], train.held_out_loss

    def seen(trainer, held, **options):
        shown.append(held)
        return held_out(trainer, held, **options)

    monkeypatch.setattr(train, "held_out_loss", seen)
    run_train(replace(tiny, steps=1))
    frames, _ = ClipFolder(clips).read(2, 0, 11)  # the last of three clips
    windows = (shown[0].frames * 255).round().to(torch.uint8).permute(0, 1, 3, 4, 2).numpy()
    starts = [k for k in range(11 - 6) if any(np.array_equal(frames[k : k + 7 : 2], window) for window in windows)]
    assert starts == list(range(5))
    assert len(windows) == 5


def test_a_model_of_single_steps_states_no_stride(tiny):
    folder = run_train(replace(tiny, stride=1, steps=1))
    assert "stride" not in about_model(folder)["about"]
    assert model_stride(folder) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stride", "0"], "stride must be at least 1, got 0"),
        (["--stride", "2", "--objective", "interpolate", "--model", "flavr"],
         "stride must be 1 with --objective interpolate, got 2"),
        (["--stride", "4", "--horizon", "2"],
         "expected clips of at least 13 frames for windows of 4 frames with stride 4, the longest has 11"),
    ],
)  # fmt: skip
def test_a_stride_that_cannot_be_is_one_sentence(tiny, capsys, arguments, message):
    assert cli.main(["train", "--data", str(*tiny.data), "--out", str(tiny.out), "--steps", "1", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not tiny.out.exists()


def test_a_run_of_a_version_without_strides_goes_on(tiny):
    single = replace(tiny, stride=1, steps=1)
    run_train(single)
    path = tiny.out / "config.json"
    config = json.loads(path.read_text())
    assert config.pop("stride") == 1
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match="stride is 1 there and 2 here"):
        run_train(replace(single, stride=2))
    run_train(replace(single, steps=2))
    assert about_model(tiny.out / "model")["about"]["steps"] == 2
