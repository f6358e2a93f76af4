"""``corrwise train --objective restore``: the ordinary command trains a restoring model, stops and goes on."""

import json
from dataclasses import replace

import pytest
import torch

from corrwise.experiments import cli
from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.cli.train import TrainConfig
from corrwise.experiments.runs.collect import run_collect
from corrwise.experiments.runs.train import run_train
from corrwise.experiments.runs.trainers import starting_model
from corrwise.predictors.restoration import RestorationModel
from corrwise.validation import ConfigError

SIZE = 16


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    out = tmp_path_factory.mktemp("restore")
    run_collect(CollectConfig(out=out / "clips", episodes=3, steps=6, size=SIZE))
    return TrainConfig(
        data=(out / "clips",), objective="restore", model="restoration", loss="", out=out / "run", steps=4, batch=2,
        damages=("random:share=0.3", "downscale:factor=2"), options=("width=2", "blocks=1", "evaluations=2"),
        checkpoint_every=2, val_fraction=0.34,
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(tiny):
    """The folder of a model that was trained without a stop."""
    return run_train(tiny)


def test_what_is_kept_restores_images(tiny, whole):
    model = RestorationModel.from_pretrained(whole)
    assert model.config.damages == tiny.damages
    assert model.config.noise == "gp"
    about = json.loads((whole / "config.json").read_text())["about"]
    assert about["loss"] == "restore"


@pytest.mark.parametrize(
    "words",
    [
        "train --objective distill --model denoiser --data {clips} --teacher {model} --context 2",
        "evaluate --data {clips} --models {model}",
        "mpc --predictor {model} --costs l1 --episodes 1",
    ],
)
def test_commands_of_predictors_name_what_a_restoring_model_is_for(tiny, whole, words, tmp_path, capsys):
    there = words.format(clips=tiny.data[0], model=whole.parent).split()
    assert cli.main([*there, "--out", str(tmp_path / "out")]) == 2
    use = "which predicts no frames; corrwise restore and corrwise mpc --restore can use it"
    assert capsys.readouterr().err == f"corrwise: {whole} holds a model 'restoration', {use}\n"
    assert not (tmp_path / "out").exists()


def test_a_run_that_is_continued_ends_like_one_that_does_not_stop(tiny, whole, tmp_path):
    run_train(replace(tiny, out=tmp_path / "run", steps=2))
    again = run_train(replace(tiny, out=tmp_path / "run"))
    one, two = (RestorationModel.from_pretrained(each).state_dict() for each in (whole, again))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_model_of_white_noise_is_fine_tuned_to_gaussian_process_noise(tiny, whole, tmp_path):
    white = replace(tiny, out=tmp_path / "white", options=(*tiny.options, "noise=white"))
    assert RestorationModel.from_pretrained(run_train(white)).config.noise == "white"
    fine = replace(
        tiny, out=tmp_path / "fine", init_from=str(tmp_path / "white"), options=(*tiny.options, "length_scale=1.5")
    )
    made = starting_model(fine, 0, (SIZE, SIZE))
    begun = RestorationModel.from_pretrained(tmp_path / "white" / "model").state_dict()
    assert all(torch.equal(value, begun[name]) for name, value in made.state_dict().items())
    assert RestorationModel.from_pretrained(run_train(fine)).config.kernel.epsilon == 1.5
    with pytest.raises(ValueError, match=r"expected a model of width 3 in .* to start from, got width \d+$"):
        run_train(replace(tiny, out=tmp_path / "wide", init_from=str(whole), options=("width=3", "blocks=1")))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"model": "denoiser"}, "model must be restoration with --objective restore"),
        ({"horizon": 3}, "horizon must be left out with --objective restore"),
        ({"damages": ()}, "damages must be at least one"),
        ({"options": ("damages=box",)}, "options must be without what clips and flags state"),
        ({"objective": "predict", "model": "resnet3d"}, "damages must be left out with --objective predict"),
    ],
)
def test_options_of_other_objectives_are_refused(tiny, options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        replace(tiny, **options)


@pytest.mark.parametrize("damage", ["blur", "box:share=3", "downscale:factor=5"])
def test_a_damage_that_cannot_be_used_is_one_sentence_and_nothing_is_written(tiny, damage, tmp_path, capsys):
    words = ["train", "--objective", "restore", "--model", "restoration", "--data", str(tiny.data[0])]
    assert cli.main([*words, "--damages", damage, "--options", "small", "--out", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "run").exists()
