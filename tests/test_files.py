"""What files declare is checked against what they hold, before anything is made of it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

from corrwise import _files
from corrwise._files import load_arrays, load_checkpoint, parse_json, read_json, shown
from corrwise._network_size import MOST_WEIGHTS, check_network
from corrwise.costs._weights import read_file


def test_json_is_what_json_says():
    value = {"a": [1, None, "é", 1e308], "b": {"c": [[[[True]]]]}}
    assert parse_json(json.dumps(value)) == parse_json(json.dumps(value).encode()) == value
    assert parse_json("[" * 64 + "]" * 64)
    assert parse_json(b"\xef\xbb\xbf[1]") == [1], "a mark that some editors leave"


@pytest.mark.parametrize(
    "text", ["[" * 65 + "]" * 65, "[" * 10**5, '{"a":' * 10**5, '"\\ud800"', "9" * 5000, "", "{", b"\xff\xfe\xfd"]
)
def test_json_that_could_not_be_used_is_refused(text):
    with pytest.raises(ValueError, match=r"^[^\n]*$"):
        parse_json(text)


def test_a_file_that_is_too_large_for_json_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text("[1, 2]")
    assert read_json(tmp_path / "config.json") == [1, 2]
    monkeypatch.setattr(_files, "MOST_JSON_BYTES", 5)
    with pytest.raises(ValueError, match=r"config\.json has 6 bytes, and JSON of at most 5 is read"):
        read_json(tmp_path / "config.json")


def test_a_value_is_shown_on_one_line_and_cut_between_its_parts():
    assert shown([1, "two"]) == "[1, 'two']"
    assert shown([0.125] * 40) == "[" + ", ".join(["0.125"] * 11) + ", ..."
    assert "\n" not in shown(np.zeros((3, 3)))
    assert shown("x" * 100) == "'" + "x" * 79 + "..."


def _npz(header: dict) -> bytes:
    data, array = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(array, header)
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("states.npy", array.getvalue())
    return data.getvalue()


def test_arrays_declare_no_more_than_the_bound():
    data = _npz({"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)})
    with pytest.raises(ValueError, match=r"a\.npz/states\.npy declares 8000000000000 bytes.*at most 17179869184"):
        load_arrays(data, "a.npz")
    data = _npz({"descr": "|O", "fortran_order": False, "shape": (1,)})
    with pytest.raises(ValueError, match=r"a\.npz/states\.npy holds objects"):
        load_arrays(data, "a.npz")


def test_a_checkpoint_declares_no_more_than_it_has(tmp_path):
    torch.save({"a": torch.zeros(1000, 1000)}, tmp_path / "whole.pt")
    assert load_checkpoint(tmp_path / "whole.pt")["a"].shape == (1000, 1000)
    with zipfile.ZipFile(tmp_path / "whole.pt") as whole, zipfile.ZipFile(tmp_path / "bomb.pt", "w") as bomb:
        for info in whole.infolist():
            bomb.writestr(info.filename, whole.read(info), compress_type=zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match=r"bomb\.pt cannot be read as weights: it declares 4\d+ bytes, and has \d+"):
        read_file(tmp_path / "bomb.pt")


def test_a_checkpoint_of_the_old_format_declares_no_more_than_it_has(tmp_path):
    torch.save({"a": torch.zeros(70_000)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert read_file(tmp_path / "old.pt")["a"].shape == (70_000,)
    data = (tmp_path / "old.pt").read_bytes()
    declared = b"J" + (70_000).to_bytes(4, "little")  # as pickle writes a whole number
    assert declared in data
    (tmp_path / "huge.pt").write_bytes(data.replace(declared, b"J" + (2**31 - 1).to_bytes(4, "little")))
    with pytest.raises(ValueError, match=r"huge\.pt cannot be read as weights: it declares 2147483647 bytes"):
        read_file(tmp_path / "huge.pt")


def test_safetensors_check_their_header(tmp_path):
    from safetensors.torch import save

    data = save({"a": torch.zeros(3, 4)})
    (tmp_path / "long.safetensors").write_bytes((2**62).to_bytes(8, "little") + data[8:])
    (tmp_path / "wide.safetensors").write_bytes(data.replace(b"[3,4]", b"[9,9]"))
    (tmp_path / "far.safetensors").write_bytes(data.replace(b"[0,48]", b"[0,99]"))
    for name in ("long", "wide", "far"):
        with pytest.raises(ValueError, match=rf"{name}\.safetensors cannot be read as weights: .*eader"):
            read_file(tmp_path / f"{name}.safetensors")


def test_a_network_is_counted_before_it_is_made():
    devices = []

    def build(width):
        layer = torch.nn.Linear(width, width, bias=False)
        devices.append(layer.weight.device.type)
        return layer

    state = torch.random.get_rng_state()
    side = int(MOST_WEIGHTS**0.5)
    check_network(lambda: build(side))
    with pytest.raises(ValueError, match=rf"at most {MOST_WEIGHTS} numbers, got 1000[0-9]+"):
        check_network(lambda: build(side + 1))
    check_network(lambda: build(3), {"weight": torch.zeros(3, 3)})
    for state_dict, message in [
        ({"weight": torch.zeros(3, 4)}, r"expected \(3, 3\) as weight, got \(3, 4\)"),
        ({}, r"expected \(3, 3\) as weight, got nothing"),
        ({"weight": torch.zeros(3, 3), "b": torch.zeros(1)}, r"expected nothing as b, got \(1,\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            check_network(lambda: build(3), state_dict)
    assert set(devices) == {"meta"}
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("name", ["config.json", "checkpoint.pt", "rows.jsonl", "shard-00000.h5"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_device_in_the_place_of_a_file_is_not_waited_for(tmp_path, name, kind):
    """In a separate process, because a read that blocks could not be stopped here."""
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    script = (
        "import sys\nfrom pathlib import Path\nfrom corrwise._files import load_checkpoint, read_json\n"
        "from corrwise.experiments.runs.rows import read_rows\nfrom corrwise.experiments.runs.rows import KEY\n"
        "from corrwise.predictors.data.formats.shards import shard_about\n"
        "readers = {'.json': read_json, '.pt': load_checkpoint, '.jsonl': lambda path: read_rows(path, KEY)}\n"
        "path = Path(sys.argv[1])\n"
        "try:\n    readers.get(path.suffix, shard_about)(path)\n"
        "except ValueError as error:\n"
        "    sys.exit(f'{path} is a pipe or a device, expected a file' not in str(error))\n"
        "sys.exit(2)"
    )
    words = [sys.executable, "-c", script, str(path)]
    assert subprocess.run(words, check=False, timeout=600).returncode == 0
