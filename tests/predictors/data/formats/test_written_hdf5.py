"""A disk that is full stops a shard with an error, not the process."""

import resource
from contextlib import contextmanager

import numpy as np
import pytest

from corrwise.predictors.data import Clip, read_shard, write_shard
from corrwise.predictors.data.formats.shard_writer import ShardWriter, WrittenHDF5

FRAMES = np.random.default_rng(0).integers(0, 256, (60, 32, 32, 3), dtype=np.uint8)


@contextmanager
def _files_of_at_most(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _grown(path):
    with ShardWriter(path, (32, 32), 0) as writer:
        writer.add(iter(FRAMES), None, {})
        writer.describe({})


def _interrupted(path):
    with WrittenHDF5(path) as written:
        written.file["a"] = np.arange(3)
        raise KeyError("mine")


@pytest.mark.parametrize("size", [100, 5_000, 100_000])
def test_what_cannot_be_written_is_an_error(tmp_path, size):
    with _files_of_at_most(size), pytest.raises(OSError, match="File too large"):
        write_shard(tmp_path / "a.h5", [Clip(FRAMES, np.zeros((59, 0), np.float32))], {})
    with _files_of_at_most(size), pytest.raises(OSError, match="File too large"):
        _grown(tmp_path / "b.h5")


def test_another_error_stays_what_it_is(tmp_path):
    with pytest.raises(KeyError, match="mine"):
        _interrupted(tmp_path / "a.h5")


def test_a_shard_that_grows_is_a_shard(tmp_path):
    with ShardWriter(tmp_path / "a.h5", (32, 32), 2) as writer:
        writer.add(iter(FRAMES[:20]), np.full((19, 2), 0.5, np.float32), {"name": "a"})
        with pytest.raises(ValueError, match=r"expected 39 actions of 2 numbers between .* of b, got \(8, 2\)"):
            writer.add(iter(FRAMES[:40]), np.zeros((8, 2), np.float32), {"name": "b"})
        writer.add(iter(FRAMES[:3]), np.zeros((2, 2), np.float32), {"name": "c"})
        writer.describe({"task": "ant"})
    with ShardWriter(tmp_path / "b.h5", (32, 32), 2) as copy:
        copy.copy(tmp_path / "a.h5", 1)
        copy.describe({})
    first, second = read_shard(tmp_path / "a.h5")
    np.testing.assert_array_equal(first.frames, FRAMES[:20])
    assert (first.actions == 0.5).all()
    (again,) = read_shard(tmp_path / "b.h5")
    np.testing.assert_array_equal(again.frames, second.frames)
    assert (again.about, second.about) == ({"name": "c"}, {"name": "c"})
    assert (tmp_path / "a.h5").stat().st_size < 23 * FRAMES[0].nbytes + 20_000, "nothing is left of what failed"
