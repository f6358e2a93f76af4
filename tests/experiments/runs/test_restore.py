"""``corrwise restore``: videos from damaged ones, runs that are stopped, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from corrwise.envs.arrays import to_uint8
from corrwise.experiments import cli
from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.runs import damaged_frames, restored_chunks
from corrwise.experiments.runs.collect import run_collect
from corrwise.experiments.runs.restore import KEY
from corrwise.experiments.runs.rows import read_rows
from corrwise.predictors.data import ClipFolder
from corrwise.predictors.data.formats.image_decoding import BitDepth
from corrwise.predictors.data.formats.video_decoding import decode_video
from corrwise.predictors.data.formats.video_encoding import encode_video
from corrwise.predictors.restoration import RestorationConfig, RestorationModel
from tests.experiments.runs.sounding import frame_times, sound_of, with_sound

SIZE = (18, 22)  # no multiples of 8


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A model whose output depends on noise and on what it sees."""
    folder = tmp_path_factory.mktemp("restore") / "model"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = RestorationModel(RestorationConfig(width=4, blocks=1, evaluations=2))
        torch.nn.init.normal_(made.network.leave.weight, std=0.05)
    made.save_pretrained(folder)
    return folder


def images(folder: Path, count: int = 5, size=SIZE) -> Path:
    folder.mkdir()
    wide = np.random.default_rng(0).integers(0, 256, (size[0], size[1] + count, 3), dtype=np.uint8)
    for i in range(count):
        Image.fromarray(wide[:, i : i + size[1]]).save(folder / f"{i:04d}.png")
    return folder


def mask(path: Path, size=SIZE) -> Path:
    image = np.zeros((*size, 3), np.uint8)
    image[5:9, 6:12] = 255
    Image.fromarray(image).save(path)
    return path


def run(*words) -> int:
    return cli.main(["restore", *map(str, words)])


def frames(path: Path) -> np.ndarray:
    return np.stack(list(decode_video(path, BitDepth())))


def restored(out: Path) -> np.ndarray:
    """The frames as they were kept, without loss."""
    return np.concatenate([frames(file) for file in sorted((out / "parts").glob("*.mkv"))])


def test_a_masked_video_keeps_its_known_pixels_and_has_a_report(model, tmp_path):
    source, out = images(tmp_path / "in"), tmp_path / "out"
    assert run("--model", model, "--video", source, "--damage", mask(tmp_path / "mask.png"), "--out", out) == 0
    made = restored(out)
    given = np.stack([np.asarray(Image.open(file)) for file in sorted(source.glob("*.png"))])
    missing = np.asarray(Image.open(tmp_path / "mask.png"))[..., 0] > 0
    assert made.shape == given.shape
    assert np.array_equal(made[:, ~missing], given[:, ~missing])
    assert not np.array_equal(made[:, missing], given[:, missing])
    assert frames(out / "restored.mp4").shape == given.shape
    assert frames(out / "side-by-side.mp4").shape == (5, SIZE[0], 2 * SIZE[1], 3)
    rows = read_rows(out / "rows.jsonl", KEY)
    assert [row["frame"] for row in rows] == [0, 1, 2, 3, 4]
    assert rows[3]["warping_previous"] > 0
    assert "psnr" not in rows[3]
    assert "| 5 | " in (out / "table.md").read_text()
    report = np.asarray(Image.open(out / "report.png").convert("RGB")).astype(int)
    colours = report.max(axis=2) - report.min(axis=2) > 60
    height, width = (side // 5 for side in colours.shape)
    assert colours[:height].any(), "damaged frames"
    assert colours[height : 2 * height].any(), "restored ones"
    assert colours[3 * height :, width * 3 :].any(), "the map of the flicker"


def test_a_clip_of_a_folder_is_restored(model, tmp_path):
    run_collect(CollectConfig(out=tmp_path / "clips", episodes=2, steps=4, size=16))
    words = ["--model", model, "--video", tmp_path / "clips", "--damage", "random", "--apply", "--fps", 5]
    assert run(*words, "--clip", 1, "--out", tmp_path / "out") == 0
    whole, made = ClipFolder(tmp_path / "clips").read(1, 0, 5)[0], restored(tmp_path / "out")
    assert made.shape == whole.shape
    assert (made == whole).all(axis=3).mean() > 0.5, "known pixels"
    assert frame_times(tmp_path / "out/restored.mp4") == pytest.approx([0, 0.2, 0.4, 0.6, 0.8], abs=2e-3)


def test_a_small_video_is_enlarged(model, tmp_path):
    source, out = images(tmp_path / "in", 3, size=(9, 11)), tmp_path / "out"
    assert run("--model", model, "--video", source, "--damage", "downscale:factor=2", "--out", out) == 0
    made = restored(out)
    assert made.shape == (3, *SIZE, 3)
    small = made.reshape(3, 9, 2, 11, 2, 3).mean(axis=(2, 4))
    given = np.stack([np.asarray(Image.open(file)) for file in sorted(source.glob("*.png"))])
    # Values that leave [0, 1] are clipped, which moves some means.
    assert np.median(np.abs(small - given)) < 1


def test_a_whole_video_is_damaged_first_and_its_error_is_reported(model, tmp_path):
    words = ["--model", model, "--video", images(tmp_path / "in", 3), "--damage", "random:share=0.3", "--apply"]
    assert run(*words, "--out", tmp_path / "out") == 0
    rows = read_rows(tmp_path / "out/rows.jsonl", KEY)
    given = np.stack([np.asarray(Image.open(file)) for file in sorted((tmp_path / "in").glob("*.png"))])
    errors = np.square(restored(tmp_path / "out").astype(float) - given).mean(axis=(1, 2, 3))
    assert [row["psnr"] for row in rows] == pytest.approx(10 * np.log10(255**2 / errors), rel=1e-5)
    beside = frames(tmp_path / "out/side-by-side.mp4")
    assert beside.shape[2] == 3 * SIZE[1]
    damaged, whole = beside[:, :, : SIZE[1]].astype(int), beside[:, :, -SIZE[1] :].astype(int)
    off = np.abs(damaged - whole).sum(axis=3) > 90
    assert (off[0] != off[1]).mean() > 0.2, "each frame has its own mask"
    assert run(*words, "--guidance", 0, "--out", tmp_path / "free") == 0
    assert np.array_equal(restored(tmp_path / "free")[0], restored(tmp_path / "out")[0])
    assert not np.array_equal(restored(tmp_path / "free")[1], restored(tmp_path / "out")[1])
    assert run(*words, "--guidance-pulls", "prediction", "--out", tmp_path / "direct") == 0
    direct = restored(tmp_path / "direct")
    assert np.array_equal(direct[0], restored(tmp_path / "out")[0])
    assert not any(np.array_equal(direct[1], restored(tmp_path / name)[1]) for name in ("free", "out"))


@pytest.mark.parametrize(("passes", "broken"), [(1, 2), (2, 2), (2, 5)])
def test_a_run_that_was_stopped_ends_like_one_that_was_not(passes, broken, model, tmp_path, monkeypatch):
    monkeypatch.setattr(restored_chunks, "CHUNK", 2)
    words = ["--model", model, "--video", images(tmp_path / "in"), "--damage", mask(tmp_path / "mask.png")]
    words += ["--passes", passes]
    assert run(*words, "--out", tmp_path / "whole") == 0
    real, calls = restored_chunks.encode_lossless, []

    def full(path, frames):
        calls.append(path)
        if len(calls) == broken:
            raise OSError(28, "No space left on device")
        real(path, frames)

    with monkeypatch.context() as patch:
        patch.setattr(restored_chunks, "encode_lossless", full)
        assert run(*words, "--out", tmp_path / "run") == 2
    assert not (tmp_path / "run/restored.mp4").exists()
    assert run(*words, "--out", tmp_path / "run") == 0
    assert np.array_equal(restored(tmp_path / "run"), restored(tmp_path / "whole"))
    one, two = (
        [{**row, "versions": None} for row in read_rows(tmp_path / name / "rows.jsonl", KEY)]
        for name in ("run", "whole")
    )
    assert one == two
    before = (tmp_path / "run/rows.jsonl").read_bytes()
    assert run(*words, "--out", tmp_path / "run") == 0
    assert (tmp_path / "run/rows.jsonl").read_bytes() == before


def test_a_second_pass_follows_the_frames_of_the_first(model, tmp_path, monkeypatch, capsys):
    words = ["--model", model, "--video", images(tmp_path / "in"), "--damage", "random:share=0.3", "--apply"]
    seen: list[np.ndarray] = []
    real = damaged_frames.video_maps

    def watched(given, flow):
        given = list(given)
        seen.append(to_uint8(torch.stack(given)))
        return real(iter(given), flow)

    monkeypatch.setattr(damaged_frames, "video_maps", watched)
    for passes in (1, 2):
        assert run(*words, "--passes", passes, "--out", tmp_path / str(passes)) == 0
    once = restored(tmp_path / "1")
    assert np.array_equal(frames(tmp_path / "2/parts/pass-1/00000000.mkv"), once)
    assert not np.array_equal(restored(tmp_path / "2"), once)
    height, width = SIZE
    followed = [np.array_equal(each[:, :height, :width], once) for each in seen]
    assert followed == [False, False, False, True, True], "restored and reported: once, and then in two passes"
    (tmp_path / "3/parts").mkdir(parents=True)
    (tmp_path / "3/parts/pass-1").touch()
    assert "pass-1 is no folder: move it away" in refused(capsys, *words, "--passes", 2, "--out", tmp_path / "3")
    still = [*words, "--passes", 2, "--guidance", 0, "--carrier", "fixed", "--out", tmp_path / "4"]
    assert "--passes follow the scene, and the carrier fixed does not" in refused(capsys, *still)


def test_a_run_that_was_stopped_while_it_wrote_the_video_keeps_its_times(model, tmp_path):
    video, out = tmp_path / "in.mp4", tmp_path / "out"
    encode_video(video, [np.full((*SIZE, 3), 40 * i, np.uint8) for i in range(5)], rate=24)
    words = ["--model", model, "--video", video, "--damage", "box", "--apply", "--out", out]
    assert run(*words) == 0
    (out / "restored.mp4").unlink()  # all chunks are kept
    assert run(*words) == 0
    times: list[float | None] = []
    assert len(list(decode_video(out / "restored.mp4", BitDepth(), times=times))) == 5
    assert times == pytest.approx([i / 24 for i in range(5)], abs=1e-4)


@pytest.mark.parametrize(("codec", "suffix"), [("aac", "mp4"), ("libmp3lame", "mkv")])
def test_sound_is_kept_to_the_bit_and_frames_at_their_times_also_with_odd_sizes(model, codec, suffix, tmp_path):
    drawn = list(np.random.default_rng(0).integers(0, 256, (12, 17, 21, 3), dtype=np.uint8))
    video, out = tmp_path / f"in.{suffix}", tmp_path / "out"
    with_sound(video, drawn, codec, fps=24, pixels="yuv444p")
    assert run("--model", model, "--video", video, "--damage", "box", "--apply", "--out", out) == 0
    packets, times = sound_of(video)
    assert len(packets) > 5
    made, starts = sound_of(out / "restored.mp4")
    assert made == packets
    assert starts == pytest.approx(times, abs=2e-3)
    shown = frame_times(video)
    assert len(shown) == 12
    for name in ("restored.mp4", "side-by-side.mp4"):
        assert frame_times(out / name) == pytest.approx(shown, abs=2e-3)
    with av.open(str(video)) as before, av.open(str(out / "restored.mp4")) as after:
        assert after.duration == pytest.approx(before.duration, abs=100_000), "microseconds"
    assert restored(out).shape == (12, 17, 21, 3)
    assert frames(out / "restored.mp4").shape == (12, 18, 22, 3), "as browsers play it"


def test_a_chunk_that_was_deleted_is_made_again(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(restored_chunks, "CHUNK", 2)
    words = ["--model", model, "--video", images(tmp_path / "in"), "--damage", "box", "--apply", "--out", tmp_path]
    assert run(*words) == 0
    kept, damaged = restored(tmp_path), tmp_path / "parts/00000002.mkv"
    damaged.write_bytes(b"")
    assert "delete this file, and the same command makes it again" in refused(capsys, *words)
    damaged.unlink()
    assert run(*words) == 0
    assert np.array_equal(restored(tmp_path), kept)


@pytest.mark.parametrize("folder", ["parts", "parts/pass-1"])
def test_a_chunk_that_was_changed_and_can_still_be_read_is_named(folder, model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(restored_chunks, "CHUNK", 2)
    words = ["--model", model, "--video", images(tmp_path / "in"), "--damage", "box", "--apply", "--passes", 2]
    words += ["--out", tmp_path / "out"]
    assert run(*words) == 0
    kept, rows = restored(tmp_path / "out"), (tmp_path / "out/rows.jsonl").read_bytes()
    first, second = (tmp_path / "out" / folder / f"0000000{number}.mkv" for number in (0, 2))
    second.write_bytes(first.read_bytes())
    assert f"{second} is not the chunk that was written; delete this file" in refused(capsys, *words)
    second.unlink()
    assert run(*words) == 0
    assert np.array_equal(restored(tmp_path / "out"), kept)
    assert (tmp_path / "out/rows.jsonl").read_bytes() == rows


def test_a_run_that_begins_again_leaves_nothing_of_the_one_before(model, tmp_path, monkeypatch):
    monkeypatch.setattr(restored_chunks, "CHUNK", 2)
    words = ["--model", model, "--video", images(tmp_path / "in"), "--damage", "box", "--apply", "--out", tmp_path]
    assert run(*words) == 0
    kept, calls, real = restored(tmp_path), [], restored_chunks.encode_lossless

    def full(path, frames):
        calls.append(path)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(path, frames)

    (tmp_path / "parts/00000000.mkv").unlink()
    left = tmp_path / ".restored.7-0123456789abcdef.mp4", tmp_path / "parts/.00000000.7-0123456789abcdef.mkv"
    for file in (*left, tmp_path / ".mine"):
        file.touch()
    with monkeypatch.context() as patch:
        patch.setattr(restored_chunks, "encode_lossless", full)
        assert run(*words) == 2
    assert sorted(file.name for file in (tmp_path / "parts").iterdir()) == ["00000000.mkv", "00000000.pt"]
    assert not any(file.exists() for file in left), "half-written files of a run that was killed"
    assert (tmp_path / ".mine").exists()
    assert run(*words) == 0
    assert np.array_equal(restored(tmp_path), kept)


def test_what_the_next_chunk_begins_with_is_kept_of_the_last_chunk_alone(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(restored_chunks, "CHUNK", 2)
    words = ["--model", model, "--video", images(tmp_path / "in"), "--damage", "box", "--apply", "--out"]
    parts = tmp_path / "out/parts"
    assert run(*words, tmp_path / "out") == 0
    assert run(*words, tmp_path / "free", "--guidance", 0) == 0
    (state,) = parts.glob("*.pt")
    assert len(state.read_bytes()) > 1.5 * len((tmp_path / "free/parts" / state.name).read_bytes()), "no predictions"
    (parts / ".00000000.7-0123456789abcdef.pt").write_bytes(b"1")  # of a run that was killed
    kept, good = restored(tmp_path / "out"), torch.load(state, weights_only=True)
    sentence = f"{state.name} holds no state of a video; delete the folder parts"
    broken = (
        {"predictions": good["predictions"] * torch.nan},
        {"image": good["image"][:, 1:]},
        {"counts": []},
        {"hashes": good["hashes"][1:]},
    )
    for change in broken:
        torch.save({**good, **change}, state)
        assert sentence in refused(capsys, *words, tmp_path / "out")
    state.write_bytes(b"")
    assert sentence in refused(capsys, *words, tmp_path / "out")
    assert not list(parts.glob(".*"))
    state.unlink()  # killed between a chunk and its state: nothing to go on from
    assert run(*words, tmp_path / "out") == 0
    assert np.array_equal(restored(tmp_path / "out"), kept)


def test_a_row_whose_frame_was_edited_is_refused(model, tmp_path, capsys):
    words = ["--model", model, "--video", images(tmp_path / "in"), "--damage", "box", "--apply", "--out", tmp_path]
    assert run(*words) == 0
    file, table = tmp_path / "rows.jsonl", (tmp_path / "table.md").read_bytes()
    whole = file.read_text()
    for frame, sentence in (
        (3, "holds 2 rows of frame 3"),
        (5, "frame 5, and the video has the frames 0 to 4"),
    ):
        file.write_text(whole.replace('"frame": 2', f'"frame": {frame}'))
        assert f"{sentence}; delete this file, and the same command makes it again" in refused(capsys, *words)
    file.unlink()
    assert run(*words) == 0
    assert file.read_text() == whole
    assert (tmp_path / "table.md").read_bytes() == table


def test_the_source_is_never_written_over(model, tmp_path, capsys):
    out = images(tmp_path / "out", 2)
    encode_video(out / "restored.mp4", [np.full((*SIZE, 3), 40 * i, np.uint8) for i in range(3)])
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    for video in (out / "restored.mp4", out):
        words = ["--model", model, "--video", video, "--damage", "box", "--apply", "--out", out]
        assert f"without the source's files, got {out}" in refused(capsys, *words)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


def test_a_model_with_other_evaluations_is_another_configuration(model, tmp_path, capsys):
    words = ["--video", images(tmp_path / "in", 2), "--damage", "box", "--apply", "--out", tmp_path / "out"]
    assert run("--model", model, *words) == 0
    same, other = (RestorationModel.from_pretrained(model) for _ in range(2))
    other.config = replace(other.config, evaluations=3)
    for name, each in (("same", same), ("other", other)):
        each.save_pretrained(tmp_path / name)
    assert run("--model", tmp_path / "same", *words) == 0
    assert "network.evaluations is 2 there and 3 here" in refused(capsys, "--model", tmp_path / "other", *words)
    file = tmp_path / "out/config.json"
    older = json.loads(file.read_text())
    del older["network"]  # as it was written before
    file.write_text(json.dumps(older))
    assert run("--model", tmp_path / "same", *words) == 0


def test_a_full_disk_is_one_sentence_also_for_the_state_of_a_chunk(model, tmp_path, monkeypatch, capsys):
    def full(self, data):
        raise OSError(28, "No space left on device")

    words = ["--model", model, "--video", images(tmp_path / "in"), "--damage", "box", "--apply", "--out", tmp_path]
    with monkeypatch.context() as patch:
        real = Path.write_bytes
        patch.setattr(Path, "write_bytes", lambda path, data: (full if path.suffix == ".pt" else real)(path, data))
        assert "00000000.pt: No space left on device" in refused(capsys, *words)
    assert [file.name for file in (tmp_path / "parts").iterdir()] == ["00000000.mkv"]
    assert run(*words) == 0


def test_a_model_that_gives_nan_is_refused(model, tmp_path, capsys):
    broken = RestorationModel.from_pretrained(model)
    torch.nn.init.constant_(broken.network.leave.weight, float("nan"))
    broken.save_pretrained(tmp_path / "model")
    words = ["--video", images(tmp_path / "in"), "--damage", "box", "--apply", "--out", tmp_path / "out"]
    assert "model gives values that are NaN" in refused(capsys, "--model", tmp_path / "model", *words)
    assert not (tmp_path / "out").exists()


def test_a_damage_that_the_model_was_not_trained_for_is_a_warning(model, tmp_path):
    words = [
        "--model",
        model,
        "--video",
        images(tmp_path / "in", 2),
        "--damage",
        "downscale",
        "--out",
        tmp_path / "out",
    ]
    with pytest.warns(UserWarning, match="trained for random, and never for downscale:factor=4: images") as seen:
        assert run(*words) == 0
    assert len(seen) == 1


def refused(capsys, *words) -> str:
    assert run(*words) == 2
    message = capsys.readouterr().err
    assert message.count("corrwise: ") == 1
    return message


def test_what_cannot_be_restored_is_one_sentence(model, tmp_path, capsys):
    source, out = images(tmp_path / "in"), tmp_path / "out"
    words = ["--model", model, "--video", source, "--out", out]
    small = mask(tmp_path / "small.png", (16, 16))
    assert "a mask of the video's size, 18 x 22, got one of 16 x 16" in refused(capsys, *words, "--damage", small)
    Image.new("L", SIZE[::-1], 1).save(tmp_path / "ones.png")
    assert "got no white pixel in" in refused(capsys, *words, "--damage", tmp_path / "ones.png")
    Image.new("RGBA", SIZE[::-1], (255, 255, 255, 0)).save(tmp_path / "clear.png")
    assert "got white pixels alone in" in refused(capsys, *words, "--damage", tmp_path / "clear.png")
    assert "there is no mask at" in refused(capsys, *words, "--damage", tmp_path / "no.png")
    assert "expected a damage or the file of a mask, got a folder" in refused(capsys, *words, "--damage", tmp_path)
    assert "without --apply, got random" in refused(capsys, *words, "--damage", "random")
    assert "unknown damage 'blur'" in refused(capsys, *words, "--damage", "blur")
    message = refused(capsys, *words, "--damage", small, "--carrier", "discrete")
    assert "trained with Gaussian-process noise of length scale 0.637 px" in message
    encode_video(tmp_path / "one.mp4", [np.zeros((*SIZE, 3), np.uint8)])
    one = ["--model", model, "--video", tmp_path / "one.mp4", "--out", tmp_path / "single"]
    assert f"a video of at least 2 frames in {one[3]}, got 1" in refused(capsys, *one)
    assert not (tmp_path / "single").exists()
    Image.new("RGB", (16, 16)).save(source / "9999.png")
    assert "frames of one size, got (18, 22) and, in frame 5, (16, 16)" in refused(capsys, *words)
    (source / "9999.png").unlink()
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text(json.dumps({"model": "denoiser", "config": {}}))
    assert "expected a model 'restoration'" in refused(capsys, "--model", other, "--video", source, "--out", out)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    assert refused(capsys, "--model", model, "--video", tmp_path / "broken.mp4", "--out", out)
    grey = RestorationModel(RestorationConfig(width=2, blocks=1, evaluations=1, channels=1))
    grey.save_pretrained(tmp_path / "grey")
    message = refused(capsys, "--model", tmp_path / "grey", "--video", source, "--out", out)
    assert "expected images of 1 channels, got 3" in message
    assert not out.exists(), "nothing is written for what is refused"
    out.mkdir()
    assert refused(capsys, *words, "--damage", small)
    assert not any(out.iterdir())
    assert run(*words, "--damage", mask(tmp_path / "mask.png")) == 0
