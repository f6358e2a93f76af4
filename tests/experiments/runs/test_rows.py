"""Rows survive being killed mid-write; folders refuse another configuration; errors are one sentence."""

from __future__ import annotations

import contextlib
import gzip
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest

from corrwise import _writing
from corrwise._writing import RunFolderError, write_json_atomic
from corrwise.experiments import RunFolder
from corrwise.experiments.runs.rows import append_row, open_rows, read_rows, row_key
from corrwise.experiments.runs.settings import ConfigMismatch, Settings

ROWS = [
    {"task": "cartpole", "cost": "l1", "planner": "cem", "predictor": "oracle", "seed": i, "note": 'é\n"'}
    for i in range(3)
]


@pytest.fixture
def path(tmp_path):
    for row in ROWS:
        append_row(tmp_path / "rows.jsonl", row)
    return tmp_path / "rows.jsonl"


def claim_folder(out, settings):
    with RunFolder(out, settings):
        return out


def test_rows_come_back_as_they_went_in(path):
    assert read_rows(path) == ROWS
    assert open_rows(path) == ROWS
    assert row_key(ROWS[2]) == ("cartpole", "l1", "cem", "oracle", 2)
    assert read_rows(path.with_name("absent.jsonl")) == []
    assert open_rows(path.with_name("absent.jsonl")) == []


def test_a_file_cut_at_any_byte_loses_at_most_the_row_in_flight(path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a thousand of them take seconds
    data = path.read_bytes()
    ends = [i for i, byte in enumerate(data) if byte == ord("\n")]
    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        whole = sum(end <= cut for end in ends)  # a row is whole once its last brace is there
        assert read_rows(path) == ROWS[:whole]
        assert path.read_bytes() == data[:cut], "reading alone must not write"
        assert open_rows(path) == ROWS[:whole]
        for row in ROWS[whole:]:
            append_row(path, row)
        assert path.read_bytes() == data, "cut, repaired and continued is the uninterrupted file"


@pytest.mark.parametrize("tail", [b"\0\0\0\0", b'{"task": "cart\n', b"\xc3", b"\n\n"])
def test_other_broken_tails_are_cut_off(path, tail):
    data = path.read_bytes()
    path.write_bytes(data + tail)
    assert open_rows(path) == ROWS
    assert path.read_bytes() == data


@pytest.mark.parametrize("tail", [b"17", b"[1]\n", b"null\n", b'"text"', b"true\n{"])
def test_json_that_is_no_object_is_refused_with_its_line_and_never_cut_off(path, tail):
    data = path.read_bytes() + tail
    path.write_bytes(data)
    for read in (read_rows, open_rows):
        with pytest.raises(RunFolderError, match=r"rows\.jsonl line 4 is not a result row: expected an object, got "):
            read(path)
    assert path.read_bytes() == data


def test_a_torn_line_in_the_middle_is_an_error_that_names_it(path):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:20] + b"\n" + lines[2])
    for read in (read_rows, open_rows):
        with pytest.raises(RunFolderError, match=r"rows\.jsonl line 2 "):
            read(path)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("seed", "0", "expected a whole number as seed, got '0'"),
        ("seed", True, "expected a whole number as seed, got True"),
        ("seed", 10**400, "expected a whole number as seed, got 1000"),
        ("task", None, "expected text as task, got None"),
        ("min_distance", "near", "expected a finite number as min_distance, got 'near'"),
        ("min_distance", math.nan, "expected a finite number as min_distance, got nan"),
        ("min_distance", 10**400, "expected a finite number as min_distance, got 1000"),
        ("min_distance", True, "expected a finite number as min_distance, got True"),
        ("seconds_flow", [1], r"expected a finite number as seconds_flow, got \[1\]"),
        ("diverged", "no", "expected true or false as diverged, got 'no'"),
        ("distances", [0.5, "x"], r"expected a list of finite numbers as distances, got \[0.5, 'x'\]"),
        ("distances", {"0": 1}, "expected a list of finite numbers as distances, got {'0': 1}"),
        ("steps", -1, "expected a whole number from 0 as steps, got -1"),
        ("versions", [], r"expected an object of texts as versions, got \[\]"),
        ("panels", ["goal", 7], r"expected a list of texts as panels, got \['goal', 7\]"),
        ("strip", 7, "expected text as strip, got 7"),
    ],
)
@pytest.mark.parametrize("line", [2, 3])
def test_a_field_of_another_type_is_named_with_its_line_and_never_cut_off(path, field, value, message, line):
    rows = [*ROWS]
    rows[line - 1] = {**rows[line - 1], field: value}
    data = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    path.write_bytes(data)
    for read in (read_rows, open_rows):
        with pytest.raises(RunFolderError, match=rf"rows\.jsonl line {line} is not a result row: {message}"):
            read(path)
    assert path.read_bytes() == data


def test_a_field_that_is_missing_is_named(path):
    path.write_text(json.dumps({"task": "ant"}) + "\n")
    with pytest.raises(RunFolderError, match="line 1 is not a result row: expected text as cost, got none"):
        read_rows(path)


def test_numbers_that_are_not_finite_become_null(tmp_path):
    path = tmp_path / "rows.jsonl"
    key = {"task": "t", "cost": "l1", "planner": "cem", "predictor": "oracle", "seed": 0}
    odd = {"a": math.nan, "b": [1.0, -math.inf], "c": np.float32(np.nan), "d": np.arange(2), "e": tmp_path}
    append_row(path, {**key, **odd})
    text = path.read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert read_rows(path) == [{**key, "a": None, "b": [1.0, None], "c": None, "d": [0, 1], "e": str(tmp_path)}]


def test_a_failed_write_leaves_the_old_file_and_no_leftover(tmp_path, monkeypatch):
    path = tmp_path / "config.json"
    write_json_atomic(path, {"a": 1})
    with contextlib.suppress(KeyboardInterrupt), _writing.write_aside(path) as aside:
        aside.write_text('{"a": ')
        raise KeyboardInterrupt
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(_writing.os, "replace", lambda *_: (_ for _ in ()).throw(full))
    with pytest.raises(RunFolderError, match=r"cannot write .*config\.json: No space left"):
        write_json_atomic(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert os.listdir(tmp_path) == ["config.json"]


def test_packed_rows_are_read_and_a_run_that_goes_on_unpacks_them(path):
    packed = path.with_name("rows.jsonl.gz")
    packed.write_bytes(gzip.compress(path.read_bytes() + b'{"task": "cart'))
    path.unlink()
    assert read_rows(path) == ROWS
    assert not path.exists(), "reading alone must not write"
    assert open_rows(path) == ROWS
    append_row(path, {**ROWS[0], "seed": 9})
    assert [row["seed"] for row in read_rows(path)] == [0, 1, 2, 9]
    path.unlink()
    for data in (b"no gzip", packed.read_bytes()[:30], packed.read_bytes()[:-12] + bytes(12)):
        packed.write_bytes(data)
        with pytest.raises(RunFolderError, match=r"cannot unpack .*rows\.jsonl\.gz: "):
            read_rows(path)


def test_a_process_killed_while_appending_loses_one_row_at_most(tmp_path):
    path = tmp_path / "rows.jsonl"
    code = (
        "import sys; from corrwise.experiments.runs.rows import append_row\n"
        "key = dict.fromkeys(('task', 'cost', 'planner', 'predictor'), 'x')\n"
        "for i in range(10**6):\n"
        "    append_row(sys.argv[1], {**key, 'seed': i, 'distances': [0.5] * 200}); print(i, flush=True)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    stated = [int(next(child.stdout)) for _ in range(20)][-1]
    child.kill()
    stated = max([stated, *(int(line) for line in child.stdout.read().split("\n")[:-1])])
    child.wait()
    child.stdout.close()
    rows = open_rows(path)
    assert [row["seed"] for row in rows] == list(range(len(rows)))
    assert len(rows) > stated, "a row that was reported as written is there"


CONFIG = {"task": "cartpole", "seed": 0, "costs": ("l1",), "planner": {"name": "cem", "samples": 48}}


def test_claiming_a_new_folder_writes_its_configuration(tmp_path):
    out = claim_folder(tmp_path / "a" / "b", CONFIG)
    assert json.loads((out / "config.json").read_text())["costs"] == ["l1"]
    claim_folder(out, {**CONFIG, "seed": 5})  # no rows yet: nothing to protect
    assert json.loads((out / "config.json").read_text())["seed"] == 5


def test_rows_of_another_configuration_are_protected(tmp_path):
    claim_folder(tmp_path, CONFIG)
    append_row(tmp_path / "rows.jsonl", ROWS[0])
    claim_folder(tmp_path, CONFIG)
    claim_folder(tmp_path, Settings({**CONFIG, "costs": ["l1", "state"]}, free=("costs",)))
    assert json.loads((tmp_path / "config.json").read_text())["costs"] == ["l1", "state"]
    other = {**CONFIG, "planner": {"name": "cem", "samples": 64}}
    with pytest.raises(ConfigMismatch, match=r"planner\.samples is 48 there and 64 here"):
        claim_folder(tmp_path, Settings(other, free=("costs",)))
    claim_folder(tmp_path, Settings(other, free=("costs", "planner")))
    with pytest.raises(ConfigMismatch, match="extra is missing there and 1 here"):
        claim_folder(tmp_path, {**other, "extra": 1})
    usual = Settings(other, defaults=other)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigMismatch, match=r"config\.json is empty"):
        claim_folder(tmp_path, usual)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ConfigMismatch, match=r"config\.json is missing"):
        claim_folder(tmp_path, usual)
    assert not (tmp_path / "config.json").exists()


def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    for out in (blocker, blocker / "below"):
        with pytest.raises(RunFolderError) as caught:
            claim_folder(out, CONFIG)
        assert "\n" not in str(caught.value)
        assert str(out) in str(caught.value)
    (tmp_path / "config.json").write_text('{"task": ')
    with pytest.raises(RunFolderError, match="is not JSON"):
        claim_folder(tmp_path, CONFIG)
    (tmp_path / "config.json").write_text("[" * 100_000)
    with pytest.raises(
        RunFolderError, match=r"config\.json is not JSON: it is nested more than 64 levels deep; move it"
    ):
        claim_folder(tmp_path, CONFIG)


def test_a_read_only_folder_is_one_sentence(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(_writing.Path, "write_bytes", refuse)
    with pytest.raises(RunFolderError, match=r"cannot write .*config\.json: Permission denied"):
        claim_folder(tmp_path, CONFIG)


def test_the_result_side_imports_no_torch():
    names = [
        "runs.rows",
        "report.statistics",
        "report.summary",
        "report.strip",
        "report.video",
        "report.page",
    ]
    code = f"import sys\nfor n in {names}: __import__('corrwise.experiments.' + n)\n"
    slow = "{'torch', 'matplotlib', 'scipy', 'av'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code + f"assert not {slow}, {slow}"], check=True)
