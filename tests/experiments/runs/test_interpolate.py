"""``corrwise interpolate``: which frames it keeps and makes, sound, cuts, and runs that are stopped."""

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from corrwise.experiments import cli
from corrwise.experiments.cli.interpolate import InterpolateConfig
from corrwise.experiments.runs import interpolate
from corrwise.predictors.data.formats.image_decoding import BitDepth
from corrwise.predictors.data.formats.video_decoding import decode_video
from corrwise.predictors.data.formats.video_encoding import encode_lossless, encode_video
from corrwise.predictors.interpolation import FLAVR, Blend, FLAVRConfig
from corrwise.predictors.interpolation.video import upsample
from tests.experiments.runs.sounding import frame_times, sound_of, with_sound

SIZE = (18, 22)


def moving(count: int, *, size=SIZE, background=30) -> list[np.ndarray]:
    """Return frames in which a bright square moves by a pixel a frame."""
    frames = np.full((count, *size, 3), background, np.uint8)
    for i, frame in enumerate(frames):
        frame[4:10, i % 12 : i % 12 + 6] = (250, 90, 10)
    return list(frames)


def images(folder: Path, frames) -> Path:
    folder.mkdir()
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{i:04d}.png")
    return folder


def read(folder: Path) -> np.ndarray:
    return np.stack([np.asarray(Image.open(file)) for file in sorted(folder.glob("*.png"))])


def run(*words) -> int:
    return cli.main(["interpolate", *map(str, words)])


@dataclass
class Middle:
    """Makes the frame in the middle of four by a blend whose outer weights are small."""

    known: tuple[float, ...] = (0.0, 1.0, 2.0, 3.0)
    between: tuple[float, ...] = (1.5,)

    def __call__(self, frames, times, wanted):
        weights = torch.tensor([-0.05, 0.55, 0.55, -0.05])
        return (frames * weights[None, :, None, None, None]).sum(1, keepdim=True).clamp(0, 1)


def test_known_frames_are_kept_to_the_bit_and_lie_at_their_places(tmp_path):
    frames = moving(5)
    assert (
        run("--video", images(tmp_path / "in", frames), "--model", "blend", "--times", 3, "--out", tmp_path / "o") == 0
    )
    made = read(tmp_path / "o")
    assert len(made) == 13
    assert np.array_equal(made[::3], np.stack(frames))
    third = frames[0].astype(float) + (frames[1].astype(float) - frames[0]) / 3
    assert np.abs(made[1] - third).max() <= 1
    assert not (tmp_path / "o.parts").exists()


@pytest.mark.parametrize("model", [Blend(), Middle()], ids=["free", "four frames"])
def test_chunks_make_the_video_that_one_piece_makes(tmp_path, monkeypatch, model):
    monkeypatch.setattr(interpolate, "CHUNK", 4)
    monkeypatch.setattr(interpolate, "interpolator_of", lambda *text, **options: model)
    frames = moving(11)
    assert run("--video", images(tmp_path / "in", frames), "--times", 4, "--out", tmp_path / "o") == 0
    whole = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float()[None] / 255
    wanted = (upsample(whole, 4, model)[0].permute(0, 2, 3, 1) * 255).round().byte().numpy()
    assert np.abs(read(tmp_path / "o").astype(int) - wanted).max() <= 1


def test_nothing_is_blended_across_a_cut(tmp_path):
    frames = [*moving(3), *moving(3, background=200)]
    folder = images(tmp_path / "in", frames)
    assert run("--video", folder, "--model", "blend", "--times", 4, "--out", tmp_path / "o") == 0
    made = read(tmp_path / "o")
    assert [made[i, -1, -1, 0] for i in range(8, 13)] == [30, 30, 200, 200, 200]
    assert run("--video", folder, "--model", "blend", "--times", 4, "--cut", 1, "--out", tmp_path / "all") == 0
    assert 30 < read(tmp_path / "all")[10, -1, -1, 0] < 200


def test_sound_and_duration_stay(tmp_path):
    source, out = with_sound(tmp_path / "in.mp4", moving(20)), tmp_path / "out.mp4"
    assert run("--video", source, "--model", "blend", "--times", 2, "--out", out) == 0
    assert sound_of(out)[1] == pytest.approx(sound_of(source)[1], abs=2e-3)
    times = frame_times(out)
    assert len(times) == 39
    assert times[::2] == pytest.approx(frame_times(source), abs=2e-3)


def test_mp3_is_copied_and_not_encoded_again(tmp_path):
    source, out = with_sound(tmp_path / "in.mkv", moving(20), "libmp3lame"), tmp_path / "out.mp4"
    assert run("--video", source, "--model", "blend", "--out", out) == 0
    assert sound_of(out)[0] == sound_of(source)[0]


def test_sound_of_a_rate_that_aac_does_not_have_is_resampled(tmp_path):
    source, out = with_sound(tmp_path / "in.mkv", moving(20), "pcm_s16le", 7000), tmp_path / "out.mp4"
    assert run("--video", source, "--model", "blend", "--out", out) == 0
    with av.open(str(out)) as container:
        audio = container.streams.audio[0]
        last = list(container.decode(audio))[-1]
        assert audio.codec_context.sample_rate == 7350
        assert last.time + last.samples / last.sample_rate == pytest.approx(2, abs=0.2)


def test_frames_that_a_trimmed_video_does_not_show_have_no_times(tmp_path):
    encode_video(tmp_path / "whole.mp4", moving(20), rate=10)
    with av.open(str(tmp_path / "whole.mp4")) as whole, av.open(str(tmp_path / "in.mp4"), "w") as trimmed:
        stream = trimmed.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(whole.streams.video[0]):
            if packet.dts is not None:  # 0.6 s are cut off without encoding anew: players hide them by an edit list
                packet.pts, packet.dts = (int(time - 0.6 / packet.time_base) for time in (packet.pts, packet.dts))
                packet.stream = stream
                trimmed.mux(packet)
    shown = frame_times(tmp_path / "in.mp4")
    assert len(shown) == 14
    assert run("--video", tmp_path / "in.mp4", "--model", "blend", "--out", tmp_path / "out.mp4") == 0
    assert frame_times(tmp_path / "out.mp4")[::2] == pytest.approx(shown, abs=2e-3)


def test_frames_that_share_one_time_are_shown_at_equal_distances(tmp_path):
    with av.open(str(tmp_path / "in.mkv"), "w") as container:
        video = container.add_stream("ffv1", rate=10)
        video.height, video.width, video.pix_fmt = *SIZE, "bgr0"
        for frame in moving(3):
            image = av.VideoFrame.from_ndarray(frame, format="rgb24")
            image.pts, image.time_base = 0, Fraction(1, 1000)
            container.mux(video.encode(image))
    assert run("--video", tmp_path / "in.mkv", "--model", "blend", "--out", tmp_path / "out.mp4") == 0
    assert frame_times(tmp_path / "out.mp4") == pytest.approx([0, 0.05, 0.1, 0.15, 0.2], abs=2e-3)


@pytest.mark.parametrize("count", [5, 9, 10])
def test_a_video_that_ends_with_a_chunk_keeps_its_last_frame(tmp_path, monkeypatch, count):
    monkeypatch.setattr(interpolate, "CHUNK", 4)
    frames = moving(count)
    assert run("--video", images(tmp_path / "in", frames), "--model", "blend", "--out", tmp_path / "o") == 0
    assert np.array_equal(read(tmp_path / "o")[::2], np.stack(frames))


def test_a_folder_that_holds_files_is_refused_and_left_as_it_is(tmp_path, capsys):
    folder = images(tmp_path / "in", moving(3))
    before = read(folder)
    assert run("--video", folder, "--model", "blend", "--out", folder) == 2
    assert "expected an empty or a new folder" in capsys.readouterr().err
    assert np.array_equal(read(folder), before)


@pytest.mark.parametrize(
    ("name", "make", "sentence"),
    [
        ("o", Path.touch, "a folder for the images"),
        ("o.mp4", Path.mkdir, "a file as"),
        ("in.mp4", lambda path: encode_video(path, moving(3)), "beside the source"),
    ],
)
def test_an_output_of_another_kind_or_the_source_is_refused_before_anything_is_made(
    tmp_path, capsys, name, make, sentence
):
    make(tmp_path / name)
    video = tmp_path / name if name == "in.mp4" else images(tmp_path / "in", moving(3))
    before = (tmp_path / name).stat()
    assert run("--video", video, "--model", "blend", "--out", tmp_path / name) == 2
    assert sentence in capsys.readouterr().err
    assert (tmp_path / name).stat().st_mtime_ns == before.st_mtime_ns
    assert not (tmp_path / f"{name}.parts").exists()


@pytest.mark.parametrize("frames", [None, moving(3)], ids=["damaged", "another number of frames"])
def test_a_chunk_that_is_not_as_it_was_is_named_and_made_again_when_it_is_deleted(
    tmp_path, monkeypatch, capsys, frames
):
    words = ["--video", images(tmp_path / "in", moving(3)), "--model", "blend", "--out", tmp_path / "o"]

    def full(folder, frames):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(interpolate, "write_images", full)
        assert run(*words) == 2
    chunk = tmp_path / "o.parts" / "00000000.mkv"
    if frames is None:
        chunk.write_bytes(chunk.read_bytes()[:200])
    else:
        encode_lossless(chunk, frames)
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert str(chunk) in error
    assert "delete this file" in error
    chunk.unlink()
    assert run(*words) == 0
    assert len(read(tmp_path / "o")) == 5


def test_options_of_a_trained_interpolator_are_refused(tmp_path, capsys):
    FLAVR(FLAVRConfig(width=2, blocks=1)).save_pretrained(tmp_path / "model")
    words = ["--video", images(tmp_path / "in", moving(3)), "--model", tmp_path / "model", "--out", tmp_path / "o"]
    assert run(*words, "--options", "flow=dis") == 2
    assert "options must be left out with a trained interpolator, got flow=dis" in capsys.readouterr().err


def test_uneven_times_are_kept(tmp_path):
    encode_video(tmp_path / "in.mp4", moving(4), times=[0.0, 0.1, 0.5, 0.6])
    assert run("--video", tmp_path / "in.mp4", "--model", "blend", "--out", tmp_path / "out.mp4") == 0
    assert frame_times(tmp_path / "out.mp4") == pytest.approx([0, 0.05, 0.1, 0.3, 0.5, 0.55, 0.6], abs=2e-3)


def test_a_stopped_run_goes_on_and_a_finished_chunk_is_not_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(interpolate, "CHUNK", 4)
    words = ["--video", images(tmp_path / "in", moving(11)), "--model", "blend"]
    assert run(*words, "--out", tmp_path / "whole") == 0
    made, write = [], encode_lossless

    def stopped(path, frames):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(path.name)
        write(path, frames)

    monkeypatch.setattr(interpolate, "encode_lossless", stopped)
    assert run(*words, "--out", tmp_path / "o") == 130
    assert not (tmp_path / "o").exists()
    made.clear()
    assert run(*words, "--out", tmp_path / "o") == 0
    assert made == ["00000008.mkv"]
    assert np.array_equal(read(tmp_path / "o"), read(tmp_path / "whole"))


def test_chunks_of_another_run_are_refused(tmp_path, monkeypatch, capsys):
    folder = images(tmp_path / "in", moving(3))

    def full(folder, frames):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(interpolate, "write_images", full)
    assert run("--video", folder, "--model", "blend", "--out", tmp_path / "o") == 2
    assert "No space left on device" in capsys.readouterr().err
    assert run("--video", folder, "--model", "blend", "--times", 4, "--out", tmp_path / "o") == 2
    assert "times" in capsys.readouterr().err.strip().split("\n")[-1]


def test_lossless_chunks_are_lossless(tmp_path):
    frames = [np.random.default_rng(i).integers(0, 256, (*SIZE, 3), dtype=np.uint8) for i in range(3)]
    encode_lossless(tmp_path / "x.mkv", frames)
    assert np.array_equal(np.stack(list(decode_video(tmp_path / "x.mkv", BitDepth()))), np.stack(frames))


@pytest.mark.parametrize(
    ("frames", "words", "sentence"),
    [
        (moving(1), [], "at least two images"),
        ([*moving(2), *moving(1, size=(20, 20))], [], r"one size.*frame 2"),
        (moving(3), ["--model", "average", "--times", "3"], r"a factor of 2, 4, 8, \.\.\.; got 3"),
        (moving(3), ["--clip", "1"], "1 clips?, got clip 1"),
        (moving(3), ["--options", "flow"], "name=value, got flow"),
        (moving(3), ["--options", "speed=3"], "half-flow has no such options"),
        (moving(3), ["--model", "no/such"], "no/such"),
        (moving(3), ["--times", "1"], "at least 2"),
        (moving(3), ["--out", "x.avi"], "an .mp4 file or a folder"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, capsys, frames, words, sentence):
    out = [] if "--out" in words else ["--out", tmp_path / "o"]
    assert run("--video", images(tmp_path / "in", frames), *out, *words) == 2
    error = capsys.readouterr().err
    last = error.strip().split("\n")[-1]
    assert last.startswith("corrwise: ")
    assert re.search(sentence, last)
    assert not (tmp_path / "o").exists()


def test_the_default_is_the_flow_that_real_video_needs():
    assert InterpolateConfig(video=Path("x.mp4")).model == "half-flow:flow=dis"  # docs/results/interpolation


def test_options_of_the_average_are_numbers(tmp_path):
    folder = images(tmp_path / "in", moving(2))
    assert run("--video", folder, "--model", "average", "--options", "steps=0", "--out", tmp_path / "o") == 0
    assert len(read(tmp_path / "o")) == 3


def test_the_name_of_a_network_without_its_weights_is_refused(tmp_path, capsys):
    video = images(tmp_path / "frames", moving(3))
    assert run("--video", video, "--model", "flavr", "--out", tmp_path / "out") == 2
    assert "expected the folder of a trained flavr, see corrwise train --objective" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
