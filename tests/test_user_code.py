"""User code by name: it imports its neighbours, separately for each folder, and changes make another version."""

import sys
from multiprocessing import get_context

import pytest

from corrwise.user_code import is_user_code, user_object, user_source, user_sources

LATE = "VALUE = 1\n\ndef late():\n    import later\n    from pack import inner\n    return later.VALUE + inner.VALUE\n"
FILES = {
    "main.py": f"import helper\nimport pack.inner as deep\nfrom pack.inner import VALUE as INNER\n{LATE}",
    "helper.py": "import json\nVALUE = '{folder}'\n",
    "later.py": "VALUE = 10\n",
    "pack/__init__.py": "from . import beside\n",
    "pack/beside.py": "import helper\nVALUE = helper.VALUE\n",
    "pack/inner.py": "VALUE = 5\n",
    "unused.py": "raise RuntimeError\n",
    "corrwise/__init__.py": "raise RuntimeError('the package is never a neighbour')\n",
    "numbers.py": "raise RuntimeError('the standard library comes first')\n",
}


def write(folder, **files):
    for name, text in {**FILES, **files}.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text.replace("{folder}", folder.name))
    return f"{folder}/main.py"


def anything(name):
    return user_object(name, lambda value: value is not None, "an object", noun="object")


def test_a_file_imports_its_neighbours_at_once_and_later_and_nothing_else_changes(tmp_path):
    paths, names = list(sys.path), set(sys.modules)
    files = {folder: write(tmp_path / folder) for folder in ("one", "two")}
    for folder, file in files.items():
        assert folder == anything(f"{file}:helper").VALUE
        assert anything(f"{file}:INNER") == anything(f"{file}:deep").VALUE == 5
    for folder, file in files.items():  # after the other has been loaded, too
        assert anything(f"{file}:late")() == 15
        assert anything(f"{file}:deep").__name__.endswith(".pack.inner")
        assert folder == anything(f"{file}:helper").VALUE
    assert sys.path == paths
    assert {name for name in set(sys.modules) - names if not name.startswith("corrwise_user_")} <= {"json"}
    assert not list(tmp_path.rglob("__pycache__"))


def late_in_a_process(name):
    return anything(f"{name}:late")(), anything(f"{name}:helper").VALUE


def test_a_worker_process_finds_the_neighbours_too(tmp_path):
    files = [write(tmp_path / folder) for folder in ("one", "two")]
    with get_context("spawn").Pool(1) as pool:
        assert pool.map(late_in_a_process, files) == [(15, "one"), (15, "two")]


def test_the_sources_are_those_of_all_that_is_imported_and_no_more(tmp_path):
    sources = user_sources(write(tmp_path) + ":VALUE")
    assert list(sources) == ["main.py", "helper.py", "later.py", "pack/__init__.py", "pack/beside.py", "pack/inner.py"]
    assert sources["later.py"] == FILES["later.py"]


def test_a_module_s_sources_are_those_of_its_own_package(tmp_path, monkeypatch):
    write(tmp_path)
    (tmp_path / "mine_1").mkdir()
    (tmp_path / "mine_1" / "__init__.py").write_text("")
    (tmp_path / "mine_1" / "part.py").write_text("VALUE = 3\n")
    (tmp_path / "mine_1" / "top.py").write_text("import torch\nfrom mine_1.part import VALUE\nfrom . import part\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert anything("mine_1.top:VALUE") == 3
    assert list(user_sources("mine_1.top:VALUE")) == ["mine_1/top.py", "mine_1/__init__.py", "mine_1/part.py"]
    assert list(user_sources("corrwise.envs.tasks.ant:ANT")) == ["corrwise/envs/tasks/ant.py"]


@pytest.mark.parametrize("changed", ["main.py", "helper.py", "later.py", "pack/inner.py", "pack/beside.py"])
def test_the_digest_changes_with_code_and_helpers_and_not_with_comments_or_the_folder(tmp_path, changed):
    before = user_source(write(tmp_path / "one") + ":VALUE")
    again = write(tmp_path / "two")
    (tmp_path / "two" / "helper.py").write_text(f'"""Says."""\nimport json\n\nVALUE = "one"  # {"word " * 9}\n')
    assert user_source(f"{again}:VALUE") == before
    other = write(tmp_path / "one", **{changed: FILES[changed] + "\nX = 1"})
    assert user_source(f"{other}:VALUE") != before


def test_a_file_that_changed_is_run_again_once_its_source_is_asked_for(tmp_path):
    name = write(tmp_path) + ":helper"
    assert tmp_path.name == anything(name).VALUE
    (tmp_path / "helper.py").write_text("VALUE = 'new'")
    assert tmp_path.name == anything(name).VALUE, "in the middle of a run, the code stays what it was"
    user_source(name)
    assert anything(name).VALUE == "new"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 +", "cannot run {folder}/helper.py:1: SyntaxError: invalid syntax"),
        ("x = 1\n1 / 0", "cannot run {folder}/helper.py:2: ZeroDivisionError: division by zero"),
        ("import nothing_of_that_name", "cannot run {folder}/helper.py:1: ModuleNotFoundError: No module named"),
        ("import sys\nsys.exit(3)", "cannot run {folder}/helper.py:2: SystemExit: 3"),
    ],
)
def test_a_helper_that_fails_is_named_with_its_line_and_can_be_mended(tmp_path, text, message):
    name = write(tmp_path, **{"helper.py": text}) + ":helper"
    with pytest.raises(ValueError, match=message.format(folder=tmp_path)):
        anything(name)
    write(tmp_path)
    assert tmp_path.name == anything(name).VALUE


def test_an_object_of_another_kind_is_refused_with_those_there_are(tmp_path):
    name = write(tmp_path, **{"main.py": "from pathlib import Path\nA = 1\nB = 2.0\n_C = 3\nD = 4"})
    with pytest.raises(ValueError, match=r"expected an integer 'B' in .*main.py, got 2.0; its numbers are A, D$"):
        user_object(f"{name}:B", int, "an integer", noun="number")
    with pytest.raises(ValueError, match=r"expected a Python file with a number, got '.*none.py' which is no file"):
        user_object(f"{tmp_path}/none.py:A", int, "an integer", noun="number")
    with pytest.raises(ValueError, match=r"cannot import 'nobody.has_this': No module named 'nobody'"):
        user_object("nobody.has_this:A", int, "an integer", noun="number")


def test_what_has_the_form_of_such_a_name():
    for name in ("my.py:NAME", "~/a b/my-file.v2.py:NAME", "package.module:NAME", "module:name"):
        assert is_user_code(name), name
    for name in ("corr-l1:flow=dis", "corr-l1", "l1", "my.py", "my.py:", ":NAME", "gym:Hopper-v5", ""):
        assert not is_user_code(name), name
