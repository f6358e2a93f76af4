"""Clips of others, in shards that a killed import leaves whole; datasets that are opened as they are."""

import json
import struct
from dataclasses import replace
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from PIL import Image

from corrwise.experiments import cli
from corrwise.experiments.options.checks import ConfigError
from corrwise.experiments.options.import_clips import ImportConfig
from corrwise.experiments.records.atomic import RunFolderError
from corrwise.experiments.video.import_clips import run_import
from corrwise.experiments.video.sources import DATASETS, open_clips
from corrwise.predictors.clips import ClipFolder, ClipWindows, read_shard
from corrwise.predictors.clips.image_sequences import ImageSequences


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


def test_clips_that_came_are_followed_and_none_that_went_is_thrown_away(tmp_path):
    _source(tmp_path / "source", clips=11)
    run_import(_config(tmp_path))
    (tmp_path / "source" / "clip10").rename(tmp_path / "clip10")
    with pytest.raises(ValueError, match=r"holds shard-00001.h5, and .* now has 10 clips"):
        run_import(_config(tmp_path))
    assert len(ClipFolder(tmp_path / "out").lengths) == 11
    (tmp_path / "clip10").rename(tmp_path / "source" / "clip00")
    run_import(_config(tmp_path))
    shards = json.loads((tmp_path / "out" / "index.json").read_text())["shards"]
    assert [name for shard in shards.values() for name in shard["episodes"]][:2] == ["clip0", "clip00"]
    assert len(ClipFolder(tmp_path / "out").lengths) == 11


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


def test_a_broken_picture_leaves_the_shards_before_it(tmp_path):
    _source(tmp_path / "source", clips=11)
    broken = tmp_path / "source" / "clip10" / "1.png"
    whole = broken.read_bytes()
    broken.write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"clip10/1.png is no picture that can be read"):
        run_import(_config(tmp_path))
    assert len(ClipFolder(tmp_path / "out").lengths) == 10
    broken.write_bytes(whole)
    run_import(_config(tmp_path))
    assert len(ClipFolder(tmp_path / "out").lengths) == 11


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": 8}, "size must be at least 16 pixels, got 8"),
        ({"every": 0}, "every must be at least 1, got 0"),
        ({"low": float("nan")}, "low must be finite, got nan"),
        ({"low": 1.0}, r"high must be finite and above low \(1\), got 1.0"),
        ({"high": float("inf")}, r"high must be finite and above low \(-1\), got inf"),
    ],
)
def test_bad_options_are_one_sentence(options, said):
    with pytest.raises(ConfigError, match=said):
        ImportConfig(Path("source"), **options)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--size", "8"], "size must be at least 16 pixels, got 8"),
        (["--source", "nowhere"], "there is neither a folder nor a file at nowhere"),
        (["--every", "2"], "expected every n-th frame with n at least 1, and 1 for clips with actions, got 2"),
        (["--high", "0.5"], "expected actions from -1 to 0.5 in"),
        ([], "1.png is no picture that can be read"),
    ],
)
def test_what_cannot_be_imported_leaves_nothing(tmp_path, capsys, arguments, said):
    _images(tmp_path / "source", actions=1)
    (tmp_path / "source" / "1.png").write_bytes(b"no picture")
    words = ["import", "--source", str(tmp_path / "source"), "--out", str(tmp_path / "out"), *arguments]
    assert cli.main(words) == 2
    assert said in capsys.readouterr().err
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
    assert {text.partition(":")[0] for text in opened} == set(DATASETS)
    _source(tmp_path / "source", clips=1)
    run_import(_config(tmp_path))
    assert isinstance(open_clips(tmp_path / "out"), ClipFolder)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("kitti:data@all", ValueError, "unknown split of KITTI 'all'; there are train, val, test"),
        ("caltech:data@val", ValueError, "unknown split of Caltech 'val'; there are train, test"),
        ("cityscapes:data", FileNotFoundError, "expected frames of Cityscapes' split train, such as data/leftImg8bit"),
        ("ucf:data", FileNotFoundError, "there is no folder of clips at ucf:data"),
        ("kitti:", FileNotFoundError, "there is no folder of clips at kitti:"),
    ],
)
def test_datasets_that_are_none_are_one_sentence(text, error, said):
    with pytest.raises(error, match=said):
        open_clips(Path(text))
