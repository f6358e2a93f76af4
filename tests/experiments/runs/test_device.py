"""``--device``: costs, flows and trained predictors run there, simulators do not; rows of the CPU stay as they are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from corrwise.experiments import cli
from corrwise.experiments.cli import commands
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs.episodes import EpisodeRunner
from corrwise.experiments.runs.mpc import mpc_settings
from corrwise.experiments.runs.settings import differences
from corrwise.predictors.models.registry import make_model
from tests.fake_gpu import fake_gpu

TINY = MPCConfig(episodes=2, steps=2, horizon=2, candidates=4, iterations=1, size=16, lockstep=2)


@pytest.mark.parametrize(
    "cost",
    ["l1", "recommended", "corr-l1:flow=all-pairs", "corr-l1:flow=dis"],
)
def test_costs_and_flows_are_computed_there(cost, monkeypatch, unhooked):
    config = replace(TINY, costs=(cost,))
    here = EpisodeRunner(config, cost)([3, 4])
    with fake_gpu(monkeypatch) as gpu:
        there = EpisodeRunner(replace(config, device="cuda"), cost)([3, 4])
        assert gpu.computed, "nothing was computed on the GPU"
        assert ("FlowNet" in gpu.modules) == (cost == "recommended")
    assert [episode.distances for episode in there] == [episode.distances for episode in here]
    assert [episode.terms for episode in there] == [episode.terms for episode in here]


def test_a_trained_predictor_predicts_there(tmp_path, monkeypatch, unhooked):
    model = make_model("resnet3d", action_dim=1, context=1, width=2, downs=1, blocks2d=1)
    model.save_pretrained(tmp_path / "model")
    config = replace(TINY, costs=("l1",), predictor=str(tmp_path))
    here = EpisodeRunner(config, "l1")([3, 4])
    with fake_gpu(monkeypatch) as gpu:
        there = EpisodeRunner(replace(config, device="cuda"), "l1")([3, 4])
        assert "ResNet3D" in gpu.modules
    assert [episode.distances for episode in there] == [episode.distances for episode in here]


def test_the_device_is_a_setting_of_rows_unless_it_is_the_cpu():
    here = differences(mpc_settings(TINY))
    assert "device" not in here
    assert differences(mpc_settings(replace(TINY, device="cuda"))) == {**here, "device": "cuda"}


TABLES = [name for name, each in commands().items() if name.startswith("table ")]
CPU_ALONE = ("table time-weights", "table noise-carriers", "table restoration")
REQUIRED = {"table restored-goals": ("--models", "run")}


@pytest.mark.parametrize("name", ["mpc", *(name for name in TABLES if name not in CPU_ALONE)])
def test_a_gpu_that_is_not_there_is_refused_before_anything_is_written(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert cli.main([*name.split(), *REQUIRED.get(name, ()), "--device", "cuda", "--out", str(tmp_path / "run")]) == 2
    message = capsys.readouterr().err
    assert message == "corrwise: --device cuda needs a GPU, and torch finds no GPU here; use --device cpu\n"
    assert not (tmp_path / "run").exists()
