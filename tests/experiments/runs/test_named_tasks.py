"""A user's task by the name of its file: loaded, distinguished from other versions, or refused in one sentence."""

import pytest

from corrwise.experiments import cli
from corrwise.experiments.runs.parts import named_task, task_settings

MINE = (
    "from dataclasses import replace\nfrom corrwise.envs import TASKS\nMINE = replace(TASKS['cartpole'], name='mine')\n"
)
QUICK = ["--costs", "l1", "--episodes", "1", "--steps", "1", "--size", "16", "--horizon", "1", "--candidates", "2"]


def test_a_task_is_found_in_a_file_and_in_a_module(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(MINE)
    assert named_task(f"{tmp_path}/mine.py:MINE").name == "mine"
    assert named_task("corrwise.envs.tasks.ant:ANT").name == "ant"
    mine, ant = task_settings(f"{tmp_path}/mine.py:MINE"), task_settings("corrwise.envs.tasks.ant:ANT")
    assert mine["task_source"] != ant["task_source"]
    assert "task_source" not in task_settings("ant")
    assert task_settings("ant")["task_model"] == ant["task_model"] != mine["task_model"]


@pytest.mark.parametrize("command", ["mpc", "collect"])
def test_a_helper_that_changed_does_not_continue_a_run_and_a_comment_does(command, tmp_path, capsys):
    text = "import helper\n" + MINE.replace("name='mine'", "name='mine', frame_skip=helper.SKIP")
    (tmp_path / "mine.py").write_text(text)
    run = [command, "--task", f"{tmp_path}/mine.py:MINE", "--out", str(tmp_path / "out")]
    run += [*QUICK, "--no-videos"] if command == "mpc" else ["--episodes", "1", "--steps", "1", "--size", "16"]
    for helper, code in (("SKIP = 5", 0), ("SKIP = 5  # 50 ms", 0), ("SKIP = 6", 2), ("SKIP = 5\nOTHER = 6", 2)):
        (tmp_path / "helper.py").write_text(helper)
        assert cli.main(run) == code, helper
    assert "holds rows of another configuration: task_source is " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "mine.py:OTHER",
            MINE,
            "expected a corrwise.envs.Task 'OTHER' in {folder}/mine.py, got None; its tasks are MINE\n",
        ),
        ("mine.py:TASKS", MINE, "expected a corrwise.envs.Task 'TASKS' in {folder}/mine.py, got Registry("),
        (
            "mine.py:MINE",
            "import nothing_of_that_name",
            "cannot run {folder}/mine.py:1: ModuleNotFoundError: No module",
        ),
        ("mine.py:MINE", "1 +", "cannot run {folder}/mine.py:1: SyntaxError: "),
        ("mine.py:MINE", None, "expected a Python file with a task, got '{folder}/mine.py' which is no file"),
    ],
)
def test_what_is_no_task_is_one_sentence(tmp_path, capsys, name, content, message):
    if content is not None:
        (tmp_path / "mine.py").write_text(content)
    assert cli.main(["mpc", "--task", f"{tmp_path}/{name}", "--out", str(tmp_path / "out"), *QUICK]) == 2
    error = capsys.readouterr().err
    assert error.startswith("corrwise: " + message.format(folder=tmp_path))
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_module_that_is_not_there_is_one_sentence(tmp_path, capsys):
    assert cli.main(["mpc", "--task", "nobody.has_this:TASK", "--out", str(tmp_path / "out"), *QUICK]) == 2
    assert capsys.readouterr().err.startswith("corrwise: cannot import 'nobody.has_this': No module named 'nobody'")
