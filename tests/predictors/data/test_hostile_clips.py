"""Clips from elsewhere: what a file declares is refused before memory is taken for it, and nothing outside is read."""

from __future__ import annotations

import json
import struct
import tracemalloc

import h5py
import numpy as np
import pytest

from corrwise.predictors.data import BrokenShard, Clip, ClipFolder, read_shard, write_shard
from corrwise.predictors.data.formats import shards as module
from corrwise.predictors.data.formats.minari import MinariClips
from corrwise.predictors.data.formats.norpix import NorpixSequence
from corrwise.predictors.data.formats.shards import read_clip


def _clip(length=4, size=(8, 8)):
    return Clip(np.ones((length, *size, 3), np.uint8), np.zeros((length - 1, 1), np.float32), np.zeros((length, 2)))


@pytest.fixture
def folder(tmp_path):
    for i in range(2):
        write_shard(tmp_path / f"shard-{i:05d}.h5", [_clip()], {"episodes": [i]})
    return tmp_path


@pytest.mark.parametrize(
    "name", ["../x.h5", "/tmp/x.h5", "sub/shard-00000.h5", "shard-0.h5/..", "shard-\u0663.h5", "shard-0.h5\n", "x.h5"]
)
def test_an_index_names_nothing_outside_its_folder(folder, name, unhooked):
    write_shard(folder.parent / "x.h5", [_clip()], {})
    (folder / "index.json").write_text(json.dumps({"shards": {name: {"episodes": [7]}}}))
    with pytest.raises(ValueError, match=r"expected .*index\.json to name files of .* such as shard-00000\.h5, got '"):
        ClipFolder(folder)


def test_a_shard_may_be_a_link(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("disk") / "x.h5"
    (folder / "shard-00001.h5").rename(elsewhere)
    (folder / "shard-00001.h5").symlink_to(elsewhere)
    assert ClipFolder(folder).lengths == [4, 4]


@pytest.mark.parametrize("text", ["[]", "17", '{"shards": []}', "[" * 100_000, "\ufeff{", ""])
def test_an_index_that_is_none_is_named_and_not_needed(folder, text):
    (folder / "index.json").write_text(text)
    with pytest.warns(UserWarning, match=r"index\.json is .*; the shards are read without it"):
        assert ClipFolder(folder).lengths == [4, 4]


def _replace(file, name, **options):
    del file[name]
    return file.create_dataset(name, **options)


def _huge(file):
    about = {**json.loads(file.attrs["about"]), "lengths": [10**6], "size": [8192, 8192]}
    file.attrs["about"] = json.dumps(about)
    shape = (10**6, 8192, 8192, 3)
    _replace(file, "clip-00/frames", shape=shape, dtype=np.uint8, chunks=(1, 64, 64, 3), compression="gzip")
    _replace(file, "clip-00/actions", shape=(10**6 - 1, 1), dtype=np.float32, chunks=True)


def _wide(file):
    file.attrs["about"] = json.dumps({**json.loads(file.attrs["about"]), "size": [10**5, 10**5]})


def _long(file):
    file.attrs["about"] = json.dumps({**json.loads(file.attrs["about"]), "lengths": [2**62]})


def _actions(file):
    file.attrs["about"] = json.dumps({**json.loads(file.attrs["about"]), "action_dim": 10**12})


def _chunk(file):
    space = h5py.h5s.create_simple((4, 8, 8, 3), (h5py.h5s.UNLIMITED, h5py.h5s.UNLIMITED, h5py.h5s.UNLIMITED, 3))
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_chunk((1000, 1000, 1000, 3))
    del file["clip-00/frames"]
    h5py.h5d.create(file["clip-00"].id, b"frames", h5py.h5t.STD_U8LE, space, layout)


def _outside(file):
    del file["clip-00/frames"]
    file["clip-00/frames"] = h5py.ExternalLink("/tmp/secret.h5", "/frames")


def _external(file):
    shape = (4, 8, 8, 3)
    _replace(file, "clip-00/frames", shape=shape, dtype=np.uint8, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def _virtual(file):
    layout = h5py.VirtualLayout((4, 8, 8, 3), np.uint8)
    layout[:] = h5py.VirtualSource("/tmp/secret.h5", "frames", (4, 8, 8, 3))
    del file["clip-00/frames"]
    file.create_virtual_dataset("clip-00/frames", layout)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_huge, r"frames declares 201326592000000 bytes .*, and the file holds 0 of them"),
        (_wide, r"expected size as \(H, W\) from 1 to 8192 pixels, got \[100000, 100000\]"),
        (_long, r"expected frames uint8 \(4611686018427387904, 8, 8, 3\), got uint8 \(4, 8, 8, 3\)"),
        (_actions, "expected action_dim from 0 to 100000, got 1000000000000"),
        (_chunk, r"a chunk of frames .* has 3000000000 bytes, and at most 2147483648"),
        (_outside, r"expected frames in the file itself, got a link to '/tmp/secret.h5:/frames'"),
        (_external, "expected the numbers of frames in the file itself, got those of '/etc/passwd'"),
        (_virtual, "expected the numbers of frames in the file itself, got those of '/tmp/secret.h5'"),
    ],
)
def test_what_a_shard_declares_is_checked_and_the_others_stay(folder, damage, message):
    with h5py.File(folder / "shard-00000.h5", "r+") as file:
        damage(file)
    tracemalloc.start()
    with pytest.warns(UserWarning, match=rf"shard-00000\.h5 is no shard of clips that can be read: {message}"):
        clips = ClipFolder(folder)
    assert clips.lengths == [4]
    assert clips.read(0, 0, 4)[0].all()
    with pytest.raises(BrokenShard, match=r"shard-00000\.h5 is no shard"):
        read_shard(folder / "shard-00000.h5")
    assert tracemalloc.get_traced_memory()[1] < 2**26, "memory was taken"
    tracemalloc.stop()


def test_actions_that_are_not_finite_name_their_clip(folder):
    with h5py.File(folder / "shard-00000.h5", "r+") as file:
        file["clip-00/actions"][1] = np.nan
    message = r"shard-00000\.h5 is no shard .*: expected finite actions in clip 0, got NaN or infinity"
    with pytest.warns(UserWarning, match=message):
        clips = ClipFolder(folder)
    assert clips.lengths == [4]
    assert clips.read(0, 0, 4)[0].all(), "of the other shard"
    for read in (read_shard, lambda path: read_clip(path, 0)):
        with pytest.raises(BrokenShard, match=message):
            read(folder / "shard-00000.h5")


def test_a_clip_too_large_to_read_at_once_is_read_in_parts(folder, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 3 * 8 * 8 * 3)
    with pytest.raises(BrokenShard, match=r"has 768 bytes, and at most 576 are read at once"):
        read_shard(folder / "shard-00000.h5")
    with pytest.raises(BrokenShard, match="at most 576 are read at once"):
        read_clip(folder / "shard-00000.h5", 0)
    assert len(read_clip(folder / "shard-00000.h5", 0, 1, 4)[0]) == 3


@pytest.mark.parametrize("name", ["size", "lengths", "action_dim", "episodes", "format"])
@pytest.mark.parametrize("value", [None, "4", 4.0, {}, [None], -1, 10**400])
def test_what_a_shard_says_of_itself_has_types(folder, name, value):
    with h5py.File(folder / "shard-00000.h5", "r+") as file:
        file.attrs["about"] = json.dumps({**json.loads(file.attrs["about"]), name: value})
    if (name, value) == ("episodes", [None]):
        return  # names in it are free
    with pytest.warns(UserWarning, match=r"shard-00000\.h5 is no shard of clips that can be read: "):
        assert ClipFolder(folder).lengths == [4]


def test_a_heap_that_has_no_end_is_not_walked(folder):
    shard = folder / "shard-00000.h5"
    with h5py.File(shard, "r+") as file:
        for name in ("/", "clip-00"):
            text = file[name].attrs["about"]
            del file[name].attrs["about"]
            file[name].attrs["about"] = text.decode()  # of no fixed length: libhdf5 walks its heap
    assert ClipFolder(folder).lengths == [4, 4]
    data = bytearray(shard.read_bytes())
    heap = data.index(b"GCOL")
    first = struct.unpack_from("<Q", data, heap + 24)[0]
    free = heap + 32 + (first + 7) // 8 * 8
    data[free : free + 16] = bytes(16)
    shard.write_bytes(data)
    with pytest.warns(UserWarning, match=rf"can be read: its heap at byte {heap} holds an object of no size"):
        assert ClipFolder(folder).lengths == [4]


def test_minari_declares_no_more_than_it_holds(tmp_path):
    with h5py.File(tmp_path / "main_data.hdf5", "w") as file:
        file["episode_0/observations"] = np.zeros((3, 4, 4, 3), np.uint8)
        file.create_dataset("episode_0/actions", (2, 10**5), chunks=(1, 100), dtype="f4")
        file["episode_1/observations"] = np.zeros((3, 4, 4, 3), np.uint8)
        file["episode_1/actions"] = h5py.ExternalLink("/tmp/secret.h5", "/actions")
        file.create_dataset("episode_2/observations", (3, 10**5, 10**5, 3), np.uint8, chunks=(1, 64, 64, 3))
        file["episode_2/actions"] = np.zeros((2, 1))
    for i, message in enumerate(
        [
            r"actions declares 800000 bytes \(2, 100000\), and the file holds 0",
            r"expected actions in the file itself, got a link to '/tmp/secret\.h5:/actions'",
            r".*, got 100000 x 100000",
        ]
    ):
        with h5py.File(tmp_path / "main_data.hdf5") as file, h5py.File(tmp_path / f"{i}.h5", "w") as one:
            for name in ("observations", "actions"):  # copied by link, as they are
                one.require_group("episode_0")
                _copied(file, f"episode_{i}/{name}", one, f"episode_0/{name}")
        with pytest.raises(ValueError, match=rf"{i}\.h5.*{message}"):
            MinariClips(tmp_path / f"{i}.h5", 4)


def _copied(source, name, target, new):
    link = source.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        target[new] = h5py.ExternalLink(link.filename, link.path)
    else:
        source.copy(source[name], target, new)


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (548, 2**32 - 1, "expected frames of 1 to 65535 pixels to a side in .*, got 8 x 4294967295"),
        (552, 0, "expected frames of 1 to 65535 pixels to a side in .*, got 0 x 8"),
        (572, 2**32 - 1, "declares 4294967295 frames, and its 1024 bytes can hold no more than 0"),
    ],
)
def test_a_norpix_header_declares_what_its_file_can_hold(tmp_path, at, value, message):
    header = bytearray(1024)
    header[:4], header[4:24] = (0xFEED).to_bytes(4, "little"), "Norpix seq".encode("utf-16-le")
    struct.pack_into("<9Id", header, 548, 8, 8, 8, 8, 192, 102, 2, 0, 0, 30.0)
    struct.pack_into("<I", header, at, value)
    (tmp_path / "V000.seq").write_bytes(header)
    with pytest.raises(ValueError, match=message):
        NorpixSequence(tmp_path / "V000.seq")
