"""Public datasets in their own layouts, a few small files of each."""

import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from corrwise.predictors.data import ClipWindows
from corrwise.predictors.data.datasets.caltech import caltech_pedestrian
from corrwise.predictors.data.datasets.cityscapes import cityscapes_sequences
from corrwise.predictors.data.datasets.image_sequences import ImageFiles, ImageSequences, consecutive
from corrwise.predictors.data.datasets.kitti import KITTI_DRIVES, KITTI_SPLITS, kitti_raw
from corrwise.predictors.data.datasets.vimeo import vimeo_septuplets
from corrwise.predictors.data.formats.norpix import NorpixSequence

RED = (200, 30, 10)


def _image(number, size):
    """Red, with the number in the middle's blue."""
    image = np.full((*size, 3), RED, np.uint8)
    image[..., 2] = 10 * number
    return image


def _write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def _kitti(root, drive, numbers, size=(375, 1242)):
    for number in numbers:
        data = root / drive[:10] / f"{drive}_sync" / "image_03" / "data"
        _write(data / f"{number:010d}.png", _image(number, size))


def _seq(path, frames, *, zeros=0, count=None, kind=201):
    """Write a .seq file as cameras do: JPEG frames, each with 8 bytes of time and, in some files, 8 zeros."""
    header = struct.pack("<I24sii512s", 0xFEED, "Norpix seq  ".encode("utf-16-le"), 3, 1024, b"")
    height, width = frames[0].shape[:2]
    count = len(frames) if count is None else count
    header += struct.pack(
        "<9Id", width, height, 24, 8, width * height * 3, kind, count, 0, width * height * 3 + 512, 30
    )
    body = b""
    for i, frame in enumerate(frames):
        jpeg = cv2.imencode(".jpg", frame[..., ::-1])[1].tobytes()
        body += struct.pack("<I", len(jpeg) + 4) + jpeg + struct.pack("<IHH", 1_200_000_000, 33 * i, 0) + bytes(zeros)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header.ljust(1024, b"\0") + body)
    return path


def _blue(frames):
    return (frames[:, frames.shape[1] // 2, frames.shape[2] // 2, 2] / 10).round().astype(int).tolist()


# images


def test_sequences_are_resized_then_cut_from_the_middle(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (20, 47, 3), dtype=np.uint8)
    _write(tmp_path / "a.png", image)
    files = ImageFiles([tmp_path / "a.png"])
    plain = ImageSequences([files], (10, 20))
    np.testing.assert_array_equal(plain.read(0, 0, 1)[0][0], image[5:15, 13:33])
    resized = np.asarray(Image.fromarray(image).resize((30, 16), Image.Resampling.BILINEAR))
    both = ImageSequences([files], (16, 20), resize=(16, 30))
    np.testing.assert_array_equal(both.read(0, 0, 1)[0][0], resized[:, 5:25])
    short = np.asarray(Image.fromarray(image).resize((24, 10), Image.Resampling.BILINEAR))
    side = ImageSequences([files], (10, 10), resize=10)
    np.testing.assert_array_equal(side.read(0, 0, 1)[0][0], short[:, 7:17])


def test_only_the_frames_that_are_asked_for_are_read(tmp_path):
    for number in range(4):
        _write(tmp_path / f"{number}.png", _image(number, (8, 8)))
    (tmp_path / "0.png").write_bytes(b"broken")
    source = ImageSequences([ImageFiles(sorted(tmp_path.iterdir()))], (8, 8))
    frames, actions = source.read(0, 1, 3)
    assert _blue(frames) == [1, 2]
    assert tuple(frames[0, 0, 0, :2]) == RED[:2], "RGB"
    assert actions.shape == (1, 0)


def test_images_that_cannot_be_used_are_named(tmp_path):
    whole, cut, empty, small = (tmp_path / name for name in ("whole.png", "cut.png", "empty.png", "small.png"))
    _write(whole, np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
    cut.write_bytes(whole.read_bytes()[:-300])
    empty.write_bytes(b"")
    _write(small, _image(0, (12, 16)))
    for path in (cut, empty):
        with pytest.raises(ValueError, match=f"{path.name} is no image that can be read"):
            ImageSequences([ImageFiles([path])], (16, 16)).read(0, 0, 1)
    with pytest.raises(ValueError, match=r"at least \(H, W\) \(16, 16\), got \(12, 16\) from .*small.png"):
        ImageSequences([ImageFiles([whole, small])], (16, 16)).read(0, 0, 2)
    with pytest.raises(FileNotFoundError, match=r"there is no image at .*none.png"):
        ImageSequences([ImageFiles([tmp_path / "none.png"])], (16, 16)).read(0, 0, 1)
    with pytest.raises(ValueError, match=r"resized to at least \(H, W\) \(16, 16\), got \(16, 12\)"):
        ImageSequences([], (16, 16), resize=(16, 12))


def test_a_missing_number_ends_a_run(tmp_path):
    files = {number: tmp_path / str(number) for number in (7, 3, 2, 9, 8)}
    assert [[int(file.name) for file in run] for run in consecutive(files)] == [[2, 3], [7, 8, 9]]
    assert consecutive({}) == []


# KITTI


def test_the_splits_of_kitti_are_those_of_prednet():
    assert {name: len(drives) for name, drives in KITTI_DRIVES.items()} == {"city": 28, "residential": 21, "road": 12}
    assert {name: len(drives) for name, drives in KITTI_SPLITS.items()} == {"train": 57, "val": 1, "test": 3}
    everything = [drive for drives in KITTI_SPLITS.values() for drive in drives]
    assert sorted(everything) == sorted(drive for drives in KITTI_DRIVES.values() for drive in drives)
    assert len(set(everything)) == 61
    for category, drives in KITTI_DRIVES.items():
        assert len(set(drives) & set(KITTI_SPLITS["test"])) == 1, category
    assert set(KITTI_SPLITS["val"]) < set(KITTI_DRIVES["city"])


def test_kitti_reads_the_drives_that_are_there(tmp_path):
    _kitti(tmp_path, "2011_09_26_drive_0001", range(3))
    _kitti(tmp_path, "2011_09_29_drive_0071", [0, 1, 2, 3, 5, 6, 7, 8, 9], size=(374, 1238))
    _kitti(tmp_path, "2011_09_26_drive_0005", range(2))  # of val
    _kitti(tmp_path, "2011_09_28_drive_0053", range(2))  # Person: of no split
    source = kitti_raw(tmp_path, "train")
    assert (source.size, source.action_dim, source.lengths) == ((256, 512), 0, [3, 4, 5])
    assert _blue(source.read(2, 0, 5)[0]) == [5, 6, 7, 8, 9]
    batch = ClipWindows(source, 3).windows(np.arange(2))
    assert batch.frames.shape == (2, 3, 3, 256, 512)
    assert batch.actions.shape == (2, 2, 0)
    assert kitti_raw(tmp_path, "val", layout="prednet").read(0, 0, 2)[0].shape == (2, 128, 160, 3)


def test_kitti_as_jpeg_is_kitti(tmp_path, monkeypatch):
    """Many have converted the frames to save space; where some are there as both, none comes twice."""
    _kitti(tmp_path, "2011_09_26_drive_0005", range(6), size=(48, 64))
    data = tmp_path / "2011_09_26/2011_09_26_drive_0005_sync/image_03/data"
    whole = kitti_raw(tmp_path, "val", layout="prednet").read(0, 0, 6)[0]
    for number, suffix in enumerate((".jpg", ".jpeg", ".jpg", ".jpg")):
        file = data / f"{number:010d}.png"
        Image.open(file).save(file.with_suffix(suffix), "JPEG", quality=95)
        if number < 3:
            file.unlink()
    monkeypatch.setenv("HOME", str(tmp_path))
    source = kitti_raw("~", "val", layout="prednet")
    assert source.lengths == [6]
    frames = source.read(0, 0, 6)[0]
    np.testing.assert_array_equal(frames[3:], whole[3:], "the PNG is read where there is one")
    np.testing.assert_allclose(frames.astype(int), whole.astype(int), atol=4)


def test_geng_s_layout_is_theirs(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (375, 1242, 3), dtype=np.uint8)
    _write(tmp_path / "2011_09_26/2011_09_26_drive_0005_sync/image_03/data/0000000000.png", image)
    expected = Image.fromarray(image).resize((848, 256), Image.Resampling.BILINEAR).crop((168, 0, 680, 256))
    np.testing.assert_array_equal(kitti_raw(tmp_path, "val").read(0, 0, 1)[0][0], np.asarray(expected))


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("dataset", [kitti_raw, caltech_pedestrian, cityscapes_sequences])
def test_folders_without_the_dataset_are_one_sentence(tmp_path, dataset, split):
    with pytest.raises(FileNotFoundError, match=rf"expected .*{split}.*{tmp_path}.*, got none"):
        dataset(tmp_path, split)


@pytest.mark.parametrize("dataset", [kitti_raw, caltech_pedestrian, cityscapes_sequences])
def test_splits_and_layouts_that_are_none_are_refused(tmp_path, dataset):
    with pytest.raises(ValueError, match=r"unknown split of .* 'all'; there are train, "):
        dataset(tmp_path, "all")
    if dataset is not cityscapes_sequences:
        with pytest.raises(ValueError, match=r"unknown layout of .* 'square'; there are geng, prednet"):
            dataset(tmp_path, "train", layout="square")


# Caltech


@pytest.mark.parametrize("zeros", [0, 8])
@pytest.mark.parametrize("kind", [102, 201])
def test_seq_files_are_read_with_either_padding(tmp_path, zeros, kind):
    path = _seq(tmp_path / "V000.seq", [_image(i, (24, 32)) for i in range(8)], zeros=zeros, kind=kind)
    video = NorpixSequence(path)
    assert (len(video), video.size, video.fps) == (8, (24, 32), 30)
    for i in (7, 0, 3):
        np.testing.assert_allclose(video.read(i), _image(i, (24, 32)), atol=4)
    third = NorpixSequence(path, every=3)
    assert (len(third), third.name(2)) == (3, f"{path} frame 6")
    np.testing.assert_allclose(third.read(2), _image(6, (24, 32)), atol=4)


@pytest.mark.parametrize("zeros", [0, 8])
def test_a_recording_that_was_never_closed_is_what_is_whole(tmp_path, zeros):
    path = _seq(tmp_path / "V000.seq", [_image(i, (24, 32)) for i in range(4)], zeros=zeros, count=0)
    assert len(NorpixSequence(path)) == 4
    path.write_bytes(path.read_bytes()[: -50 - zeros])
    assert len(NorpixSequence(path)) == 3


def test_broken_seq_files_are_one_sentence(tmp_path):
    frames = [_image(i, (24, 32)) for i in range(4)]
    data = _seq(tmp_path / "V000.seq", frames).read_bytes()
    size = (len(data) - 1024) // 4
    cases = {
        "cut": (data[: 1024 + int(2.5 * size)], "cut.seq is cut off in frame 2 of 4: it ends after"),
        "short": (data[:300], "expected a .seq file at .*short.seq"),
        "other": (b"\0" * 2000, "expected a .seq file at .*other.seq"),
        "odd": (
            data[:1028] + b"??" + data[1030:],
            "expected a JPEG as frame 0 of .*odd.seq, got bytes that begin 3f 3f",
        ),
        "short frame": (
            data[:1024] + struct.pack("<I", 4) + data[1028:],
            "expected at least [0-9]+ bytes in frame 0 of .*short frame.seq, got 4",
        ),
        "raw": (
            data[:568] + b"\x64" + data[569:],
            r"expected frames of format 102 or 201 \(JPEG\) in .*, got format 100",
        ),
    }
    for name, (content, message) in cases.items():
        path = tmp_path / f"{name}.seq"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            NorpixSequence(path)
    with pytest.raises(FileNotFoundError, match=r"there is no .seq file at .*none.seq"):
        NorpixSequence(tmp_path / "none.seq")
    with pytest.raises(ValueError, match="n at least 1, got 0"):
        NorpixSequence(tmp_path / "V000.seq", every=0)
    (tmp_path / "V000.seq").write_bytes(data[:1100] + bytes(200) + data[1300:])
    with pytest.raises(ValueError, match=r"V000.seq frame 0 is no JPEG that can be read"):
        NorpixSequence(tmp_path / "V000.seq").read(0)


def test_caltech_is_every_third_frame(tmp_path):
    for name, count in (("set00/V000", 7), ("set05/V001", 9), ("set06/V000", 4)):
        _seq(tmp_path / f"{name}.seq", [_image(i, (480, 640)) for i in range(count)], zeros=8)
    source = caltech_pedestrian(tmp_path, "train")
    assert (source.size, source.action_dim, source.lengths) == ((288, 384), 0, [3, 3])
    assert _blue(source.read(0, 0, 3)[0]) == [0, 3, 6]
    assert ClipWindows(source, 2).batch(0, 3).frames.shape == (3, 2, 3, 288, 384)
    held = caltech_pedestrian(tmp_path, "test", layout="prednet")
    assert held.lengths == [2]
    assert held.read(0, 0, 2)[0].shape == (2, 128, 160, 3)


# Cityscapes


def test_cityscapes_comes_in_snippets(tmp_path):
    root = tmp_path / "leftImg8bit_sequence" / "val"
    places = [
        ("lindau", 0, range(30)),
        ("lindau", 1, range(4)),
        ("munster", 0, range(275, 305)),
        ("munster", 0, (400, 401)),
    ]
    for city, sequence, numbers in places:
        for number in numbers:
            name = f"{city}_{sequence:06d}_{number:06d}_leftImg8bit.png"
            _write(root / city / name, _image(number % 25, (16, 32)))
    _write(root / "lindau" / "lindau_000000_000000_gtFine.png", _image(0, (16, 32)))
    source = cityscapes_sequences(tmp_path, "val", size=(8, 16))
    assert (source.size, source.action_dim, source.lengths) == ((8, 16), 0, [30, 4, 30, 2])
    assert _blue(source.read(2, 0, 3)[0]) == [0, 1, 2]
    assert ClipWindows(source, 4).batch(0, 2).frames.shape == (2, 4, 3, 8, 16)
    assert cityscapes_sequences(tmp_path, "val").size == (256, 512)


def test_cityscapes_as_jpeg_is_cityscapes(tmp_path):
    for number, suffix in enumerate((".png", ".jpg", ".jpg")):
        name = tmp_path / "leftImg8bit_sequence/val/ulm" / f"ulm_000000_{number:06d}_leftImg8bit.png"
        _write(name.with_suffix(suffix), _image(number, (16, 32)))
        _write(name, _image(number, (16, 32))) if number == 1 else None
    source = cityscapes_sequences(tmp_path, "val", size=(8, 16))
    assert source.lengths == [3]
    assert _blue(source.read(0, 0, 3)[0]) == [0, 1, 2]


def test_snippets_that_touch_are_two(tmp_path):
    for number in range(5, 65):
        _write(
            tmp_path / "leftImg8bit_sequence/train/ulm" / f"ulm_000003_{number:06d}_leftImg8bit.png",
            _image(number % 25, (4, 8)),
        )
    source = cityscapes_sequences(tmp_path, size=(4, 8))
    assert source.lengths == [30, 30]
    assert _blue(source.read(1, 0, 1)[0]) == [35 % 25]


# Vimeo-90K


def _vimeo(root, clips, size=(256, 448)):
    (root / "sep_trainlist.txt").write_text("".join(f"{clip}\n" for clip in clips))
    for clip in clips:
        for i in range(1, 8):
            _write(root / "sequences" / clip / f"im{i}.png", _image(i, size))


def test_vimeo_septuplets_are_read_in_their_own_layout(tmp_path):
    _vimeo(tmp_path, ["00001/0002", "00002/0001"])
    clips = vimeo_septuplets(tmp_path)
    assert (clips.size, clips.action_dim, clips.lengths) == ((256, 448), 0, [7, 7])
    assert _blue(clips.read(1, 0, 7)[0]) == [1, 2, 3, 4, 5, 6, 7]
    middle = vimeo_septuplets(tmp_path, middle=True)
    assert middle.lengths == [3, 3]
    assert _blue(middle.read(0, 0, 3)[0]) == [3, 4, 5]


def test_images_of_several_sizes_in_one_clip_are_refused(tmp_path):
    _vimeo(tmp_path, ["00001/0001"])
    _write(tmp_path / "sequences" / "00001/0001" / "im4.png", _image(4, (260, 460)))
    clips = vimeo_septuplets(tmp_path)
    with pytest.raises(ValueError, match=r"of one size, got \(256, 448\) and then \(260, 460\) from .*im4.png"):
        clips.read(0, 0, 7)


def test_a_damaged_list_of_vimeo_is_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a list of Vimeo-90K's clips at .*sep_trainlist.txt, which"):
        vimeo_septuplets(tmp_path)
    _vimeo(tmp_path, ["00001/0001"])
    listed = tmp_path / "sep_trainlist.txt"
    with pytest.raises(FileNotFoundError, match=r"sep_testlist.txt"):
        vimeo_septuplets(tmp_path, "test")
    with pytest.raises(ValueError, match="unknown split of Vimeo-90K 'val'; there are train, test"):
        vimeo_septuplets(tmp_path, "val")
    for text, message in (
        ("", "got an empty list"),
        ("\n \n", "got an empty list"),
        ("00001/0001\n../../etc\n", r"got '../../etc' in line 2"),
        ("00001/0001\n00001/00", "got '00001/00' in line 2"),
    ):
        listed.write_text(text)
        with pytest.raises(ValueError, match=message):
            vimeo_septuplets(tmp_path)
    listed.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ValueError, match="in line 1"):
        vimeo_septuplets(tmp_path)
    listed.write_text("00001/0001\n00009/0001\n")
    with pytest.raises(FileNotFoundError, match=r"lists 2 clips, and 1 of them are missing, such as .*00009/0001/im1"):
        vimeo_septuplets(tmp_path)
