"""Every number of the command line has a bound, and what a machine cannot hold is refused before it is tried."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import pytest

from corrwise.experiments import cli
from corrwise.experiments.cli import commands, options
from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.cli.train import TrainConfig
from corrwise.experiments.cli.train_flow import TrainFlowConfig
from corrwise.validation import ConfigError, hints_of

HERE = Path()
REQUIRED = {
    "import": {"source": HERE}, "interpolate": {"video": HERE}, "restore": {"model": HERE, "video": HERE},
    "evaluate": {"models": (HERE,), "data": HERE}, "preview": {"task": "ant"},
    "report": {"out": HERE}, "blind": {"answers": (HERE,)},
    "table restored-goals": {"models": (HERE,)},
    "table restoration": {"models": (HERE / "gp",), "white_models": (HERE / "white",)},
}  # fmt: skip
CONFIGS = [command.config(**REQUIRED.get(name, {})) for name, command in commands().items()]


def _numbers(config):
    """Yield the options of a configuration that are whole numbers, those of its parts too."""
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):
            yield from _numbers(value)
        elif "<class 'int'>" in repr(hints_of(type(config))[field.name]) and not isinstance(value, tuple):
            yield config, field.name


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_every_whole_number_has_a_bound(config):
    for owner, name in _numbers(config):
        if (type(owner).__name__, name) == ("RandomShootingConfig", "hold"):
            continue  # longer than the horizon is the whole horizon: tests/mpc/test_planners.py
        for number in (10**10, 10**30):
            with pytest.raises(ConfigError, match=rf"{name.replace('_', '.')} must be .*, got {number}"):
                replace(owner, **{name: number})


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["mpc", "--size", "100000"], "size must be at most 8192 pixels, got 100000"),
        (["mpc", "--candidates", "10000000"], "candidates must be at most 1000000, got 10000000"),
        (["mpc", "--lockstep", "1000000"], "lockstep must be at most 100000, got 1000000"),
        (["train", "--num-workers", "5000"], "num_workers must be at most 1024, got 5000"),
        (["mpc", "--risk", "cvar"], "risk must be mean with 1 future, got cvar"),
        (["table", "mpc", "--processes", "5000"], "processes must be at most 1024, got 5000"),
        (["collect", "--supersample", "64"], "supersample must be at most 16, got 64"),
        (["mpc", "--size", "8192", "--max-frames", "1000000", "--candidates", "1000000"], "of memory, and there are "),
        (["collect", "--size", "8192", "--steps", "1000000"], "of memory, and there are "),
        (["table", "ranking", "--candidates", "1000000", "--size", "4096"], "of memory, and there are "),
    ],
)
def test_sizes_that_no_machine_has_are_one_sentence(words, sentence, capsys):
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_what_fits_depends_on_the_machine(monkeypatch):
    asked = {"size": 1024, "max_frames": 2048, "candidates": 1000}
    monkeypatch.setattr(options, "memory_of_machine", lambda: 2 * 10**10)
    with pytest.raises(ConfigError, match=r"would need about 26 GB of memory, and there are 20 GB; it needs less with"):
        MPCConfig(**asked)
    monkeypatch.setattr(options, "memory_of_machine", lambda: 3 * 10**10)
    MPCConfig(**asked)


def test_sizes_that_make_sense_are_allowed(monkeypatch):
    monkeypatch.setattr(options, "memory_of_machine", lambda: 16 * 10**9)
    MPCConfig(size=512, supersample=4, candidates=2000, horizon=100, lockstep=20, episodes=1000, steps=100)
    TrainConfig(batch=1024, context=10, horizon=50, steps=10_000_000)
    CollectConfig(size=1024, supersample=2, episodes=100_000, steps=100)
    TrainFlowConfig(batch=256, size=128, fine=96, coarse=256, width=512)


def test_a_container_has_what_it_may_use(tmp_path, monkeypatch):
    whole = options.memory_of_machine()
    (tmp_path / "max").write_text("max\n")
    (tmp_path / "less").write_text("1048576\n")
    monkeypatch.setattr(options, "_LIMITS", (tmp_path / "none", tmp_path / "max"))
    assert options.memory_of_machine() >= whole > 2**20
    monkeypatch.setattr(options, "_LIMITS", (tmp_path / "less",))
    assert options.memory_of_machine() == 2**20
