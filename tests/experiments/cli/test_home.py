"""``~`` is the user's home in every path that is handed in, on the command line and in Python."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from corrwise.costs import Perceptual, l1
from corrwise.costs.flow import LearnedFlow
from corrwise.costs.flow.learned.net import FlowNet, FlowNetConfig
from corrwise.costs.flow.learned.net_file import load_net, save_net
from corrwise.envs import ImageGoalReward
from corrwise.experiments import load_agent
from corrwise.experiments.cli import commands, main
from corrwise.experiments.cli.parse import parse
from corrwise.experiments.runs.parts import named_task
from corrwise.predictors.models.registry import load_model, make_model
from tests.envs.rewards.worlds import Walk, columns

COMMANDS = [
    ["mpc", "--out=~/x"], ["report", "~/x"], ["collect", "--out=~/x"], ["train", "--data=~/d", "--out=~/x"],
    ["import", "--source=~/d", "--out=~/x"], ["evaluate", "--models", "~/m", "--data=~/d", "--out=~/x"],
    ["train-flow", "--out=~/x"], *[["table", name, "--out=~/x"] for name in ("mpc", "flows", "ranking", "ablations")],
]  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert not (tmp_path / "~").exists(), "a folder of that very name was made"


def parsed(argv):
    words = 2 if argv[0] == "table" else 1
    command = commands()[" ".join(argv[:words])]
    return parse("corrwise", command.config, argv[words:])


@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
def test_every_path_of_a_command(argv, home):
    config = parsed(argv)
    values = [getattr(config, field.name) for field in fields(config)]
    paths = [path for value in values for path in (value if isinstance(value, tuple) else (value,))]
    paths = [path for path in paths if isinstance(path, Path)]
    assert home / "x" in paths
    assert not any("~" in str(path) for path in paths)


@pytest.mark.parametrize(
    ("argv", "option", "wanted"),
    [
        (["mpc", "--task=~/tasks.py:TASK"], "task", "{}/tasks.py:TASK"),
        (["mpc", "--predictor", "~/run"], "predictor", "{}/run"),
        (["train", "--init-from=~/run"], "init_from", "{}/run"),
        (["train", "--loss=l1:vgg=~/vgg.pth"], "loss", "l1:vgg={}/vgg.pth"),
        (["evaluate", "--models=x", "--data=kitti:~/kitti@test"], "data", "kitti:{}/kitti@test"),
        (["train-flow", "--init-from=~/net.safetensors"], "init_from", "{}/net.safetensors"),
        (["train", "--out=runs/~x"], "out", "runs/~x"),
    ],
)
def test_paths_in_words_of_another_form(argv, option, wanted, home):
    assert str(getattr(parsed(argv), option)) == wanted.format(home)


def test_a_run_and_its_report(home, capsys):
    small = ["--costs", "zero-action", "--steps", "1", "--episodes", "1", "--size", "16", "--no-videos"]
    assert main(["mpc", *small, "--out=~/run"]) == 0, capsys.readouterr().err
    assert (home / "run" / "report.html").is_file()
    assert main(["report", "~/run"]) == 0


def test_models_and_agents(home):
    make_model("resnet3d", action_dim=1, context=1, width=2, downs=1).save_pretrained("~/run/model")
    assert (home / "run/model/config.json").is_file()
    assert load_model("~/run/model").config.width == 2
    assert type(load_model(Path("~/run/model"))).from_pretrained("~/run/model").config.width == 2
    assert load_agent("~/run").predictor.config.width == 2


def test_the_home_of_nobody_is_a_path_that_is_not_there(home):
    for use in (load_model, load_net, lambda path: ImageGoalReward(Walk(), l1, path)):
        with pytest.raises(FileNotFoundError, match="~nobody-of-this-name/a"):
            use("~nobody-of-this-name/a")


def test_weights_of_costs(home):
    save_net(FlowNet(FlowNetConfig(fine=8, coarse=8, width=8, heads=2, hidden=8)), "~/net.safetensors")
    assert load_net("~/net.safetensors").config.width == 8
    assert LearnedFlow(Path("~/net.safetensors")).net.config.width == 8
    torch.save({"other": torch.zeros(1, dtype=torch.float32, device="cpu")}, home / "vgg.pth")
    with pytest.raises(ValueError, match="expected the weights of a VGG-19, got 1 tensors of another network"):
        Perceptual("~/vgg.pth")


def test_goal_images_and_task_files(home):
    cv2.imwrite(str(home / "goal.png"), np.ascontiguousarray(columns(8)[..., ::-1]))
    assert ImageGoalReward(Walk(), l1, "~/goal.png").reset()[1]["goal_cost"] > 0
    (home / "tasks.py").write_text("from corrwise.envs import TASKS\nMINE = TASKS['ant']\n")
    assert named_task("~/tasks.py:MINE").name == "ant"
