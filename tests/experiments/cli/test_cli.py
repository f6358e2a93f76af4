"""The command line: quick help, one-sentence errors, exit status 2, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

import corrwise
from corrwise._writing import only_run
from corrwise.experiments import cli
from corrwise.experiments.cli import commands, main
from corrwise.experiments.cli.doctor import gpu
from corrwise.experiments.cli.parse import RENAMED, _options, parse

RUN = ["mpc", "--steps", "1", "--episodes", "1", "--candidates", "2", "--iterations", "1", "--size", "16"]


@dataclass(frozen=True)
class Listed:
    """Has an option whose docstring holds a list."""

    count: int = 1
    """One of these:
    - 1 is one,
    and goes on
    - 2 is two"""


RAFT = "corr-l1:flow=raft,weights="


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["mpc", "--help"],
        ["mpc", "--task", "foo"],
        ["mpc", "--episodes", "x"],
        ["preview", "--help"],
        ["preview", "foo"],
        ["mpc", "--nosuch", "1"],
    ],
)
def test_help_and_argument_errors_never_import_torch(argv):
    script = (
        "import sys\nfrom corrwise.experiments.cli import main\n"
        f"try:\n    code = main({argv!r})\nexcept SystemExit as stop:\n    code = stop.code\n"
        "assert 'torch' not in sys.modules and 'mujoco' not in sys.modules, 'slow import'\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == (0 if "--help" in argv else 2), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (
            ["--task", "foo"],
            "unknown task 'foo'; there are cartpole, ant, humanoid, cartpole-short, cartpole-gusts, or gym:ID, "
            "dm_control:DOMAIN or your own as file.py:NAME",
        ),
        (["--costs", "l1", "nope"], "unknown cost 'nope'; there are l1, mse, ssim"),
        (["--planner", "sgd"], "unknown planner 'sgd'; there are random, cem, icem, mppi"),
        (["--horizon", "0"], "horizon must be at least 1, got 0"),
        (["--episodes", "-1"], "episodes must be at least 1, got -1"),
        (["--costs", "corr-l1:epsilon=-0.5"], "expected a number in [0, 1] as epsilon, got -0.5"),
        (["--costs", f"{RAFT}no/such.pth", "--size", "32"], "got 'no/such.pth' which does not exist"),
        (
            ["--costs", RAFT + __file__, "--size", "32"],
            "cannot be read as weights",
        ),
        (["--renderer", "gl", "--supersample", "2"], "supersample must be 1 with renderer gl, got 2"),
        (["--planner", "cem:initial-std=-1"], "planner: initial_std must be above zero and finite, got -1.0"),
        (["--planner", "cem:momentum=x"], "planner: option momentum must be a finite number, got 'x'"),
        (["--planner", "random:hold=1.5"], "planner: option hold must be a whole number, got '1.5'"),
        (["--planner", "cem:executes=worst"], "planner: option executes must be mean or best, got 'worst'"),
        (
            ["--planner", "icem:decline=2"],
            "planner icem has no option 'decline'; its options are initial_std, min_std, elite_fraction, momentum, "
            "noise_beta, keep_fraction, decay, knots, interpolation",
        ),
        (["--planner", "cem:momentum"], "expected options of planner cem as option=value, separated by commas, got"),
        (["--planner", "cem:knots=3", "--knots", "4"], "option knots of planner cem is given twice, as 3 and 4"),
        (["--knots", "13"], "planner: knots must be at most the horizon of 12 steps, got 13"),
        (["--planner", "cem:interpolation=cubic"], "interpolation=cubic needs a number of knots, got none"),
        (["--icem.keep-fraction=0.5"], "an option of the planner: --planner icem:keep-fraction=0.5"),
        (["--icem.momentum", "0.2"], "--icem.momentum is an option of the planner: --planner icem:momentum=0.2"),
        (["--action-change-penalty", "-1"], "action_change_penalty must be zero or above, got -1.0"),
        (["--episodes", "many"], "episodes must be a whole number, got many"),
        (["--nosuch", "1"], "mpc has no option --nosuch; corrwise mpc --help lists its options"),
        (["--planer", "cem"], "mpc has no option --planer (did you mean --planner?)"),
        (["--planner", "cme"], "unknown planner 'cme' (did you mean cem?); there are random, cem, icem, mppi"),
        (["--planner"], "--planner of mpc needs a value"),
        (["--gamma", "--k", "2"], "--gamma of mpc needs a value"),
        (["cartpole"], "mpc has no use for 'cartpole'"),
        (["--costs", "corr-l1:form=reg,magnitude=inf"], "expected a number of at least 0 as magnitude, got 'inf'"),
        (["--k", "inf"], "k must be above zero and finite, got inf"),
        (
            ["--costs", "corr-l1", "--flow", "raft", "--size", "16"],
            "size must be at least 32 pixels for cost corr-l1:flow=raft, got 16",
        ),
        (["--size", "8"], "size must be at least 16 pixels, got 8"),
        (["--out", "/proc/nowhere"], "cannot write"),
        (["--out", __file__], "it is a file, not a folder"),
    ],
)
def test_bad_input_is_one_sentence_and_status_two(argv, sentence, capsys, tmp_path):
    out = [] if "--out" in argv else ["--out", str(tmp_path / "run")]
    assert main([*RUN, *argv, *out]) == 2
    captured = capsys.readouterr().err
    assert sentence in captured
    assert captured.startswith("corrwise: ")
    assert len(captured.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists(), "a refused run leaves nothing behind"


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ([], "corrwise needs a command; there are mpc, preview, collect"),
        (["table"], "table needs a command; there are mpc, flows, ranking, ablations, predictors, agents"),
        (["mcp"], "unknown command 'mcp' (did you mean mpc?); there are mpc, preview"),
        (["tables", "mpc"], "unknown command 'tables' (did you mean table?); there are mpc, preview"),
        (["table", "flow"], "unknown command 'table flow' (did you mean flows?); there are mpc, flows"),
        (["import"], "import needs --source"),
        (["preview"], "preview needs TASK"),
        (["table", "mpc", "--workers", "3"], "--workers of table mpc is called --processes now"),
        (["mpc", "--workers", "3"], "--workers of mpc is called --processes now"),
        (["evaluate", "--workers", "3"], "evaluate has no option --workers"),
        (
            ["mpc", "--price=2"],
            "--price of mpc is part of the name of a cost now: --costs corr-l1:form=disp,displacement=",
        ),
        (
            ["train", "--perceptual", "x"],
            "--perceptual of train is part of the name of a cost now: --loss corr-l1:vgg=",
        ),
        (["collect", "--price", "2"], "collect has no option --price"),
    ],
)
def test_words_that_make_no_command_are_one_sentence_with_what_there_is(argv, sentence, capsys):
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"corrwise: {sentence}")
    assert len(captured.err.strip().splitlines()) == 1
    assert not captured.out


def test_every_renamed_option_is_gone_and_its_new_name_is_an_option_of_some_command():
    options = [dict(_options(command.config)) for command in commands().values()]
    for old, new in RENAMED.items():
        owners = [each for each in options if new in each]
        assert owners, f"no command has {new}"
        assert not any(old in each for each in owners), f"{old} is still an option beside {new}"


def test_an_option_that_one_command_renamed_differently_names_its_own_new_name(capsys):
    assert main(["table", "predictors", "--held", "3"]) == 2
    assert capsys.readouterr().err == "corrwise: --held of table predictors is called --eval-episodes now\n"


def test_the_version_is_the_packages(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"corrwise {corrwise.__version__}\n"


def test_help_lists_every_command_once_and_each_has_its_own_help(capsys):
    known = commands()
    assert main(["--help"]) == 0
    listed = [line[2:23].strip() for line in capsys.readouterr().out.splitlines() if line[:3].strip()]
    assert [name for name in listed if name in known] == list(known)
    for name, command in known.items():
        with pytest.raises(SystemExit) as stop:
            main([*name.split(), "--help"])
        assert not stop.value.code
        printed = " ".join(capsys.readouterr().out.split())
        assert f"usage: corrwise {name} " in printed
        assert " ".join(command.config.__doc__.split()) in printed


def test_help_keeps_each_sentence_of_an_option_in_one_piece(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "2000")
    for words, sentence in {
        "mpc": "(docs/choose_a_flow.md); recommended, the default of planning; your own as file.py:NAME, which",
        "table mpc": "Changes the speed, never the rows. (default: 0)",
        "mpc --costs l1": "an environment, as gym:Hopper-v5 or dm_control:walker-walk; or your own, as file.py:NAME",
    }.items():
        with pytest.raises(SystemExit):
            main([*words.split(), "--help"])
        printed = capsys.readouterr().out
        assert sentence in printed
        assert "where options" not in printed


def test_help_keeps_the_lines_of_a_list(capsys):
    with pytest.raises(SystemExit):
        parse("corrwise listed", Listed, ["--help"])
    lines = [line.strip("│ ") for line in capsys.readouterr().out.splitlines()]
    assert {"- 1 is one, and goes on", "- 2 is two (default: 1)"} <= set(lines)


def test_every_file_of_a_command_is_listed():
    files = sorted(file.stem for file in Path(cli.__file__).parent.glob("*.py") if "\nNAME = " in file.read_text())
    assert files == sorted(cli._FILES)


@pytest.mark.parametrize("command", ["mpc", "collect", "preview"])
def test_help_states_that_a_tasks_file_is_run(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    printed = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "as file.py:NAME, which runs that file as Python code" in printed


def test_a_folder_of_another_configuration_is_refused_with_both_values(tmp_path, capsys):
    out = ["--out", str(tmp_path)]
    assert main([*RUN, "--costs", "zero-action", *out]) == 0
    assert main([*RUN, "--costs", "zero-action", "--horizon", "7", *out]) == 2
    assert "horizon is 12 there and 7 here" in capsys.readouterr().err


def test_a_configuration_that_is_somebody_elses_stays(tmp_path, capsys):
    (tmp_path / "config.json").write_text('{"model": "mine"}')
    assert main([*RUN, "--costs", "zero-action", "--out", str(tmp_path)]) == 2
    assert "is not a run's configuration" in capsys.readouterr().err
    assert (tmp_path / "config.json").read_text() == '{"model": "mine"}'


def test_a_second_run_in_the_same_folder_waits_its_turn(tmp_path, capsys):
    with only_run(tmp_path):
        assert main([*RUN, "--costs", "zero-action", "--out", str(tmp_path)]) == 2
    assert "another run is writing to" in capsys.readouterr().err
    assert main([*RUN, "--costs", "zero-action", "--out", str(tmp_path)]) == 0


def test_rows_of_another_simulator_are_not_added_to(tmp_path, capsys):
    out = ["--costs", "zero-action", "--out", str(tmp_path)]
    assert main([*RUN, *out]) == 0
    rows = tmp_path / "rows.jsonl"
    rows.write_text(rows.read_text().replace(f'"mujoco": "{version("mujoco")}"', '"mujoco": "3.0.0"'))
    assert main([*RUN, *out, "--seed", "1"]) == 2
    assert "holds rows made with mujoco 3.0.0, and here is 3." in capsys.readouterr().err


@pytest.mark.parametrize("line", ['{"a": 1}', '{"task": 3}', "[]"])
def test_a_line_that_is_no_row_is_named(line, tmp_path, capsys):
    out = ["--costs", "zero-action", "--out", str(tmp_path)]
    assert main([*RUN, *out]) == 0
    rows = tmp_path / "rows.jsonl"
    rows.write_text(f"{line}\n{rows.read_text()}")
    for argv in ([*RUN, *out], ["report", str(tmp_path)]):
        assert main(argv) == 2
        assert "rows.jsonl line 1 is not a result row" in capsys.readouterr().err


def test_the_report_command_needs_a_run_folder(tmp_path, capsys):
    assert main(["report", str(tmp_path / "nothing")]) == 2
    assert "is not a run folder" in capsys.readouterr().err


def test_doctor_names_each_thing_once(capsys):
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    for thing in ("raycast renderer", "gl renderer", "GPU", "RAFT weights", "videos", "threads"):
        assert printed.count(f"  {thing} ") == 1
    assert "ok       raycast renderer" in printed


@pytest.mark.parametrize("available", [False, True])
def test_doctor_reports_what_runs_on_a_gpu_and_what_does_not(available, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: available)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "Some GPU")
    finding = gpu()
    assert finding.works == available
    assert ("Some GPU" in finding.message) == available
    message = finding.message if available else finding.message.partition("would run ")[2]
    there, _, here = message.partition(";")
    assert all(part in there for part in ("costs", "flows", "trained predictors", "training"))
    assert all(part in here for part in ("physics", "ray caster", "dis"))
