"""One run in a folder, on disks with and without locks; and nothing outside of it is ever written."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from corrwise._writing import RunFolderError, only_run, write_aside, write_bytes_atomic
from corrwise.experiments import cli
from corrwise.experiments.runs.rows import append_row, open_rows
from corrwise.predictors.models.registry import make_model

ROW = {"task": "cartpole", "cost": "l1", "planner": "cem", "predictor": "oracle", "seed": 0}


def _failing(number):
    def flock(handle, operation):
        raise OSError(number, os.strerror(number))

    return flock


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_disk_without_locks_is_a_warning(tmp_path, monkeypatch, capsys, number):
    monkeypatch.setattr(fcntl, "flock", _failing(number))
    with only_run(tmp_path):
        append_row(tmp_path / "rows.jsonl", ROW)
    why = os.strerror(number)
    assert capsys.readouterr().err == (
        f"corrwise: warning: {tmp_path} cannot be locked ({why}); start no second run in it\n"
    )


@pytest.mark.parametrize("number", [errno.EWOULDBLOCK, errno.EACCES])
def test_a_lock_that_is_held_is_another_run(tmp_path, monkeypatch, number):
    monkeypatch.setattr(fcntl, "flock", _failing(number))
    with pytest.raises(RunFolderError, match="another run is writing to"), only_run(tmp_path):
        pass


def _link(path, target):
    path.symlink_to(target)


def _pipe(path, target):
    os.mkfifo(path)


def _folder(path, target):
    path.mkdir()


@pytest.mark.parametrize("plant", [_link, _pipe, _folder])
def test_what_is_no_plain_file_is_no_lock(tmp_path, capsys, plant):
    precious, out = tmp_path / "precious", tmp_path / "run"
    precious.write_text("kept")
    out.mkdir()
    plant(out / ".lock", precious)
    assert cli.main(["mpc", "--out", str(out), "--costs", "zero-action", "--steps", "1", "--size", "16"]) == 2
    refused = f"cannot write to {out}/.lock: it is no plain file; remove it or choose another output folder"
    assert capsys.readouterr().err == f"corrwise: {refused}\n"
    assert precious.read_text() == "kept"


def test_a_lock_file_is_never_emptied(tmp_path):
    (tmp_path / ".lock").write_text("kept")
    with only_run(tmp_path):
        pass
    assert (tmp_path / ".lock").read_text() == "kept"


@pytest.mark.parametrize("plant", [_link, _pipe, _folder])
def test_rows_go_to_a_plain_file_only(tmp_path, plant):
    precious, rows = tmp_path / "precious", tmp_path / "rows.jsonl"
    precious.write_text('{"torn')
    plant(rows, precious)
    with pytest.raises(RunFolderError, match="it is no plain file"):
        append_row(rows, ROW)
    if plant is _link:
        with pytest.raises(RunFolderError, match="it is no plain file"):
            open_rows(rows)  # which would cut the torn line off
    assert precious.read_text() == '{"torn'


def test_a_link_in_the_place_of_a_temporary_file_is_not_written_through(tmp_path, monkeypatch):
    precious = tmp_path / "precious"
    precious.write_text("kept")
    for name in (f".table.{os.getpid()}.md", f".table.{os.getpid()}-0.md"):
        (tmp_path / name).symlink_to(precious)
    write_bytes_atomic(tmp_path / "table.md", b"new")
    assert (precious.read_text(), (tmp_path / "table.md").read_text()) == ("kept", "new")
    monkeypatch.setattr("corrwise._writing.secrets.token_hex", lambda _: "0")
    with pytest.raises(RunFolderError, match="cannot write"):
        write_bytes_atomic(tmp_path / "table.md", b"newer")
    assert (precious.read_text(), (tmp_path / "table.md").read_text()) == ("kept", "new")


def test_a_link_in_the_place_of_a_result_is_replaced(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / "table.md").symlink_to(precious)
    write_bytes_atomic(tmp_path / "table.md", b"new")
    assert (precious.read_text(), (tmp_path / "table.md").read_text()) == ("kept", "new")


def test_files_have_the_rights_that_the_user_wants(tmp_path):
    before = os.umask(0o027)
    try:
        with write_aside(tmp_path / "table.md") as aside:
            aside.write_bytes(b"new")
    finally:
        os.umask(before)
    assert (tmp_path / "table.md").stat().st_mode & 0o777 == 0o640


def test_a_model_is_not_written_through_links(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("kept")
    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).symlink_to(precious)
    make_model("resnet3d", context=2, action_dim=1, width=2, downs=2, blocks3d=1, blocks2d=1).save_pretrained(tmp_path)
    assert precious.read_text() == "kept"


def test_a_model_for_which_there_is_no_room_is_named_and_leaves_the_old_one(tmp_path, monkeypatch):
    model = make_model("resnet3d", context=2, action_dim=1, width=2, downs=2, blocks3d=1, blocks2d=1)
    model.save_pretrained(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(path, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(RunFolderError, match=r"cannot write .*model\.safetensors: No space left on device"):
        model.save_pretrained(tmp_path, {"steps": 2})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
