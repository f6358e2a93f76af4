"""Clips on disk, and windows of them."""

import json

import h5py
import numpy as np
import pytest

from corrwise.predictors.data import BrokenShard, Clip, ClipFolder, ClipWindows, read_shard, write_shard
from corrwise.predictors.data.formats.shards import read_clip, shard_about


def _clip(length=6, seed=0, size=(8, 10), actions=2):
    draw = np.random.default_rng(seed)
    frames = draw.integers(0, 256, (length, *size, 3), dtype=np.uint8)
    taken = draw.uniform(-1, 1, (length - 1, actions)).astype(np.float32)
    return Clip(frames, taken, draw.normal(size=(length, 4)), {"seed": seed})


def _folder(path, shards=((6, 4), (9,)), **options):
    index = {}
    for i, lengths in enumerate(shards):
        name = f"shard-{i:05d}.h5"
        clips = [_clip(length, seed=10 * i + k, **options) for k, length in enumerate(lengths)]
        write_shard(path / name, clips, {"task": "cartpole", "episodes": [10 * i + k for k in range(len(lengths))]})
        index[name] = shard_about(path / name)
    (path / "index.json").write_text(json.dumps({"shards": index}))
    return path


def test_a_shard_keeps_clips_to_the_bit(tmp_path):
    clips = [_clip(6), Clip(_clip(3, seed=1).frames, np.zeros((2, 2), np.float32))]
    write_shard(tmp_path / "a.h5", clips, {"task": "ant"})
    for clip, again in zip(clips, read_shard(tmp_path / "a.h5"), strict=True):
        np.testing.assert_array_equal(again.frames, clip.frames)
        np.testing.assert_array_equal(again.actions, clip.actions)
        assert (again.states is None) == (clip.states is None)
        assert again.about == clip.about
    np.testing.assert_array_equal(read_shard(tmp_path / "a.h5")[0].states, clips[0].states)
    frames, actions = read_clip(tmp_path / "a.h5", 0, 2, 5)
    np.testing.assert_array_equal(frames, clips[0].frames[2:5])
    np.testing.assert_array_equal(actions, clips[0].actions[2:4])
    about = shard_about(tmp_path / "a.h5")
    assert (about["task"], about["lengths"], about["size"], about["action_dim"]) == ("ant", [6, 3], [8, 10], 2)


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ([], "expected 1 to 10 clips in a shard, got 0"),
        ([_clip()] * 11, "expected 1 to 10 clips in a shard, got 11"),
        ([_clip(), _clip(size=(8, 8))], "expected clips of one size and one number of actions"),
        ([_clip(), _clip(actions=3)], "expected clips of one size and one number of actions"),
        ([Clip(_clip().frames, _clip().actions[1:])], r"expected actions \(5, A\) between 6 frames, got \(4, 2\)"),
    ],
)
def test_clips_that_do_not_fit_are_refused(tmp_path, clips, message):
    with pytest.raises(ValueError, match=message):
        write_shard(tmp_path / "a.h5", clips, {})


def test_a_folder_is_a_source(tmp_path):
    folder = ClipFolder(_folder(tmp_path))
    assert (folder.lengths, folder.size, folder.action_dim, folder.broken) == ([6, 4, 9], (8, 10), 2, [])
    assert folder.about["task"] == "cartpole"
    for _ in range(2):  # from the disk, then from memory
        frames, actions = folder.read(2, 1, 4)
        np.testing.assert_array_equal(frames, _clip(9, seed=10).frames[1:4])
        np.testing.assert_array_equal(actions, _clip(9, seed=10).actions[1:3])


def test_clips_that_do_not_fit_into_memory_are_read_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("corrwise.predictors.data.folder._CACHE", 6 * 8 * 10 * 3)
    folder = ClipFolder(_folder(tmp_path))
    for clip, (length, seed) in enumerate([(6, 0), (4, 1), (9, 10)]):
        np.testing.assert_array_equal(folder.read(clip, 1, 3)[0], _clip(length, seed=seed).frames[1:3])
    assert list(folder._cache) == [0]


@pytest.mark.parametrize("damage", ["cut", "text", "gone", "empty"])
def test_a_broken_shard_is_named_with_its_episodes_and_all_others_stay(tmp_path, damage):
    broken = _folder(tmp_path) / "shard-00000.h5"
    data = broken.read_bytes()
    if damage == "empty":
        with h5py.File(broken, "w"):
            pass
    elif damage == "gone":
        broken.unlink()
    else:
        broken.write_bytes(data[: len(data) // 2] if damage == "cut" else b"no HDF5")
    with pytest.warns(UserWarning, match=r"shard-00000.h5 is no shard of clips .* episodes \[0, 1\] are lost"):
        folder = ClipFolder(tmp_path)
    assert folder.lengths == [9]
    assert "shard-00000.h5" in folder.broken[0]
    np.testing.assert_array_equal(folder.read(0, 0, 2)[0], _clip(9, seed=10).frames[:2])
    with pytest.raises(BrokenShard, match=r"shard-00000.h5 is no shard"):
        read_shard(broken)


def test_a_folder_without_index_knows_itself(tmp_path):
    (_folder(tmp_path) / "index.json").write_text("{")
    assert ClipFolder(tmp_path).lengths == [6, 4, 9]


def test_folders_that_are_none_are_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder of clips at"):
        ClipFolder(tmp_path / "none")
    with pytest.raises(ValueError, match=r"holds no clips: expected shard-\*.h5"):
        ClipFolder(tmp_path)
    _folder(tmp_path)
    write_shard(tmp_path / "shard-00007.h5", [_clip(size=(8, 8))], {})
    with pytest.raises(ValueError, match=r"mixes clips: .* \(\(8, 10\), 2\) in shard-00000.h5 and \(\(8, 8\), 2\) in"):
        ClipFolder(tmp_path)


class _Numbers:
    """Clips whose pixels say which clip and frame they are."""

    size, action_dim = (4, 6), 0

    def __init__(self, *lengths):
        self.lengths = list(lengths)

    def read(self, clip, start, stop):
        frames = np.zeros((stop - start, 4, 6, 3), np.uint8)
        frames[..., 0], frames[..., 1] = clip, np.arange(start, stop)[:, None, None]
        frames[..., 2] = np.arange(6)
        return frames, np.zeros((stop - start - 1, 0), np.float32)


def test_windows_are_all_there_is_and_nothing_more():
    windows = ClipWindows(_Numbers(5, 2, 4), 3)
    assert len(windows) == 3 + 0 + 2
    batch = windows.windows(np.arange(5))
    windows = [(int(255 * w[0, 0, 0, 0] + 0.5), (255 * w[:, 1, 0, 0]).round().int().tolist()) for w in batch.frames]
    assert windows == [(0, [0, 1, 2]), (0, [1, 2, 3]), (0, [2, 3, 4]), (2, [0, 1, 2]), (2, [1, 2, 3])]
    assert batch.actions.shape == (5, 2, 0)


def test_a_step_sees_the_same_windows_whatever_came_before():
    windows = ClipWindows(_Numbers(50, 60), 4, seed=3, flip=True)
    first, again = windows.batch(7, 16), ClipWindows(_Numbers(50, 60), 4, seed=3, flip=True).batch(7, 16)
    assert (first.frames == again.frames).all()
    assert not (first.frames == windows.batch(8, 16).frames).all()
    assert not (first.frames == ClipWindows(_Numbers(50, 60), 4, seed=4, flip=True).batch(7, 16).frames).all()
    left = (255 * first.frames[:, :, 2, 0, 0]).round()
    assert ((left == 0) | (left == 5)).all()
    assert (left == left[:, :1]).all(), "a clip is mirrored as a whole"
    assert 0 < (left[:, 0] == 5).sum() < 16


def test_windows_that_cannot_be_are_one_sentence():
    with pytest.raises(
        ValueError, match="expected clips of at least 6 frames, context and horizon together or all gaps; the longes"
    ):
        ClipWindows(_Numbers(5, 2), 6)
    with pytest.raises(ValueError, match="of 0 has 0"):
        ClipWindows(_Numbers(), 6)
    acted = _Numbers(9)
    acted.action_dim = 2
    with pytest.raises(ValueError, match="expected clips without actions to flip, got 2"):
        ClipWindows(acted, 3, flip=True)
