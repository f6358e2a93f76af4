"""Clips of others, in shards that a killed import leaves whole; datasets that are opened as they are."""

import json
import os
import struct
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from PIL import Image

from corrwise._writing import RunFolderError
from corrwise.experiments import cli
from corrwise.experiments.cli.import_clips import ImportConfig
from corrwise.experiments.runs.import_clips import run_import
from corrwise.predictors.data import ClipFolder, ClipWindows, read_shard
from corrwise.predictors.data.datasets.image_sequences import ImageSequences
from corrwise.predictors.data.formats import shard_writer
from corrwise.predictors.data.formats.media import MediaClips
from corrwise.predictors.data.formats.shard_writer import ShardWriter
from corrwise.predictors.data.sources import DATASETS, open_clips
from corrwise.validation import ConfigError


def _images(folder, length=4, seed=0, actions=None, size=(20, 24)):
    folder.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(np.random.default_rng(seed).integers(0, 256, (length, *size, 3), dtype=np.uint8)):
        Image.fromarray(picture).save(folder / f"{i}.png")
    if actions is not None:
        np.save(folder / "actions.npy", np.full((length - 1, 2), actions, np.float32))
    return folder


def _source(root, clips=12, **options):
    for i in range(clips):
        _images(root / f"clip{i}", 3 + i % 2, seed=i, **options)
    return root


def _config(tmp_path, **options):
    return ImportConfig(tmp_path / "source", tmp_path / "out", **{"size": 16, **options})


def _clips(folder):
    return [clip for file in sorted(folder.glob("shard-*.h5")) for clip in read_shard(file)]


def test_an_import_is_a_folder_of_clips(tmp_path):
    _source(tmp_path / "source", actions=2)
    index = run_import(_config(tmp_path, low=0.0, high=4.0))
    shards = json.loads(index.read_text())["shards"]
    assert [shard["episodes"] for shard in shards.values()] == [
        [f"clip{i}" for i in range(10)],
        ["clip10", "clip11"],
    ]
    folder = ClipFolder(tmp_path / "out")
    assert (folder.size, folder.action_dim, folder.lengths) == ((16, 16), 2, [3, 4] * 6)
    assert folder.about["source"] == str(tmp_path / "source")
    np.testing.assert_array_equal(folder.read(0, 0, 3)[1], np.zeros((2, 2)))
    assert ClipWindows(folder, 3).batch(0, 4).frames.shape == (4, 3, 3, 16, 16)
    assert [clip.about["name"] for clip in _clips(tmp_path / "out")] == [f"clip{i}" for i in range(12)]


def test_a_killed_import_goes_on_with_the_same_clips(tmp_path):
    _source(tmp_path / "source")
    run_import(_config(tmp_path))
    first, second = (tmp_path / "out" / f"shard-0000{i}.h5" for i in range(2))
    whole, times = _clips(tmp_path / "out"), first.stat().st_mtime_ns
    second.write_bytes(b"torn")
    run_import(_config(tmp_path))
    assert first.stat().st_mtime_ns == times, "what is there is not made anew"
    assert all(np.array_equal(a.frames, b.frames) for a, b in zip(whole, _clips(tmp_path / "out"), strict=True))


def test_a_source_that_was_corrected_is_imported_again(tmp_path):
    source = _images(tmp_path / "source" / "clip", 3, actions=0.5)
    run_import(_config(tmp_path))
    _images(source, 4, seed=1, actions=-0.5)
    run_import(_config(tmp_path))
    (clip,) = _clips(tmp_path / "out")
    assert clip.frames.shape[0] == 4
    assert (clip.actions == -0.5).all()


def _shards(folder):
    shards = json.loads((folder / "index.json").read_text())["shards"]
    return {name: shard["episodes"] for name, shard in shards.items()}


def _times(folder):
    return {file.name: file.stat().st_mtime_ns for file in folder.glob("shard-*.h5")}


def test_a_shard_keeps_its_clips_whatever_comes_or_goes(tmp_path):
    source, out = _source(tmp_path / "source", clips=25), tmp_path / "out"
    run_import(_config(tmp_path))
    before, whole = _times(out), _clips(out)
    (source / "clip3").rename(tmp_path / "clip3")
    run_import(_config(tmp_path))
    after = _times(out)
    assert {name for name in before if before[name] != after[name]} == {"shard-00000.h5"}
    assert _shards(out)["shard-00000.h5"] == [f"clip{i}" for i in range(10) if i != 3]
    assert ClipFolder(out).lengths == [3 + i % 2 for i in range(25) if i != 3]
    kept = [clip for clip in whole if clip.about["name"] != "clip3"]
    assert all(np.array_equal(a.frames, b.frames) for a, b in zip(kept, _clips(out), strict=True))
    (tmp_path / "clip3").rename(source / "a clip")
    _images(source / "b clip")
    run_import(_config(tmp_path))
    assert _times(out)["shard-00001.h5"] == before["shard-00001.h5"]
    names = _shards(out)
    assert names["shard-00000.h5"][-1] == "a clip", "it takes the free place"
    assert names["shard-00002.h5"] == [*(f"clip{i}" for i in range(20, 25)), "b clip"]
    times = _times(out)
    run_import(_config(tmp_path))
    assert _times(out) == times, "nothing is made anew without a reason"


def test_only_what_has_changed_is_decoded(tmp_path, monkeypatch):
    source = _source(tmp_path / "source", clips=12)
    run_import(_config(tmp_path))
    _images(source / "clip4", 5, seed=99)
    _images(source / "clip9b", 5, seed=98)
    read, frames = [], MediaClips.frames
    monkeypatch.setattr(MediaClips, "frames", lambda self, i: read.append(self.names[i]) or frames(self, i))
    run_import(_config(tmp_path))
    assert read == ["clip4", "clip9b"]
    assert _shards(tmp_path / "out") == {
        "shard-00000.h5": [f"clip{i}" for i in range(10)],
        "shard-00001.h5": ["clip10", "clip11", "clip9b"],
    }
    assert ClipFolder(tmp_path / "out").lengths[4] == 5


def test_a_shard_without_clips_goes(tmp_path, capsys):
    source = _source(tmp_path / "source", clips=11)
    run_import(_config(tmp_path))
    (source / "clip10").rename(tmp_path / "clip10")
    run_import(_config(tmp_path))
    assert sorted(_times(tmp_path / "out")) == ["shard-00000.h5"]
    assert len(ClipFolder(tmp_path / "out").lengths) == 10
    assert "1 removed because the source no longer has them" in capsys.readouterr().err


def test_a_folder_from_before_is_gone_on_with(tmp_path):
    _source(tmp_path / "source", clips=12)
    run_import(_config(tmp_path))
    out = tmp_path / "out"
    index, config = (json.loads((out / name).read_text()) for name in ("index.json", "config.json"))
    del index["summary"], config["skip_broken"], config["white"]
    (out / "index.json").write_text(json.dumps(index))
    (out / "config.json").write_text(json.dumps(config))
    before = _times(out)
    run_import(_config(tmp_path))
    assert _times(out) == before


@pytest.mark.parametrize("stop_at", ["clip0", "clip7", "clip12"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_import_that_was_stopped_ends_as_one_that_was_not(tmp_path, monkeypatch, stop_at, error):
    source = _source(tmp_path / "source", clips=13)
    (source / "clip5" / "1.png").write_bytes(b"no image")
    config = _config(tmp_path, skip_broken=True)
    run_import(replace(config, out=tmp_path / "whole"))
    add = ShardWriter.add

    def stopped(self, frames, actions, about):
        add(self, frames, actions, about)
        if about["name"] == stop_at:
            raise error

    monkeypatch.setattr(ShardWriter, "add", stopped)
    with pytest.raises((KeyboardInterrupt, RunFolderError)):
        run_import(config)
    monkeypatch.setattr(ShardWriter, "add", add)
    run_import(config)
    assert (tmp_path / "out" / "index.json").read_text() == (tmp_path / "whole" / "index.json").read_text()
    assert not list((tmp_path / "out").glob(".shard-*"))


def test_what_a_killed_import_left_is_removed(tmp_path):
    _source(tmp_path / "source", clips=2)
    run_import(_config(tmp_path))
    leftover = tmp_path / "out" / ".shard-00001.4711.h5"
    leftover.write_bytes(b"half")
    run_import(_config(tmp_path))
    assert not leftover.exists()


def test_broken_clips_are_skipped_and_listed(tmp_path, capsys):
    source = _source(tmp_path / "source", clips=25, actions=0)
    (source / "clip3" / "1.png").write_bytes(b"no image")
    (source / "clip8" / "actions.npy").write_bytes(b"torn")
    np.save(source / "clip9" / "actions.npy", np.zeros((7, 2), np.float32))
    (source / "clip12" / "actions.npy").unlink()
    (source / "clip14" / "1.png").unlink()
    (source / "clip14" / "1.png").symlink_to(tmp_path / "nowhere.png")
    (source / "read\nme.txt").write_text("")
    with pytest.raises(ValueError, match=r"; --skip-broken imports the others$"):
        run_import(_config(tmp_path))
    run_import(_config(tmp_path, skip_broken=True))
    summary = json.loads((tmp_path / "out" / "index.json").read_text())["summary"]
    assert (summary["clips"], summary["frames"]) == (
        20,
        sum(3 + i % 2 for i in range(25) if i not in (3, 8, 9, 12, 14)),
    )
    assert sorted(summary["skipped"]) == ["clip12", "clip14", "clip3", "clip8", "clip9"]
    assert summary["left"] == {"neither video nor image": 1}
    assert [len(names) for names in _shards(tmp_path / "out").values()] == [10, 10]
    lines = capsys.readouterr().err.splitlines()
    assert "imported 20 clips, 70 frames (20 read now)" in lines
    assert sum(line.startswith("skipped clip") for line in lines) == 5
    assert "left alone: neither video nor image (1)" in lines
    for clip in source.iterdir():
        if clip.is_dir():
            (clip / "0.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="none of the 25 clips can be used"):
        run_import(replace(_config(tmp_path, skip_broken=True), out=tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_frames_are_written_as_they_are_decoded(tmp_path, monkeypatch):
    """No more frames are alive than a few, however long a clip is."""
    _images(tmp_path / "source" / "clip", 2)
    alive, most = [], []

    def frames(self, i):
        for number in range(300):
            frame = np.full((16, 16, 3), number % 256, np.uint8)
            alive.append(weakref.ref(frame))
            most.append(sum(one() is not None for one in alive))
            yield frame

    monkeypatch.setattr(MediaClips, "frames", frames)
    run_import(_config(tmp_path))
    assert ClipFolder(tmp_path / "out").lengths == [300]
    assert max(most) <= 20
    assert [int(frame[0, 0, 0]) for frame in _clips(tmp_path / "out")[0].frames] == [i % 256 for i in range(300)]


def test_long_clips_fill_a_shard_sooner(tmp_path, monkeypatch):
    monkeypatch.setattr(shard_writer, "SHARD_BYTES", 3 * 16 * 16 * 7)
    _source(tmp_path / "source", clips=5)  # of 3, 4, 3, 4 and 3 frames
    run_import(_config(tmp_path))
    assert [len(names) for names in _shards(tmp_path / "out").values()] == [2, 2, 1]
    times = _times(tmp_path / "out")
    run_import(_config(tmp_path))
    assert _times(tmp_path / "out") == times


def test_white_is_the_white_of_a_folder(tmp_path):
    (tmp_path / "source").mkdir()
    for i in range(2):
        cv2.imwrite(str(tmp_path / "source" / f"{i}.png"), np.full((16, 16), 4095, np.uint16))
    with pytest.raises(ValueError, match=r"images of 16 bits with values from 4095 to 4095, .* white = 4095"):
        run_import(_config(tmp_path))
    run_import(_config(tmp_path, white=4095))
    assert (_clips(tmp_path / "out")[0].frames == 255).all()
    with pytest.raises(RunFolderError, match="choose another output folder"):
        run_import(_config(tmp_path, white=65535))


@pytest.mark.skipif(sys.platform != "linux", reason="needs a disk that takes any bytes as a name")
def test_names_may_be_any_bytes(tmp_path):
    source = Path(os.fsdecode(os.fsencode(tmp_path) + b"/source \xfe"))
    for i, name in enumerate((b"good", b"bad \xff", b"new\nline")):
        _images(source / os.fsdecode(name), seed=i)
    for _ in range(2):  # the second reads what the first has written
        index = json.loads(run_import(replace(_config(tmp_path), source=source)).read_text())
        assert index["summary"]["clips"] == 3
        assert r"bad \xff" in index["shards"]["shard-00000.h5"]["episodes"]


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    _source(tmp_path / "source", clips=1)
    index = run_import(ImportConfig(Path("~/source"), Path("~/out"), size=16))
    assert index == tmp_path / "out" / "index.json"
    _kitti(tmp_path / "me@home", "2011_09_26_drive_0001", 4)
    assert open_clips(Path("kitti:~/me@home")).lengths == [4]


def test_a_minari_dataset_is_imported(tmp_path):
    (tmp_path / "source" / "data").mkdir(parents=True)
    with h5py.File(tmp_path / "source" / "data" / "main_data.hdf5", "w") as file:
        for i in range(2):
            group = file.create_group(f"episode_{i}")
            group["actions"] = np.full((3, 1), 5.0)
            group.create_group("observations")["camera"] = np.full((4, 20, 24, 3), 40 * i, np.uint8)
    run_import(_config(tmp_path, key="camera", low=-10.0, high=10.0))
    _, clip = _clips(tmp_path / "out")
    assert clip.frames.shape == (4, 16, 16, 3)
    assert (clip.frames == 40).all()
    np.testing.assert_array_equal(clip.actions, np.full((3, 1), 0.5))
    with pytest.raises(
        ValueError, match="expected every frame of a Minari dataset to be kept, because of its actions, got every = 2"
    ):
        run_import(_config(tmp_path, key="camera", low=-10.0, high=10.0, every=2))


def test_every_other_frame(tmp_path):
    _images(tmp_path / "source", 7)
    run_import(_config(tmp_path, every=3))
    assert ClipFolder(tmp_path / "out").lengths == [3]


def test_a_folder_of_other_clips_is_refused(tmp_path):
    _source(tmp_path / "source", clips=1)
    _source(tmp_path / "other", clips=1)
    config = _config(tmp_path)
    run_import(config)
    before = (tmp_path / "out" / "shard-00000.h5").stat().st_mtime_ns
    for changed in (replace(config, size=24), replace(config, source=tmp_path / "other"), replace(config, every=2)):
        with pytest.raises(RunFolderError, match="choose another output folder"):
            run_import(changed)
    assert (tmp_path / "out" / "shard-00000.h5").stat().st_mtime_ns == before


def test_a_broken_image_leaves_the_shards_before_it(tmp_path):
    _source(tmp_path / "source", clips=11)
    broken = tmp_path / "source" / "clip10" / "1.png"
    whole = broken.read_bytes()
    broken.write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"clip10/1.png is no image that can be read"):
        run_import(_config(tmp_path))
    assert len(ClipFolder(tmp_path / "out").lengths) == 10
    broken.write_bytes(whole)
    run_import(_config(tmp_path))
    assert len(ClipFolder(tmp_path / "out").lengths) == 11


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 8}, "size must be at least 16 pixels, got 8"),
        ({"every": 0}, "every must be at least 1, got 0"),
        ({"low": float("nan")}, "low must be finite, got nan"),
        ({"low": 1.0}, r"high must be above low \(1\), got 1.0"),
        ({"size": 9000}, "size must be at most 8192 pixels, got 9000"),
        ({"white": 0}, "white must be at least 1, got 0"),
        ({"high": float("inf")}, "high must be finite, got inf"),
    ],
)
def test_bad_options_are_one_sentence(options, message):
    with pytest.raises(ConfigError, match=message):
        ImportConfig(Path("source"), **options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "8"], "size must be at least 16 pixels, got 8"),
        (["--source", "nowhere"], "there is neither a folder nor a file at nowhere"),
        (["--every", "2"], "expected every n-th frame with n at least 1, and 1 for clips with actions, got 2"),
        (["--high", "0.5"], "expected actions from -1 to 0.5 in"),
        ([], "1.png is no image that can be read"),
    ],
)
def test_what_cannot_be_imported_leaves_nothing(tmp_path, capsys, arguments, message):
    _images(tmp_path / "source", actions=1)
    (tmp_path / "source" / "1.png").write_bytes(b"no image")
    words = ["import", "--source", str(tmp_path / "source"), "--out", str(tmp_path / "out"), *arguments]
    assert cli.main(words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_command_imports(tmp_path, capsys):
    _source(tmp_path / "source", clips=1)
    assert cli.main(["import", "--source", str(tmp_path / "source"), "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "index.json")
    assert ClipFolder(tmp_path / "out").size == (64, 64)


# datasets in their own layout


def _seq(path):
    jpeg = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    header = struct.pack("<I20s", 0xFEED, "Norpix seq".encode("utf-16-le")).ljust(548, b"\0")
    header += struct.pack("<9Id", 64, 48, 24, 8, 0, 201, 4, 0, 0, 30.0)
    path.parent.mkdir(parents=True)
    path.write_bytes(header.ljust(1024, b"\0") + (struct.pack("<I", len(jpeg) + 4) + jpeg + bytes(8)) * 4)


def _kitti(root, drive, length):
    _images(root / drive[:10] / f"{drive}_sync" / "image_03" / "data", length, size=(20, 66))
    for file in root.rglob("?.png"):
        file.rename(file.with_stem(file.stem.zfill(10)))


def test_datasets_are_opened_by_their_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "me@home"
    _kitti(root, "2011_09_26_drive_0001", 4)
    _kitti(root, "2011_09_26_drive_0070", 3)
    _seq(root / "set00" / "V000.seq")
    city = _images(root / "leftImg8bit_sequence" / "val" / "ulm", 2)
    for file in city.iterdir():
        file.rename(city / f"ulm_000000_{int(file.stem):06d}_leftImg8bit.png")
    opened = {
        f"kitti:{root}": ((256, 512), [4]),
        "kitti:me@home": ((256, 512), [4]),
        "kitti:me@home@test": ((256, 512), [3]),
        f"kitti:{root}@train": ((256, 512), [4]),
        f"caltech:{root}@train": ((288, 384), [2]),
        f"cityscapes:{root}@val": ((256, 512), [2]),
        f"kitti-prednet:{root}": ((128, 160), [4]),
        f"cityscapes-1024:{root}@val": ((512, 1024), [2]),
    }
    for text, kind in opened.items():
        source = open_clips(Path(text))
        assert isinstance(source, ImageSequences), text
        assert (source.size, source.lengths) == kind, text
        assert source.read(0, 0, 2)[0].shape == (2, *kind[0], 3), text
    tested = {text.partition(":")[0] for text in opened} | {"vimeo", "vimeo-middle"}  # see test_datasets.py
    assert tested == set(DATASETS)
    _source(tmp_path / "source", clips=1)
    run_import(_config(tmp_path))
    assert isinstance(open_clips(tmp_path / "out"), ClipFolder)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("kitti:data@all", ValueError, "unknown split of KITTI 'all'; there are train, val, test"),
        ("caltech:data@val", ValueError, "unknown split of Caltech 'val'; there are train, test"),
        ("cityscapes:data", FileNotFoundError, "expected frames of Cityscapes' split train, such as data/leftImg8bit"),
        ("ucf:data", FileNotFoundError, "there is no folder of clips at ucf:data"),
        ("kitti:", FileNotFoundError, "there is no folder of clips at kitti:"),
    ],
)
def test_datasets_that_are_none_are_one_sentence(text, error, message):
    with pytest.raises(error, match=message):
        open_clips(Path(text))
