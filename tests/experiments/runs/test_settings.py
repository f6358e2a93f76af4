"""What a run depends on: options that are new orphan nothing, spelling changes nothing, and all else counts."""

import json
from dataclasses import dataclass, field, make_dataclass, replace
from functools import cache
from pathlib import Path

import pytest

from corrwise.costs import presets
from corrwise.envs.tasks.manifest import empty_manifest
from corrwise.experiments import cli
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.cli.options import CHOOSES_ROWS, SPEED_ONLY
from corrwise.experiments.runs import mpc
from corrwise.experiments.runs.distances import settings_behind
from corrwise.experiments.runs.grid import KEY, Cell
from corrwise.experiments.runs.mpc import mpc_settings
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.runs.settings import (
    ConfigMismatch,
    Settings,
    compare_settings,
    differences,
    fingerprint,
    frozen_defaults,
    settings_of,
)
from corrwise.experiments.studies.ablations import AXES, METHOD_NAMES, variants
from corrwise.experiments.studies.planning import METHODS, method_config
from tools import freeze_defaults
from tools.results_table import RESULTS

PLANNED = ("table-mpc", "ablations", "ablations/confirmed")
STATED = {  # folders with a config.json of options, and their command
    "ranking": "ranking", "ranking/random": "ranking", "agents": "agents", "agents/one-ray": "agents", "flows": "flows",
    "predictors": "predictors", "predictor-losses": "predictors", "predictor-losses/frames/cartpole": "evaluate",
    "training-losses": "predictors", "training-losses/frames/cartpole": "evaluate",
    **{f"predictors/frames/{task}": "evaluate" for task in ("cartpole", "ant", "humanoid")},
}  # fmt: skip


def _with_new_option(config, **given):
    """Return the same options and one that is new, 3 by default."""
    kind = make_dataclass("New", [("tried", int, field(default=3))], bases=(type(config),), frozen=True)
    return kind(**{name: getattr(config, name) for name in type(config).__dataclass_fields__}, **given)


def _tried(task):
    tried = {method: method_config(method, task) for method in METHODS}
    return tried | {name: config for axis in AXES for name, config in variants(axis, task, METHOD_NAMES)}


def test_a_new_option_leaves_all_committed_rows_current(monkeypatch):
    monkeypatch.setattr(mpc, "distance_of", cache(mpc.distance_of))
    rows = [row for folder in PLANNED for row in read_rows(RESULTS / folder / "rows.jsonl", KEY)]
    made = {(row["task"], row["method"]): row["settings"] for row in rows}
    tried = {task: _tried(task) for task in {task for task, _ in made}}
    cells = {(task, name): Cell(name, _with_new_option(tried[task][name]), empty_manifest(task)) for task, name in made}
    assert len(made) > 100
    assert [key for key, stated in made.items() if cells[key].fingerprint != stated] == []


def test_a_new_option_that_is_used_is_another_run():
    config = method_config("l1", "cartpole")
    manifest = empty_manifest("cartpole")
    prints = [Cell("l1", each, manifest).fingerprint for each in (
        config, _with_new_option(config), _with_new_option(config, tried=4)
    )]  # fmt: skip
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize("folder", STATED)
def test_a_new_option_leaves_committed_configurations_current(folder):
    stated = json.loads((RESULTS / folder / "config.json").read_text())
    command = STATED[folder]
    kind = freeze_defaults.COMMANDS[command]
    known = {name: value for name, value in stated.items() if name in kind.__dataclass_fields__}
    known = {name: tuple(value) if isinstance(value, list) else value for name, value in known.items()}
    if command == "evaluate":
        known |= {"data": Path(stated["data"]), "models": tuple(map(Path, stated["models"]))}
    known = {name: value for name, value in known.items() if name != "cost" or isinstance(value, str)}
    settings = settings_of(_with_new_option(kind(**known)), command)
    others = {name: value for name, value in stated.items() if name in ("context", "frames", "made_of")}
    compare_settings(RESULTS / folder, stated, settings.with_values(others))
    with pytest.raises(ConfigMismatch, match="tried is 3 there and 4 here"):
        compare_settings(RESULTS / folder, stated, settings.with_values({**others, "tried": 4}))


def test_the_frozen_defaults_know_every_option():
    assert freeze_defaults.frozen(frozen_defaults()) == frozen_defaults(), "run python -m tools.freeze_defaults"


def test_a_new_option_of_a_flow_leaves_rows_of_its_costs_current(monkeypatch):
    cells = [Cell("x", method_config(method, "cartpole"), empty_manifest("cartpole")) for method in METHODS]
    before = [replace(cell).fingerprint for cell in cells]
    learned = presets.NAMED_FLOWS["learned"]
    more = replace(learned, options={**learned.options, "tried": presets.Option(int, 3)})
    monkeypatch.setitem(presets.NAMED_FLOWS, "learned", more)
    assert [replace(cell).fingerprint for cell in cells] != before, "until it is frozen"
    frozen = freeze_defaults.frozen(frozen_defaults())
    assert frozen["mpc"]["defaults"]["made_of.tried"] == 3
    monkeypatch.setattr("corrwise.experiments.runs.settings.frozen_defaults", lambda: frozen)
    assert [replace(cell).fingerprint for cell in cells] == before
    made_of = [settings_behind(cost) for cost in ("corr-l1", "corr-l1:tried=4")]
    assert [made["tried"] for made in made_of] == [3, 4]
    assert len({fingerprint(mpc_settings(MPCConfig()).with_values({"made_of": made})) for made in made_of}) == 2


def test_a_default_that_changes_later_changes_no_old_run():
    @dataclass(frozen=True)
    class Later(MPCConfig):
        horizon: int = 20

    before, after = mpc_settings(MPCConfig(horizon=12)), mpc_settings(Later())
    assert fingerprint(before) != fingerprint(after) == fingerprint(mpc_settings(MPCConfig(horizon=20)))
    assert differences(after)["horizon"] == 20


def test_options_state_what_changes_no_row():
    @dataclass(frozen=True)
    class Options:
        size: int = 1
        speed: int = field(default=1, metadata=SPEED_ONLY)
        names: tuple[str, ...] = field(default=("a",), metadata=CHOOSES_ROWS)
        place: Path = Path("clips")

    plain = settings_of(Options())
    for same in ({"speed": 2}, {"names": ("b",)}, {"place": Path.cwd() / "clips"}, {"place": Path("x/../clips")}):
        assert fingerprint(settings_of(replace(Options(), **same))) == fingerprint(plain), same
        compare_settings(Path("out"), dict(plain), settings_of(replace(Options(), **same)))
    for other in ({"size": 2}, {"place": Path("others")}):
        assert fingerprint(settings_of(replace(Options(), **other))) != fingerprint(plain), other
        with pytest.raises(ConfigMismatch):
            compare_settings(Path("out"), dict(plain), settings_of(replace(Options(), **other)))


def test_whole_numbers_are_one_setting_however_they_are_written():
    one, two, three = (fingerprint(Settings({"a": value, "b": [value]})) for value in (3, 3.0, 3.5))
    assert one == two != three


XML = '<mujoco><option timestep="0.01"/><worldbody><geom type="plane" size="5 5 1"/><body pos="0 0 {height}"><joint \
name="x" type="slide" axis="1 0 0"/><geom type="sphere" size="0.2" mass="{mass}"/></body></worldbody><actuator><motor \
joint="x" gear="5" ctrlrange="-1 1"/></actuator></mujoco>'
PUCK = """
from functools import cache
from pathlib import Path
import mujoco, numpy as np
from corrwise.envs import Camera, GoalSampling, Task
import helper
HERE = Path(__file__).parent
PUCK = Task(
    name="puck", model=lambda: mujoco.MjSpec.from_file(str(HERE / "robot.xml")),
    camera=Camera(position=(0.0, -3.0, 1.0), target=(0.0, 0.0, 0.2), fovy=45.0), frame_skip=helper.SKIP,
    episode_steps=20,
    start=lambda model, rng: (rng.uniform(-0.5, 0.5, 1), np.zeros(1)),
    goal=GoalSampling(min_steps=2, max_steps=20, min_distance=0.01),
)
"""


def _puck(folder, mass=1, skip=5, comment=""):
    folder.mkdir(exist_ok=True)
    (folder / "robot.xml").write_text(XML.format(height=0.2, mass=mass))
    (folder / "helper.py").write_text(f"SKIP = {skip}  # {comment}\n")
    (folder / "t.py").write_text(PUCK + f"# {comment}\n")


@pytest.mark.parametrize("command", ["mpc", "collect"])
def test_a_task_is_its_model_and_its_numbers_not_its_comments_or_its_path(command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _puck(tmp_path / "one")
    small = ["--episodes", "1", "--steps", "1", "--size", "16"]
    more = ["--costs", "zero-action", "--no-videos"] if command == "mpc" else []
    run = [command, "--out", "out", *small, *more]
    assert cli.main([*run, "--task", "one/t.py:PUCK"]) == 0
    _puck(tmp_path / "one", comment="said in other words")
    assert cli.main([*run, "--task", f"{tmp_path}/./one/t.py:PUCK"]) == 0, capsys.readouterr().err
    for change, message in (({"mass": 2}, "task_model is"), ({"skip": 4}, "task_")):
        _puck(tmp_path / "one", **change)
        assert cli.main([*run, "--task", "one/t.py:PUCK"]) == 2, change
        assert f"holds rows of another configuration: {message}" in capsys.readouterr().err
    _puck(tmp_path / "one")
    assert cli.main([*run, "--task", "one/t.py:PUCK"]) == 0


def test_lockstep_counts_where_rows_are_not_reproducible():
    for reproducible, names in ((True, {}), (False, {"lockstep": 2, "reproducible": False})):
        settings = differences(mpc_settings(MPCConfig(reproducible=reproducible, lockstep=2)))
        assert {name: settings[name] for name in ("lockstep", "reproducible") if name in settings} == names
