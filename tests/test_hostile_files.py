"""Reading a damaged file returns a value, or raises one sentence that names the file.

A new reader is one line of ``READERS``. ``CORRWISE_FUZZ=2000 pytest tests/test_hostile_files.py`` tries as many damaged
files of each, other ones every time.
"""

from __future__ import annotations

import json
import os
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import h5py
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corrwise._files import load_arrays
from corrwise.costs._weights import read_file
from corrwise.costs.flow.learned.net import FlowNet, FlowNetConfig
from corrwise.costs.flow.learned.net_file import FORMAT, load_net, save_net
from corrwise.envs.tasks import manifest
from corrwise.experiments import RunFolder, cli
from corrwise.experiments.cli.table_mpc import MPCTableConfig
from corrwise.experiments.report.page import write_report
from corrwise.experiments.runs import grid
from corrwise.experiments.runs.rows import open_rows, read_rows
from corrwise.experiments.studies import ranking as ranking_text
from corrwise.experiments.studies.agents import table as agents
from corrwise.experiments.studies.agents.table import agent_table
from corrwise.experiments.studies.flows import report as flows
from corrwise.experiments.studies.planning import cells_of, mpc_table
from corrwise.experiments.studies.predictors import evaluate
from corrwise.experiments.studies.predictors.evaluation import clip_means, evaluation_table
from corrwise.predictors.data import Clip, ClipFolder, read_shard, write_shard
from corrwise.predictors.data.formats.minari import MinariClips
from corrwise.predictors.data.formats.norpix import NorpixSequence
from corrwise.predictors.data.formats.shards import shard_about
from corrwise.predictors.models.registry import load_model, make_model
from corrwise.predictors.training.checkpoint import restore, training_state
from tests.experiments.conftest import write_fake_run
from tests.fuzz import damaged_bytes, damaged_hdf5, damaged_json, damaged_lines, damaged_state

EXAMPLES = int(os.environ.get("CORRWISE_FUZZ", "0"))
pytestmark = pytest.mark.usefixtures("unhooked")  # what is raised is what a user meets


def _few(examples: int) -> settings:
    return settings(
        max_examples=EXAMPLES or examples, deadline=None, derandomize=not EXAMPLES, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """Something that reads a file.

    Attributes:
        name: of the test.
        make: writes a valid example into a folder.
        file: which of its files is damaged.
        read: reads it; any return value is right.
        damage: makes a strategy of the file's valid bytes.
    """

    name: str
    make: Callable[[Path], Any]
    file: str
    read: Callable[[Path], Any]
    damage: Callable[..., st.SearchStrategy[bytes]]


def _run(folder: Path) -> None:
    write_fake_run(folder, costs=("l1", "corr-l1"), seeds=2, steps=3)


SETTINGS = {
    **{"task": "cartpole", "costs": ("l1", "corr-l1"), "episodes": 2, "steps": 3, "seed": 0},
    **{"planner": "cem", "candidates": 48, "iterations": 3, "horizon": 8},
}  # of that run


def _rows(*rows: dict[str, Any]) -> Callable[[Path], None]:
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    return lambda folder: _noted((folder / "rows.jsonl").write_text(text))


def _noted(_: Any) -> None:
    return None


VERSIONS = {"mujoco": "3.17.0", "torch": "2.14.1"}
PLANNED = [
    {"task": "cartpole", "method": name, "seed": seed, "settings": "a", "min_distance": 0.5 + seed, "seconds": 3.0,
     "last10_distance": 1.0, "distances": [2.0, 0.5 + seed], "steps": 1, "seconds_flow": 1.0, "versions": VERSIONS}
    for name in ("l1", "recommended", "state", "exact-flow") for seed in (0, 1)
]  # fmt: skip
RANKED = [
    {"task": "ant", "cost": cost, "seed": seed, "correlation": 0.5, "correlation_exact": 0.9,
     "distance": 2.0 + seed, "distance_elites": 1.0, "distance_exact": 0.9, "distance_state": 0.5, "network": None}
    for cost in ("l1", "ssim") for seed in (0, 1)
]  # fmt: skip
LEARNED = [
    {"lesson": lesson, "arm": arm, "seed": 0, "final": 0.4, "steps": [0, 10], "curve": [2.0, 0.4], "seconds": 9.0}
    for lesson, arm in (("reward", "l1"), ("reward", "state"), ("hindsight", "random"))
]
PREDICTED = [
    {"model": model, "weights": "", "window": window, "clip": 0, "psnr": [30.0, 29.0], "ssim": [0.9, None],
     "sharpness": [1.0, 0.9], "versions": VERSIONS}
    for model in ("a-0", "copy-last") for window in (0, 1)
]  # fmt: skip
MEASURED = [
    {"kind": "error", "flow": "dis", "body": "ant", "variant": "clean", "epe_0_2": 0.5, "relative_8_32": None},
    {"kind": "speed", "flow": "dis", "body": "humanoid", "variant": "cpu", "ms_per_pair": 1.0, "weights": "none"},
    {"kind": "curve", "flow": "none", "body": "ant", "variant": "l1", "loss": [0.0, 1.0], "offsets": [0, 1],
     "error": [0.0, None]},
    {"kind": "missing", "flow": "raft", "body": "", "variant": "", "reason": "weights not at hand"},
]  # fmt: skip


def _evaluated(folder: Path) -> None:
    rows = read_rows(folder / "rows.jsonl", evaluate.KEY)
    evaluation_table(rows)
    clip_means(rows, "psnr")


def _clip(length: int) -> Clip:
    frames = np.random.default_rng(length).integers(0, 255, (length, 4, 5, 3), dtype=np.uint8)
    return Clip(frames, np.zeros((length - 1, 2), np.float32), np.zeros((length, 3)), {"seed": length})


def _clips(folder: Path) -> None:
    for i, lengths in enumerate([(3, 2), (4,)]):
        write_shard(folder / f"shard-{i:05d}.h5", [_clip(n) for n in lengths], {"task": "ant", "episodes": [0, 1]})
    index = {f"shard-{i:05d}.h5": shard_about(folder / f"shard-{i:05d}.h5") for i in (0, 1)}
    (folder / "index.json").write_text(json.dumps({"shards": index}))


def _all_clips(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clips = ClipFolder(folder)
    for i, length in enumerate(clips.lengths):
        clips.read(i, 0, length)


def _minari(folder: Path) -> None:
    with h5py.File(folder / "main_data.hdf5", "w") as file:
        for i in range(2):
            file[f"episode_{i}/observations/pixels"] = np.zeros((3, 4, 4, 3), np.uint8)
            file[f"episode_{i}/actions"] = np.zeros((2, 1))


def _all_minari(folder: Path) -> None:
    clips = MinariClips(folder / "main_data.hdf5", 4)
    for i in range(len(clips)):
        clips[i]


def _norpix(folder: Path) -> None:
    jpeg = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    header = bytearray(1024)
    header[:4], header[4:24] = (0xFEED).to_bytes(4, "little"), "Norpix seq".encode("utf-16-le")
    struct.pack_into("<9Id", header, 548, 8, 8, 8, 8, 192, 102, 2, 0, 0, 30.0)
    frame = (len(jpeg) + 4).to_bytes(4, "little") + jpeg + bytes(8)
    (folder / "V000.seq").write_bytes(bytes(header) + frame * 2)


def _all_norpix(folder: Path) -> None:
    video = NorpixSequence(folder / "V000.seq")
    for i in range(len(video)):
        video.read(i)


def _model(folder: Path) -> None:
    model = make_model("resnet3d", width=2, downs=1, blocks3d=1, blocks2d=1, context=2, action_dim=1)
    model.save_pretrained(folder, {"steps": 3, "clips": {"task": "ant", "size": [16, 16], "supersample": 1}})


def _flow_net(folder: Path) -> None:
    save_net(FlowNet(FlowNetConfig(fine=4, coarse=4, width=4, heads=1, hidden=4)), folder / "net.safetensors")


def _weights(name: str, **options: Any) -> Callable[[Path], None]:
    return lambda folder: torch.save({"a": torch.zeros(3, 4), "b": torch.ones(2)}, folder / name, **options)


def _arrays(folder: Path) -> None:
    np.savez_compressed(folder / "plans.npz", states=np.zeros((3, 2, 4), np.float32), name=np.array("x"))


def _frozen(folder: Path) -> None:
    (folder / "cartpole.npz").write_bytes((manifest._FOLDER / "cartpole.npz").read_bytes())


def _read_frozen(folder: Path) -> None:
    was, manifest._FOLDER = manifest._FOLDER, folder
    try:
        manifest.frozen_manifest.__wrapped__("cartpole")
    finally:
        manifest._FOLDER = was


READERS = [
    Reader("rows", _run, "rows.jsonl", lambda f: read_rows(f / "rows.jsonl"), damaged_lines),
    Reader("rows to go on", _run, "rows.jsonl", lambda f: open_rows(f / "rows.jsonl"), damaged_lines),
    Reader("report of rows", _run, "rows.jsonl", write_report, damaged_lines),
    Reader("report of settings", _run, "config.json", write_report, damaged_json),
    Reader("report of images", _run, "episodes/cartpole-l1-cem-oracle-0.png", write_report, damaged_bytes),
    Reader("settings", _run, "config.json",
           lambda f: RunFolder(f, SETTINGS).run([]), damaged_json),
    Reader("planning table", _rows(*PLANNED), "rows.jsonl",
           lambda f: mpc_table(read_rows(f / "rows.jsonl", grid.KEY)), damaged_lines),
    Reader("ranking", _rows(*RANKED), "rows.jsonl",
           lambda f: ranking_text.ranking_table(read_rows(f / "rows.jsonl", ranking_text.KEY)), damaged_lines),
    Reader("agents", _rows(*LEARNED), "rows.jsonl",
           lambda f: agent_table(read_rows(f / "rows.jsonl", agents.KEY)), damaged_lines),
    Reader("evaluation", _rows(*PREDICTED), "rows.jsonl", _evaluated, damaged_lines),
    Reader("flows", _rows(*MEASURED), "rows.jsonl",
           lambda f: flows.table_page(read_rows(f / "rows.jsonl", flows.KEY)), damaged_lines),
    Reader("clips", _clips, "shard-00000.h5", _all_clips, damaged_hdf5),
    Reader("index of clips", _clips, "index.json", _all_clips, damaged_json),
    Reader("shard", _clips, "shard-00000.h5", lambda f: read_shard(f / "shard-00000.h5"), damaged_hdf5),
    Reader("minari", _minari, "main_data.hdf5", _all_minari, damaged_hdf5),
    Reader("norpix", _norpix, "V000.seq", _all_norpix, damaged_bytes),
    Reader("configuration of a model", _model, "config.json", load_model, damaged_json),
    Reader("weights of a model", _model, "model.safetensors", load_model, damaged_bytes),
    Reader("flow net", _flow_net, "net.safetensors", lambda f: load_net(f / "net.safetensors"), damaged_bytes),
    Reader("weights", _weights("a.pth"), "a.pth", lambda f: read_file(f / "a.pth"), damaged_bytes),
    Reader("old weights", _weights("a.pth", _use_new_zipfile_serialization=False), "a.pth",
           lambda f: read_file(f / "a.pth"), damaged_bytes),
    Reader("arrays", _arrays, "plans.npz",
           lambda f: load_arrays((f / "plans.npz").read_bytes(), str(f / "plans.npz")), damaged_bytes),
    Reader("manifest", _frozen, "cartpole.npz", _read_frozen, damaged_bytes),
]  # fmt: skip


@cache
def _example(reader: Reader) -> tuple[TemporaryDirectory[str], bytes]:
    folder = TemporaryDirectory()
    reader.make(Path(folder.name))
    reader.read(Path(folder.name))  # what nobody has damaged is read
    return folder, (Path(folder.name) / reader.file).read_bytes()


def _check_sentence(error: Exception, folder: Path) -> None:
    assert isinstance(error, ValueError | OSError), repr(error)
    assert str(folder) in str(error), f"{error!r} does not name the file"
    assert "\n" not in str(error), repr(error)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
@_few(25)
@given(data=st.data())
def test_a_damaged_file_is_read_or_named(reader, data):
    folder, whole = _example(reader)
    file = Path(folder.name) / reader.file
    more = (file,) if reader.damage is damaged_hdf5 else ()
    damaged = data.draw(reader.damage(whole, *more))
    file.write_bytes(damaged)
    try:
        reader.read(Path(folder.name))
    except Exception as error:
        _check_sentence(error, Path(folder.name))
    finally:
        file.write_bytes(whole)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_folder_in_the_place_of_a_file_is_named(reader, tmp_path):
    reader.make(tmp_path)
    (tmp_path / reader.file).unlink()
    (tmp_path / reader.file).mkdir()
    try:
        reader.read(tmp_path)
    except Exception as error:
        _check_sentence(error, tmp_path)


@_few(25)
@given(data=st.data())
def test_a_damaged_checkpoint_is_named_or_goes_on(data):
    net = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state = {"net": dict(net.state_dict()), "optimizer": optimizer.state_dict()}
    state |= {"step": 1, "seconds": 0.5, "losses": [0.5]}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pt"
        torch.save(data.draw(damaged_state(state)), path)
        fresh = torch.nn.Linear(3, 2)
        again = torch.optim.Adam(fresh.parameters())
        try:
            state = training_state(path, networks={"net": fresh}, device="cpu")
            restore(path, state, {"networks": {"net": fresh}, "optimizers": {"net": again}}, "is another's")
        except Exception as error:
            _check_sentence(error, Path(folder))
            return
    fresh(torch.ones(1, 3)).sum().backward()
    again.step()


@_few(25)
@given(data=st.data())
def test_a_flow_net_whose_configuration_was_edited_is_named(data):
    from safetensors.torch import save_file

    net = FlowNet(FlowNetConfig(fine=4, coarse=4, width=4, heads=1, hidden=4))
    text = data.draw(damaged_json(json.dumps(vars(net.config)).encode()))
    with TemporaryDirectory() as folder:
        header = {"format": FORMAT, "config": text.decode(errors="replace")}
        save_file(net.state_dict(), Path(folder) / "net.safetensors", header)
        try:
            load_net(Path(folder) / "net.safetensors")
        except Exception as error:
            _check_sentence(error, Path(folder))


@pytest.mark.parametrize("file", ["rows.jsonl", "config.json"])
@pytest.mark.parametrize("command", ["report", "mpc", "table"])
def test_commands_answer_a_damaged_folder_in_one_sentence(command, file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("corrwise.experiments.runs.episodes.EpisodeRunner.__call__", lambda *_, **__: iter(()))
    words = {
        "report": ["report", str(tmp_path)],
        "mpc": ["mpc", "--out", str(tmp_path), "--costs", "l1", "corr-l1", "--episodes", "2", "--no-videos"],
        "table": ["table", "mpc", "--out", str(tmp_path), "--tasks", "cartpole", "--methods", "l1", "state",
                  "--episodes", "2", "--processes", "1"],
    }[command]  # fmt: skip
    if command != "report":
        assert cli.main(words) == 0, "makes config.json"
    settings_now = (tmp_path / "config.json").read_bytes() if command != "report" else b""
    if command == "table":
        prints = _fingerprints()
        rows = [_with_settings(row, prints) for row in PLANNED if row["method"] in prints]
        _rows(*rows)(tmp_path)
    else:
        write_fake_run(tmp_path / "made", costs=("l1", "corr-l1"), seeds=2, steps=3)
        for name in ("rows.jsonl", "config.json", "episodes"):
            (tmp_path / name).unlink(missing_ok=True)
            (tmp_path / "made" / name).rename(tmp_path / name)
        (tmp_path / "config.json").write_bytes(settings_now or (tmp_path / "config.json").read_bytes())
    whole = {name: (tmp_path / name).read_bytes() for name in ("rows.jsonl", "config.json")}
    assert cli.main(words) == 0, "what nobody has damaged is read"
    damage = damaged_lines if file == "rows.jsonl" else damaged_json

    @_few(8)
    @given(damage(whole[file]))
    def check(damaged: bytes) -> None:
        for name, data in whole.items():
            (tmp_path / name).write_bytes(damaged if name == file else data)
        capsys.readouterr()
        status = cli.main(words)
        message = [line for line in capsys.readouterr().err.splitlines() if line.startswith("corrwise: ")]
        assert status in (0, 2)
        assert len(message) == (status == 2)
        assert all(str(tmp_path) in line for line in message), message

    check()


def _fingerprints() -> dict[str, str]:
    cells = cells_of(MPCTableConfig(tasks=("cartpole",), methods=("l1", "state")))
    return {cell.method: cell.fingerprint for cell in cells}


def _with_settings(row: dict[str, Any], prints: dict[str, str]) -> dict[str, Any]:
    return {**row, "settings": prints[row["method"]], "seed": 10_000 + row["seed"]}
