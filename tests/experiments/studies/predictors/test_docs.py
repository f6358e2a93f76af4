"""The commands of docs/train_a_predictor.md run, each in a smaller size, and its examples as they stand after them."""

import re
import shlex

from corrwise.experiments import cli
from tests.snippets import ROOT, chains

PAGE = ROOT / "docs" / "train_a_predictor.md"
SMALLER = {  # appended to the page's options, which they override
    "collect": "--episodes 2 --steps 12",
    "train": "--options width=2 keep=true blocks3d=1 blocks2d=1 --steps 1 --batch 2",
    "evaluate": "--horizon 3 --windows 2 --videos 1",
    "mpc": "--episodes 1 --steps 2 --horizon 2 --candidates 4 --iterations 1 --costs zero-action l1",
}


def test_commands_and_snippets(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    first = re.search(r"```sh\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)[1]
    commands = [words for words in map(shlex.split, first.splitlines()) if words[0].endswith("corrwise")]
    assert [words[1] for words in commands] == ["collect", "train", "train", "collect", "evaluate", "mpc"]
    for _, *words in commands:
        assert cli.main([*words, *SMALLER[words[0]].split()]) == 0, words
    clips, agent = chains(PAGE)
    capsys.readouterr()
    exec(clips, {"__name__": "__main__"})
    assert capsys.readouterr().out == "torch.Size([4, 6, 3, 64, 64]) torch.Size([4, 5, 1])\n"
    exec(agent, {"__name__": "__main__"})
