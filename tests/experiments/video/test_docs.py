"""The examples of docs/train_a_predictor.md run as they stand, after its commands in a smaller size."""

import re
from pathlib import Path

from corrwise.experiments import cli

PAGE = Path(__file__).parents[3] / "docs" / "train_a_predictor.md"


def test_commands_and_snippets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (
        cli.main(["collect", "--task", "cartpole", "--episodes", "2", "--steps", "8", "--out", "clips/cartpole"]) == 0
    )
    small = ["--options", "width=2", "keep=true", "blocks3d=1", "blocks2d=1", "--steps", "1", "--batch", "2"]
    assert cli.main(["train", "--data", "clips/cartpole", "--loss", "corr-l1", "--out", "runs/x", *small]) == 0
    clips, agent = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    names: dict = {}
    exec(compile(clips, PAGE, "exec"), names)
    assert names["batch"].frames.shape == (4, 6, 3, 64, 64)
    exec(compile(agent, PAGE, "exec"), names)
    assert abs(names["action"]).max() <= 1
