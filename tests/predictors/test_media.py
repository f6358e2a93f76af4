"""Clips from videos, images and Minari datasets."""

import cv2
import h5py
import numpy as np
import pytest
from PIL import Image

from corrwise.predictors.clips.media import MediaClips
from corrwise.predictors.clips.media_files import find_media
from corrwise.predictors.clips.minari import MinariClips
from corrwise.predictors.clips.scaled_actions import scaled_actions

av = pytest.importorskip("av")


def _pictures(length=5, size=(24, 32), seed=0):
    """Smooth enough to come through a video codec: red on the left, growing blue on the right."""
    pictures = np.zeros((length, *size, 3), np.uint8)
    pictures[:, :, : size[1] // 2, 0] = 200
    pictures[:, :, size[1] // 2 :, 2] = 20 * np.arange(1, length + 1)[:, None, None]
    return pictures


def _images(folder, pictures, name="{}.png"):
    folder.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / name.format(i))


def _video(path, pictures, codec="libx264", degrees=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if degrees:
            stream.set_display_rotation(degrees)
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def _actions(steps, dim=2, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (steps, dim)).astype(np.float32)


def _resized(pictures, size):
    return np.stack([np.asarray(Image.fromarray(p).resize(size[::-1], Image.Resampling.BILINEAR)) for p in pictures])


# images and videos


def test_folders_of_images_are_clips_in_the_order_of_their_numbers(tmp_path, monkeypatch):
    pictures = np.random.default_rng(0).integers(0, 256, (12, 24, 32, 3), dtype=np.uint8)
    _images(tmp_path / "walk" / "10", pictures, "img{}.png")
    _images(tmp_path / "walk" / "2", pictures[:3], "{:03d}.PNG")
    _images(tmp_path / "alone", pictures[:1])
    _images(tmp_path / ".thumbnails", pictures[:4])
    (tmp_path / "walk" / "2" / "readme.txt").write_text("no picture")
    clips = MediaClips(tmp_path, (16, 20))
    assert (clips.names, clips.action_dim, len(clips)) == (["walk/2", "walk/10"], 0, 2)
    assert [len(clip.frames) for clip in clips] == [3, 12]
    np.testing.assert_array_equal(clips[1].frames, _resized(pictures, (16, 20)))
    assert clips[1].actions.shape == (11, 0)
    assert clips[1].about == {"name": "walk/10"}
    np.testing.assert_array_equal(MediaClips(tmp_path, 16, every=5)[1].frames, _resized(pictures[::5], (16, 16)))
    monkeypatch.chdir(tmp_path / "walk" / "2")
    for path in (tmp_path / "walk" / "2", "."):
        itself = MediaClips(path, 16)
        assert (itself.names, itself[0].frames.shape) == (["2"], (3, 16, 16, 3))


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "libx264"), (".avi", "mjpeg"), (".MOV", "mpeg4")])
def test_videos_are_clips(tmp_path, suffix, codec):
    pictures = _pictures(7)
    _video(tmp_path / f"a{suffix}", pictures, codec)
    (clip,) = MediaClips(tmp_path / f"a{suffix}", (24, 32))
    assert clip.frames.shape == pictures.shape
    assert clip.actions.shape == (6, 0)
    inner = (slice(None), slice(6, 18), [8, 24])
    np.testing.assert_allclose(clip.frames[inner].astype(int), pictures[inner].astype(int), atol=16)
    (third,) = MediaClips(tmp_path, (24, 32), every=3)
    np.testing.assert_array_equal(third.frames, clip.frames[::3])


@pytest.mark.skipif(not hasattr(av.video.stream.VideoStream, "set_display_rotation"), reason="PyAV cannot write it")
@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_a_video_that_was_taken_sideways_is_upright(tmp_path, degrees):
    shown = _pictures(3, (32, 48))
    _video(tmp_path / "a.mp4", np.rot90(shown, -degrees // 90, (1, 2)).copy(), degrees=degrees)
    (clip,) = MediaClips(tmp_path, (32, 48))
    np.testing.assert_allclose(clip.frames[:, 16, [12, 36]].astype(int), shown[:, 16, [12, 36]].astype(int), atol=16)


def test_actions_lie_beside_their_clip(tmp_path):
    taken = [_actions(4, seed=seed) for seed in range(4)]
    _images(tmp_path / "inside", _pictures())
    np.save(tmp_path / "inside" / "actions.npy", taken[0])
    _images(tmp_path / "run.1", _pictures())
    np.save(tmp_path / "run.1.npy", taken[1])
    _video(tmp_path / "film.mp4", _pictures())
    np.save(tmp_path / "film.npy", taken[2])
    _video(tmp_path / "take" / "film.mp4", _pictures())
    np.save(tmp_path / "take" / "actions.npy", taken[3])
    clips = MediaClips(tmp_path, 16)
    assert clips.action_dim == 2
    found = {clip.about["name"]: clip.actions for clip in clips}
    for name, actions in zip(("inside", "run.1", "film.mp4", "take/film.mp4"), taken, strict=True):
        np.testing.assert_array_equal(found[name], actions)


def test_actions_are_brought_to_one():
    given = np.array([[-1.0, 0.3], [1.0, 1e-10]], np.float32)
    np.testing.assert_array_equal(scaled_actions(given, "a"), given)
    np.testing.assert_array_equal(scaled_actions(np.array([[0, 5], [10, 20]]), "a", (0.0, 20.0)), [[-1, -0.5], [0, 1]])
    assert scaled_actions(np.zeros((0, 3)), "a").shape == (0, 3)
    assert np.abs(scaled_actions(np.array([[0.1], [0.7]]), "a", (0.1, 0.7))).max() == 1


@pytest.mark.parametrize(
    ("actions", "scale", "said"),
    [
        ([[0.5, -1.5]], (-1, 1), "expected actions from -1 to 1 in a, got -1.5 to 0.5; say between which low and high"),
        ([[0.5, 2.5]], (0, 2), "expected actions from 0 to 2 in a, got 0.5 to 2.5"),
        ([[np.nan]], (-1, 1), "expected finite actions in a"),
        ([3, 1], (-1, 1), r"expected numbers \(T - 1, A\) as actions in a, got int64 \(2,\)"),
        ([["x"]], (-1, 1), r"got <U1 \(1, 1\)"),
        ([[0.0]], (1, 1), "expected a low below high, got 1 and 1"),
    ],
)
def test_actions_that_cannot_be_used_are_one_sentence(actions, scale, said):
    with pytest.raises(ValueError, match=said):
        scaled_actions(np.array(actions), "a", tuple(map(float, scale)))


def test_media_that_cannot_be_used_are_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither a folder nor a file at .*none"):
        MediaClips(tmp_path / "none", 16)
    (tmp_path / "text.txt").write_text("")
    for path in (tmp_path, tmp_path / "text.txt"):
        with pytest.raises(
            ValueError, match=r"holds no clips: expected videos \(.mp4, .mkv, .*\) or folders with at"
        ):
            MediaClips(path, 16)
    _video(tmp_path / "whole.mp4", _pictures())
    (tmp_path / "text.mp4").write_bytes(b"no video")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes((tmp_path / "whole.mp4").read_bytes()[:600])
    for path in (tmp_path / "text.mp4", cut):
        with pytest.raises(ValueError, match=f"{path.name} cannot be read as a video past frame 0: "):
            MediaClips(path, 16)[0]
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    with pytest.raises(ValueError, match=r"sound.mp4 holds no pictures"):
        MediaClips(tmp_path / "sound.mp4", 16)[0]


def test_actions_that_do_not_fit_are_one_sentence(tmp_path):
    _images(tmp_path / "a", _pictures())
    _images(tmp_path / "b", _pictures())
    np.save(tmp_path / "a" / "actions.npy", _actions(4))
    with pytest.raises(ValueError, match=r"as many numbers in every action of .*, got 2 for a and 0 for b"):
        MediaClips(tmp_path, 16)
    np.save(tmp_path / "b" / "actions.npy", _actions(5))
    with pytest.raises(ValueError, match="expected 4 actions between the 5 frames of b, got 5"):
        MediaClips(tmp_path, 16)
    np.save(tmp_path / "b" / "actions.npy", _actions(4))
    with pytest.raises(
        ValueError, match="expected every n-th frame with n at least 1, and 1 for clips with actions, got 2"
    ):
        MediaClips(tmp_path, 16, every=2)
    np.save(tmp_path / "b" / "actions.npy", 3 * _actions(4))
    with pytest.raises(ValueError, match=r"expected actions from -1 to 1 in .*actions.npy, got"):
        MediaClips(tmp_path, 16)
    assert np.abs(MediaClips(tmp_path, 16, scale=(-3.0, 3.0))[1].actions).max() <= 1
    (tmp_path / "b" / "actions.npy").write_bytes(b"torn")
    with pytest.raises(ValueError, match=r"actions.npy cannot be read as an array of actions: "):
        MediaClips(tmp_path, 16)
    for name in ("one.mp4", "two.mp4"):
        _video(tmp_path / "c" / name, _pictures())
    np.save(tmp_path / "c" / "actions.npy", _actions(4))
    with pytest.raises(ValueError, match=r"actions named as their clip, got .*actions.npy beside 2 clips"):
        find_media(tmp_path / "c")
    with pytest.raises(ValueError, match="beside 2 clips"):
        find_media(tmp_path / "c" / "one.mp4")
    (tmp_path / "c" / "two.mp4").unlink()
    np.save(tmp_path / "c" / "actions.npy", _actions(3))
    with pytest.raises(ValueError, match=r"expected 4 actions between the 5 frames of one.mp4, got 3"):
        MediaClips(tmp_path / "c", 16)[0]


# Minari


def _jpegs(pictures):
    return [cv2.imencode(".jpg", picture[..., ::-1])[1].ravel() for picture in pictures]


def _minari(root, episodes, form="raw", key=None):
    """Write episodes (pictures, actions) as Minari does: pictures raw, or a JPEG each, in a dictionary or not."""
    path = root / "data" / "main_data.hdf5"
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", track_order=True) as file:
        for i, (pictures, actions) in enumerate(episodes):
            group = file.create_group(f"episode_{i}")
            group.attrs.update(id=i, total_steps=len(actions))
            group["actions"] = actions
            group["rewards"] = np.zeros(len(actions))
            group.create_group("infos")
            where = group if key is None else group.create_group("observations")
            if key is not None:
                where["state"] = np.zeros((len(pictures), 4))
            name = key or "observations"
            if form == "raw":
                where.create_dataset(name, data=pictures, chunks=True, maxshape=(None, *pictures.shape[1:]))
            elif form == "jpeg":
                packed = where.create_dataset(name, (len(pictures),), h5py.vlen_dtype(np.uint8))
                for t, jpeg in enumerate(_jpegs(pictures)):
                    packed[t] = jpeg
            else:  # JPEG files that happen to have one length
                where.create_dataset(name, data=np.stack(_jpegs(pictures)))
    return root


@pytest.mark.parametrize("key", [None, "pixels", "camera/front"])
@pytest.mark.parametrize("form", ["raw", "jpeg", "jpeg of one length"])
def test_minari_episodes_are_clips(tmp_path, form, key):
    pictures = _pictures(12)
    if form == "jpeg of one length":
        pictures = np.repeat(pictures[:1], 12, axis=0)
    episodes = [(pictures[: i + 1], _actions(i, 3, seed=i)) for i in range(1, 12)]
    _minari(tmp_path, episodes, form, key)
    for path in (tmp_path, tmp_path / "data", tmp_path / "data" / "main_data.hdf5"):
        clips = MinariClips(path, (24, 32), key=key or "pixels")
        assert clips.names == [f"episode_{i}" for i in range(11)], "10 comes after 9"
        assert (len(clips), clips.action_dim) == (11, 3)
    for clip, (seen, actions) in zip(clips, episodes, strict=True):
        np.testing.assert_allclose(clip.frames[:, 12, [8, 24]].astype(int), seen[:, 12, [8, 24]].astype(int), atol=8)
        np.testing.assert_array_equal(clip.actions, actions)
    assert MinariClips(tmp_path, 16, key=key or "pixels")[10].frames.shape == (12, 16, 16, 3)


def test_minari_actions_are_brought_to_one(tmp_path):
    _minari(tmp_path, [(_pictures(3), np.array([[0.0], [4.0]]))])
    with pytest.raises(ValueError, match=r"expected actions from -1 to 1 in episode_0 of .*main_data.hdf5, got 0 to 4"):
        MinariClips(tmp_path, 16)
    np.testing.assert_array_equal(MinariClips(tmp_path, 16, scale=(0.0, 4.0))[0].actions, [[-1], [1]])


@pytest.mark.parametrize(
    ("episode", "key", "said"),
    [
        ((np.zeros((4, 17)), _actions(3)), None, r"expected pictures, .* in episode_0 of .*, got float64 \(4, 17\)"),
        ((np.zeros((4, 128), np.uint8), _actions(3)), None, r"got uint8 \(4, 128\)"),
        ((np.zeros((4, 3, 8, 8), np.uint8), _actions(3)), None, r"got uint8 \(4, 3, 8, 8\)"),
        ((_pictures(4), _actions(3)), "camera", "'pixels' in the observations of episode_0 of .*, got camera, state"),
        ((_pictures(4), _actions(3)), "pixels/a", "got a group of a"),
        ((_pictures(4), np.arange(3)), None, r"expected numbers \(T - 1, A\) as actions in episode_0 of .* \(3,\)"),
        ((_pictures(4), _actions(4)), None, "expected 3 actions between the 4 pictures of episode_0 of .*, got 4"),
    ],
)
def test_minari_datasets_that_cannot_be_used_are_one_sentence(tmp_path, episode, key, said):
    with pytest.raises(ValueError, match=said):
        MinariClips(_minari(tmp_path, [episode], key=key), 16)


def test_files_that_are_no_minari_dataset_are_one_sentence(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"expected a Minari dataset at .*, with data/main_data.hdf5, found none"
    ):
        MinariClips(tmp_path, 16)
    path = _minari(tmp_path, [(_pictures(4), _actions(3)), (_pictures(4), _actions(3, dim=5))])
    with pytest.raises(ValueError, match=r"as many numbers in every action of .*, got \[2, 5\]"):
        MinariClips(path, 16)
    file = tmp_path / "data" / "main_data.hdf5"
    file.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"main_data.hdf5 is no HDF5 file that can be read: "):
        MinariClips(path, 16)
    with h5py.File(file, "w") as empty:
        empty.create_group("12")
    with pytest.raises(ValueError, match="holds no episodes: expected groups episode_0 and so on"):
        MinariClips(path, 16)
    with h5py.File(_minari(tmp_path, [(_pictures(4), _actions(3))], "jpeg") / "data" / "main_data.hdf5", "a") as broken:
        broken["episode_0"]["observations"][2] = np.frombuffer(b"\xff\xd8 no picture", np.uint8)
    with pytest.raises(ValueError, match=r"picture 2 of episode_0 of .* is no JPEG that can be read"):
        MinariClips(path, 16)[0]
