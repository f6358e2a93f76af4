"""Clips from videos, images and Minari datasets."""

import os
import struct

import cv2
import h5py
import numpy as np
import pytest
from PIL import Image

from corrwise.predictors.data.actions import MAX_ACTION_BYTES, load_actions, scaled_actions
from corrwise.predictors.data.clip import BrokenClip
from corrwise.predictors.data.formats import image_decoding
from corrwise.predictors.data.formats.media import MediaClips
from corrwise.predictors.data.formats.media_files import scan_media
from corrwise.predictors.data.formats.minari import MinariClips

av = pytest.importorskip("av")


def _frames(length=5, size=(24, 32), seed=0):
    """Smooth enough to come through a video codec: red on the left, growing blue on the right."""
    images = np.zeros((length, *size, 3), np.uint8)
    images[:, :, : size[1] // 2, 0] = 200
    images[:, :, size[1] // 2 :, 2] = 20 * np.arange(1, length + 1)[:, None, None]
    return images


def _images(folder, images, name="{}.png"):
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / name.format(i))


def _video(path, images, codec="libx264", degrees=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width = images.shape[1:3]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if degrees:
            stream.set_display_rotation(degrees)
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def _actions(steps, dim=2, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (steps, dim)).astype(np.float32)


def _resized(images, size):
    return np.stack([np.asarray(Image.fromarray(p).resize(size[::-1], Image.Resampling.BILINEAR)) for p in images])


# images and videos


def test_folders_of_images_are_clips_in_the_order_of_their_numbers(tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (12, 24, 32, 3), dtype=np.uint8)
    _images(tmp_path / "walk" / "10", images, "img{}.png")
    _images(tmp_path / "walk" / "2", images[:3], "{:03d}.PNG")
    _images(tmp_path / "alone", images[:1])
    _images(tmp_path / ".thumbnails", images[:4])
    (tmp_path / "walk" / "2" / "readme.txt").write_text("no image")
    clips = MediaClips(tmp_path, (16, 20))
    assert (clips.names, clips.action_dim, len(clips)) == (["walk/2", "walk/10"], 0, 2)
    assert [len(clip.frames) for clip in clips] == [3, 12]
    np.testing.assert_array_equal(clips[1].frames, _resized(images, (16, 20)))
    assert clips[1].actions.shape == (11, 0)
    assert clips[1].about == {"name": "walk/10"}
    np.testing.assert_array_equal(MediaClips(tmp_path, 16, every=5)[1].frames, _resized(images[::5], (16, 16)))
    monkeypatch.chdir(tmp_path / "walk" / "2")
    for path in (tmp_path / "walk" / "2", "."):
        itself = MediaClips(path, 16)
        assert (itself.names, itself[0].frames.shape) == (["2"], (3, 16, 16, 3))


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "libx264"), (".avi", "mjpeg"), (".MOV", "mpeg4")])
def test_videos_are_clips(tmp_path, suffix, codec):
    images = _frames(7)
    _video(tmp_path / f"a{suffix}", images, codec)
    (clip,) = MediaClips(tmp_path / f"a{suffix}", (24, 32))
    assert clip.frames.shape == images.shape
    assert clip.actions.shape == (6, 0)
    inner = (slice(None), slice(6, 18), [8, 24])
    np.testing.assert_allclose(clip.frames[inner].astype(int), images[inner].astype(int), atol=16)
    (third,) = MediaClips(tmp_path, (24, 32), every=3)
    np.testing.assert_array_equal(third.frames, clip.frames[::3])


@pytest.mark.skipif(not hasattr(av.video.stream.VideoStream, "set_display_rotation"), reason="PyAV cannot write it")
@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_a_video_that_was_taken_sideways_is_upright(tmp_path, degrees):
    shown = _frames(3, (32, 48))
    _video(tmp_path / "a.mp4", np.rot90(shown, -degrees // 90, (1, 2)).copy(), degrees=degrees)
    (clip,) = MediaClips(tmp_path, (32, 48))
    np.testing.assert_allclose(clip.frames[:, 16, [12, 36]].astype(int), shown[:, 16, [12, 36]].astype(int), atol=16)


def _shown(path, matrix):
    """Make an MP4 file state a display matrix: a, b, c, d of x' = ax + cy and y' = bx + dy."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    a, b, c, d = (65536 * number for number in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("matrix", "show"),
    [
        ((1, 0, 0, 1), lambda image: image),
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
        ((1, 0, 0, -1), lambda image: image[::-1]),
        ((-1, 0, 0, -1), lambda image: image[::-1, ::-1]),
        ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
        ((0, -1, 1, 0), lambda image: np.rot90(image)),
        ((0, -1, -1, 0), lambda image: image[::-1, ::-1].transpose(1, 0, 2)),
    ],
)
def test_videos_are_turned_and_mirrored_as_they_are_to_be_shown(tmp_path, matrix, show):
    stored = np.zeros((2, 32, 48, 3), np.uint8)
    stored[:, :16, :24, 0], stored[:, :16, 24:, 1], stored[:, 16:, :24, 2] = 200, 200, 200
    _video(tmp_path / "a.mp4", stored)
    _shown(tmp_path / "a.mp4", matrix)
    shown = show(stored[0])
    (clip,) = MediaClips(tmp_path, shown.shape[:2])
    assert np.abs(clip.frames[1].astype(int) - shown.astype(int)).mean() < 12


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        (".mkv", "libx264"),
        (".webm", "libvpx"),
        (".m4v", "libx264"),
        (".mpg", "mpeg1video"),
        (".ts", "libx264"),
        (".wmv", "wmv2"),
        (".flv", "flv"),
        (".gif", "gif"),
        (".y4m", "rawvideo"),
    ],
)
def test_every_container_is_a_video(tmp_path, suffix, codec):
    with av.open(str(tmp_path / f"a{suffix}"), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "rgb8" if codec == "gif" else "yuv420p"
        for image in _frames(7, (32, 48)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    clips = MediaClips(tmp_path, 16)
    assert clips.names == [f"a{suffix}"]
    assert clips[0].frames.shape == (7, 16, 16, 3)


def test_what_is_no_media_is_counted_and_left(tmp_path):
    _video(tmp_path / "film.mkv", _frames())
    np.save(tmp_path / "film.npy", _actions(4))
    np.save(tmp_path / "other.npy", _actions(4))
    (tmp_path / "index.ts").write_text("const x: number = 1")  # TypeScript
    (tmp_path / "song.ogg").write_bytes(b"OggS")
    (tmp_path / ".DS_Store").write_text("")
    (tmp_path / ".thumbnails").mkdir()
    _images(tmp_path / "alone", _frames(1))
    media = scan_media(tmp_path)
    assert [clip.name for clip in media.clips] == ["film.mkv"]
    assert media.left == {"hidden": 2, "images alone in their folder": 1, "neither video nor image": 3}


def test_numbers_in_names_order_frames_and_clips(tmp_path):
    names = ("1700000000.25", "1700000000.5", "1700000001")
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    for name, image in zip(names, images, strict=True):
        _images(tmp_path / "a", [image], f"{name}.png")
        _video(tmp_path / f"{name}.mp4", _frames())
    clips = MediaClips(tmp_path, 16)
    assert clips.names == [*(f"{name}.mp4" for name in names), "a"]
    np.testing.assert_array_equal(clips[3].frames, images)


def test_links_are_followed_and_loops_are_cut(tmp_path):
    source, outside = tmp_path / "source", tmp_path / "outside"
    _images(source / "walk", _frames())
    _images(outside / "run", _frames())
    _video(outside / "film.mp4", _frames())
    (source / "a").symlink_to(source / "walk")  # as another name comes before
    (source / "b").symlink_to(outside)
    (source / "c").symlink_to(outside / "run")
    (source / "again.mp4").symlink_to(outside / "film.mp4")
    (source / "walk" / "up").symlink_to(source)
    (outside / "loop").symlink_to(source)
    media = scan_media(source)
    assert [clip.name for clip in media.clips] == ["b/film.mp4", "b/run", "walk"]
    assert media.left == {"links to what is taken already": 5}
    linked = tmp_path / "linked"
    linked.mkdir()
    for i in (2, 10, 1):  # links to images are frames wherever they are, even twice
        (linked / f"{i}.png").symlink_to(source / "walk" / "0.png")
    assert MediaClips(linked, 16)[0].frames.shape[0] == 3
    (linked / "3.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(FileNotFoundError, match=r"no image at .*3.png"):
        MediaClips(linked, 16)[0]


def test_folders_that_cannot_be_read_are_broken(tmp_path, monkeypatch):
    _images(tmp_path / "a", _frames())
    _images(tmp_path / "b", _frames())
    scandir = os.scandir

    def refused(path):
        if os.fspath(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(ValueError, match=r"the folder .*/b cannot be read: Permission denied"):
        MediaClips(tmp_path, 16)
    assert MediaClips(tmp_path, 16, skip_broken=True).names == ["a"]


def test_images_of_more_than_8_bits_share_a_white(tmp_path):
    (tmp_path / "a").mkdir()
    for i, most in enumerate((4000, 1000)):
        cv2.imwrite(str(tmp_path / "a" / f"{i}.png"), np.full((16, 16), most, np.uint16))
    with pytest.raises(ValueError, match=r"a has images of 16 bits with values from 1000 to 4000, .* white = 4095"):
        MediaClips(tmp_path, 16)[0]
    frames = MediaClips(tmp_path, 16, white=4000)[0].frames
    assert [int(frame.max()) for frame in frames] == [255, 64]


@pytest.mark.skipif("ffv1" not in av.codecs_available, reason="PyAV has no FFV1 here")
def test_videos_of_16_bits_are_scaled_by_their_white(tmp_path):
    with av.open(str(tmp_path / "depth.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = 16, 16, "gray16le"
        for most in (4000, 2000):
            frame = av.VideoFrame.from_ndarray(np.full((16, 16), most, np.uint16), format="gray16le")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(ValueError, match=r"depth.mkv has images of 16 bits with values from 2000 to 4000"):
        MediaClips(tmp_path, 16)[0]
    frames = MediaClips(tmp_path, 16, white=4000)[0].frames
    assert [int(frame.max()) for frame in frames] == [255, 128]


def test_frames_that_are_there_twice_are_refused(tmp_path):
    _images(tmp_path / "a", _frames(3))
    _images(tmp_path / "a", _frames(1), "{}.jpg")
    with pytest.raises(ValueError, match=r"expected one image of each name, got .*a/0.jpg beside 0.png"):
        MediaClips(tmp_path, 16)


def test_declared_sizes_of_videos_are_checked(tmp_path, monkeypatch):
    _video(tmp_path / "a.mp4", _frames(3, (32, 48)))
    monkeypatch.setattr(image_decoding, "MAX_PIXELS", 1000)
    with pytest.raises(ValueError, match=r"expected at most 1000 pixels in .*a.mp4, got 48 x 32"):
        MediaClips(tmp_path, 16)[0]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 2)}", f"at most {MAX_ACTION_BYTES} bytes"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-4, 2)}", f"at most {MAX_ACTION_BYTES} bytes"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1000, 2)}", r"8000 bytes of float32 \(1000, 2\), got 32"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (4, 2)}", "Object arrays cannot be loaded"),
        ("{'descr': '<f4'", "cannot be read as an array"),
        ("((((((", "cannot be read as an array"),
    ],
)
def test_declared_sizes_of_actions_are_checked(tmp_path, header, message):
    header = header.ljust(117).encode() + b"\n"
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(32))
    with pytest.raises(ValueError, match=rf"a.npy cannot be read as an array of actions: .*{message}|{message}"):
        load_actions(path)


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    _images(tmp_path / "clips" / "a", _frames())
    assert MediaClips("~/clips", 16).names == ["a"]
    _minari(tmp_path / "data set", [(_frames(4), _actions(3))])
    assert MinariClips("~/data set", 16).names == ["episode_0"]


def test_actions_lie_beside_their_clip(tmp_path):
    taken = [_actions(4, seed=seed) for seed in range(4)]
    _images(tmp_path / "inside", _frames())
    np.save(tmp_path / "inside" / "actions.npy", taken[0])
    _images(tmp_path / "run.1", _frames())
    np.save(tmp_path / "run.1.npy", taken[1])
    _video(tmp_path / "film.mp4", _frames())
    np.save(tmp_path / "film.npy", taken[2])
    _video(tmp_path / "take" / "film.mp4", _frames())
    np.save(tmp_path / "take" / "actions.npy", taken[3])
    clips = MediaClips(tmp_path, 16)
    assert clips.action_dim == 2
    actions_of = {clip.about["name"]: clip.actions for clip in clips}
    for name, actions in zip(("inside", "run.1", "film.mp4", "take/film.mp4"), taken, strict=True):
        np.testing.assert_array_equal(actions_of[name], actions)


def test_actions_are_brought_to_one():
    given = np.array([[-1.0, 0.3], [1.0, 1e-10]], np.float32)
    np.testing.assert_array_equal(scaled_actions(given, "a"), given)
    np.testing.assert_array_equal(scaled_actions(np.array([[0, 5], [10, 20]]), "a", (0.0, 20.0)), [[-1, -0.5], [0, 1]])
    assert scaled_actions(np.zeros((0, 3)), "a").shape == (0, 3)
    assert np.abs(scaled_actions(np.array([[0.1], [0.7]]), "a", (0.1, 0.7))).max() == 1


@pytest.mark.parametrize(
    ("actions", "scale", "message"),
    [
        ([[0.5, -1.5]], (-1, 1), "expected actions from -1 to 1 in a, got -1.5 to 0.5; state the low and high"),
        ([[0.5, 2.5]], (0, 2), "expected actions from 0 to 2 in a, got 0.5 to 2.5"),
        ([[np.nan]], (-1, 1), "expected finite actions in a"),
        ([3, 1], (-1, 1), r"expected numbers \(T - 1, A\) as actions in a, got int64 \(2,\)"),
        ([["x"]], (-1, 1), r"got <U1 \(1, 1\)"),
        ([[0.0]], (1, 1), "expected a low below high, got 1 and 1"),
    ],
)
def test_actions_that_cannot_be_used_are_one_sentence(actions, scale, message):
    with pytest.raises(ValueError, match=message):
        scaled_actions(np.array(actions), "a", tuple(map(float, scale)))


def test_media_that_cannot_be_used_are_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither a folder nor a file at .*none"):
        MediaClips(tmp_path / "none", 16)
    (tmp_path / "text.txt").write_text("")
    for path in (tmp_path, tmp_path / "text.txt"):
        with pytest.raises(ValueError, match=r"holds no clips: expected videos \(.mp4, .mkv, .*\) or folders with at"):
            MediaClips(path, 16)
    _video(tmp_path / "whole.mp4", _frames())
    (tmp_path / "text.mp4").write_bytes(b"no video")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes((tmp_path / "whole.mp4").read_bytes()[:600])
    for path in (tmp_path / "text.mp4", cut):
        with pytest.raises(ValueError, match=f"{path.name} cannot be read as a video past frame 0: "):
            MediaClips(path, 16)[0]
    (tmp_path / "text.mp4").write_bytes((tmp_path / "whole.mp4").read_bytes().replace(b"avc1", b"none"))
    with pytest.raises(ValueError, match=r"text.mp4 cannot be read as a video: PyAV has no decoder for it"):
        MediaClips(tmp_path / "text.mp4", 16)[0]
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    with pytest.raises(ValueError, match=r"sound.mp4 holds no video"):
        MediaClips(tmp_path / "sound.mp4", 16)[0]


def test_actions_that_do_not_fit_are_one_sentence(tmp_path):
    _images(tmp_path / "a", _frames())
    _images(tmp_path / "b", _frames())
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
        _video(tmp_path / "c" / name, _frames())
    np.save(tmp_path / "c" / "actions.npy", _actions(4))
    for path in (tmp_path / "c", tmp_path / "c" / "one.mp4"):
        with pytest.raises(BrokenClip, match=r"actions named as their clip, got .*actions.npy beside 2 clips"):
            MediaClips(path, 16)
    (tmp_path / "c" / "two.mp4").unlink()
    np.save(tmp_path / "c" / "actions.npy", _actions(3))
    with pytest.raises(ValueError, match=r"expected 4 actions between the 5 frames of one.mp4, got 3"):
        MediaClips(tmp_path / "c", 16)[0]


# Minari


def _jpegs(images):
    return [cv2.imencode(".jpg", image[..., ::-1])[1].ravel() for image in images]


def _minari(root, episodes, form="raw", key=None):
    """Write episodes (images, actions) as Minari does: images raw, or a JPEG each, in a dictionary or not."""
    path = root / "data" / "main_data.hdf5"
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", track_order=True) as file:
        for i, (images, actions) in enumerate(episodes):
            group = file.create_group(f"episode_{i}")
            group.attrs.update(id=i, total_steps=len(actions))
            group["actions"] = actions
            group["rewards"] = np.zeros(len(actions))
            group.create_group("infos")
            where = group if key is None else group.create_group("observations")
            if key is not None:
                where["state"] = np.zeros((len(images), 4))
            name = key or "observations"
            if form == "raw":
                where.create_dataset(name, data=images, chunks=True, maxshape=(None, *images.shape[1:]))
            elif form == "jpeg":
                packed = where.create_dataset(name, (len(images),), h5py.vlen_dtype(np.uint8))
                for t, jpeg in enumerate(_jpegs(images)):
                    packed[t] = jpeg
            else:  # JPEG files that happen to have one length
                where.create_dataset(name, data=np.stack(_jpegs(images)))
    return root


@pytest.mark.parametrize("key", [None, "pixels", "camera/front"])
@pytest.mark.parametrize("form", ["raw", "jpeg", "jpeg of one length"])
def test_minari_episodes_are_clips(tmp_path, form, key):
    images = _frames(12)
    if form == "jpeg of one length":
        images = np.repeat(images[:1], 12, axis=0)
    episodes = [(images[: i + 1], _actions(i, 3, seed=i)) for i in range(1, 12)]
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
    _minari(tmp_path, [(_frames(3), np.array([[0.0], [4.0]]))])
    with pytest.raises(ValueError, match=r"expected actions from -1 to 1 in episode_0 of .*main_data.hdf5, got 0 to 4"):
        MinariClips(tmp_path, 16)
    np.testing.assert_array_equal(MinariClips(tmp_path, 16, scale=(0.0, 4.0))[0].actions, [[-1], [1]])


@pytest.mark.parametrize(
    ("episode", "key", "message"),
    [
        ((np.zeros((4, 17)), _actions(3)), None, r"expected images, .* in episode_0 of .*, got float64 \(4, 17\)"),
        ((np.zeros((4, 128), np.uint8), _actions(3)), None, r"got uint8 \(4, 128\)"),
        ((np.zeros((4, 3, 8, 8), np.uint8), _actions(3)), None, r"got uint8 \(4, 3, 8, 8\)"),
        ((_frames(4), _actions(3)), "camera", "'pixels' in the observations of episode_0 of .*, got camera, state"),
        ((_frames(4), _actions(3)), "pixels/a", "got a group of a"),
        ((_frames(4), np.arange(3)), None, r"expected numbers \(T - 1, A\) as actions in episode_0 of .* \(3,\)"),
        ((_frames(4), _actions(4)), None, "expected 3 actions between the 4 images of episode_0 of .*, got 4"),
    ],
)
def test_minari_datasets_that_cannot_be_used_are_one_sentence(tmp_path, episode, key, message):
    with pytest.raises(ValueError, match=message):
        MinariClips(_minari(tmp_path, [episode], key=key), 16)


def test_sizes_that_a_minari_dataset_declares_are_checked(tmp_path):
    path = _minari(tmp_path, [(_frames(4), _actions(3))] * 3)
    with h5py.File(path / "data" / "main_data.hdf5", "a") as file:
        del file["episode_0/actions"], file["episode_1/observations"]
        file["episode_0"].create_dataset("actions", (10**12, 2), np.float32, chunks=(1000, 2))
        file["episode_1"].create_dataset("observations", (4, 60000, 60000, 3), np.uint8, chunks=(1, 16, 16, 3))
    with pytest.raises(ValueError, match=rf"at most {MAX_ACTION_BYTES} bytes of actions in episode_0 of .*, got"):
        MinariClips(path, 16)
    clips = MinariClips(path, 16, skip_broken=True)
    assert (clips.names, list(clips.broken)) == (["episode_2"], ["episode_0", "episode_1"])
    assert "pixels in each of the images" in clips.broken["episode_1"]


def test_files_that_are_no_minari_dataset_are_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected a Minari dataset at .*, with data/main_data.hdf5, got none"):
        MinariClips(tmp_path, 16)
    path = _minari(tmp_path, [(_frames(4), _actions(3)), (_frames(4), _actions(3, dim=5))])
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
    with h5py.File(_minari(tmp_path, [(_frames(4), _actions(3))], "jpeg") / "data" / "main_data.hdf5", "a") as broken:
        broken["episode_0"]["observations"][2] = np.frombuffer(b"\xff\xd8 no image", np.uint8)
    with pytest.raises(ValueError, match=r"image 2 of episode_0 of .* is no JPEG that can be read"):
        MinariClips(path, 16)[0]


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "mpeg4"), ("a.mkv", "libx264"), ("a.webm", "libvpx")])
def test_a_matroska_file_that_is_cut_off_is_refused_though_its_frames_decode(tmp_path, name, codec):
    noise = np.random.default_rng(0).integers(0, 255, (30, 64, 64, 3), dtype=np.uint8)
    _video(tmp_path / name, noise, codec)
    assert len(MediaClips(tmp_path, 16)[0].frames) == 30
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(
        ValueError, match=rf"{name} cannot be read as a video past frame \d+: it is cut off, with .* of 3.0"
    ):
        MediaClips(tmp_path, 16)[0]
