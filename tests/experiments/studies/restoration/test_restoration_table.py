"""``corrwise table restoration``: its videos, its rows, what they are compared with, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from corrwise.experiments.cli import main
from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.cli.table_restoration import GROUND_TRUTH, RestorationTableConfig
from corrwise.experiments.runs.collect import run_collect
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.studies.restoration import table
from corrwise.experiments.studies.restoration.measure import GUESS, KEY, NO_FLOW, TRUE
from corrwise.experiments.studies.restoration.table import restoration_tables, run_restoration_table
from corrwise.experiments.studies.restoration.videos import HeldVideos, another_pair
from corrwise.predictors.restoration import Masking, RestorationConfig, RestorationModel, warping_errors
from corrwise.validation import ConfigError

CARRIERS = ("fixed", "resample", "discrete", "gp", "gp+guidance", "gp+direct")


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("clips") / "cartpole"
    run_collect(CollectConfig(task="cartpole", out=out, episodes=2, steps=6, size=32, processes=1))
    return out


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """Two models of each noise, whose output depends on noise and on what they see."""
    folder = tmp_path_factory.mktemp("models")
    with torch.random.fork_rng():
        for noise in ("gp", "white"):
            for seed in (0, 1):
                torch.manual_seed(seed)
                made = RestorationModel(RestorationConfig(noise=noise, width=4, blocks=1, evaluations=2))
                torch.nn.init.normal_(made.network.leave.weight, std=0.05)
                made.save_pretrained(folder / f"{noise}-{seed}" / "model")
    return folder


def tiny(clips: Path, models: Path, **options) -> RestorationTableConfig:
    runs = {"models": (models / "gp-0",), "white_models": (models / "white-0",)}
    plain = {"data": clips, "carriers": CARRIERS, "flows": (GROUND_TRUTH,), "frames": 4, "videos": 2, "crop": 16}
    return RestorationTableConfig(**{**runs, **plain, **options})


def rows_of(config: RestorationTableConfig) -> dict:
    run_restoration_table(config)
    return {KEY.of(row): row for row in read_rows(config.out / "rows.jsonl", KEY)}


def test_a_shift_video_has_exact_maps_and_its_true_frames_agree(clips, models):
    held = HeldVideos(tiny(clips, models))
    for number in (0, 1):
        video = held.video(number)
        maps = held.measured_maps(video)
        assert len(set(video.steps)) > 1, "one motion could not be shuffled"
        assert np.array(list(warping_errors(video.frames, maps))[1:]) == pytest.approx(0, abs=1e-9)
        assert float(video.frames.std()) > 0
    assert not torch.equal(held.video(0).frames[0], held.video(1).frames[0])


def test_flow_is_wrong_by_so_many_pixels_or_that_of_another_pair(clips, models):
    true, wrong, other = (
        HeldVideos(tiny(clips, models, **options)) for options in ({}, {"flow_error": 1.5}, {"flow_order": "shuffled"})
    )
    video = true.video(0)
    for flow in (GROUND_TRUTH, "dis"):
        one, two, three = (held.maps(video, flow) for held in (true, wrong, other))
        for a, b in zip(one[1:], two[1:], strict=True):
            assert (a.previous - b.previous).norm(dim=-1).numpy() == pytest.approx(1.5, abs=1e-4)
        moves = [[float((each.previous - one[0].previous).mean()) for each in maps[1:]] for maps in (one, three)]
        assert sorted(moves[0]) == pytest.approx(sorted(moves[1]), abs=1e-4)
        assert moves[0] != pytest.approx(moves[1], abs=1e-4)
    for count in (2, 3, 9):
        pairs = another_pair(count, np.random.default_rng(0))
        assert sorted(pairs) == list(range(count))
        assert all(pair != number for number, pair in enumerate(pairs))


@pytest.mark.parametrize("masks", ["frame", "video", "scene"])
def test_masks_change_with_the_frame_stay_or_move_with_the_scene(masks, clips, models):
    held = HeldVideos(tiny(clips, models, masks=masks))
    video = held.video(0)
    drawn = [operator.mask for operator, _ in video.observed if isinstance(operator, Masking)]
    shown = [float(mask.mean()) for mask in drawn]
    assert all(0.4 < share < 0.8 for share in shown)
    assert (torch.equal(drawn[0], drawn[1])) == (masks == "video")
    moved = [(previous, first) for previous, first in warping_errors([m[0] for m in drawn], held.measured_maps(video))]
    assert (np.max(moved[1:]) < 1e-9) == (masks == "scene")


def test_a_table_is_made_once_and_goes_on(clips, models, tmp_path):
    config = tiny(clips, models, out=tmp_path / "run", flows=(GROUND_TRUTH, "dis"))
    rows = rows_of(config)
    page = (config.out / "table.md").read_text()
    arms = {(carrier, flow, model) for carrier, flow, model, _ in rows}
    assert arms == {
        *((carrier, NO_FLOW, "") for carrier in (TRUE, GUESS)),
        *((carrier, NO_FLOW, model) for carrier in ("fixed", "resample") for model in ("gp-0", "white-0")),
        *(("discrete", flow, "white-0") for flow in config.flows),
        *((carrier, flow, "gp-0") for carrier in ("gp", "gp+guidance", "gp+direct") for flow in config.flows),
    }
    for (carrier, _, model, video), row in rows.items():
        assert (row["warping_previous"] < 1e-9) == (carrier == TRUE)
        assert row["psnr"] == 100 if carrier == TRUE else row["psnr"] < 60
        assert (row["clip"], row["visible"]) == (
            rows[TRUE, NO_FLOW, "", video]["clip"],
            rows[TRUE, NO_FLOW, "", video]["visible"],
        )
        assert ("seconds_frame" in row) == bool(model)
        assert row["warping_moving"] == row["warping_previous"], "every pixel of a shift moves"
    assert {row.get("carried") for (_, flow, *_), row in rows.items() if flow != "dis"} == {None, 1.0}
    assert all(0 < row["carried"] <= 1 for (_, flow, *_), row in rows.items() if flow == "dis")
    assert "from the first frame on, or from outside of it: 100 % by ground-truth, " in page
    guided, direct, plain = (rows[carrier, GROUND_TRUTH, "gp-0", 0] for carrier in ("gp+guidance", "gp+direct", "gp"))
    assert len({row["warping_previous"] for row in (guided, direct, plain)}) == 3
    assert "### Followed by ground-truth" in page
    assert "### Followed by dis" in page
    assert page.count("| `gp+guidance` | gp | 1 | 2 |") == 2
    assert (config.out / "frames.png").stat().st_size > 10_000
    assert len(list((config.out / "strips").glob("*.png"))) == len(arms)
    before = (config.out / "rows.jsonl").read_bytes()
    more = rows_of(replace(config, models=(models / "gp-0", models / "gp-1"), carriers=("gp",), flows=("dis",)))
    assert (config.out / "rows.jsonl").read_bytes().startswith(before)
    assert set(more) - set(rows) == {("gp", "dis", "gp-1", video) for video in (0, 1)}


def test_copied_pixels_agree_with_the_frame_before_and_new_ones_are_restored(clips, models, tmp_path):
    carriers = ("resample", "resample+copied")
    config = tiny(clips, models, carriers=carriers, white_models=(), masks="scene", out=tmp_path / "run")
    rows = rows_of(config)
    for video in (0, 1):
        plain, copied = rows["resample", NO_FLOW, "gp-0", video], rows["resample+copied", GROUND_TRUTH, "gp-0", video]
        assert copied["warping_first"] < 1e-9 < plain["warping_first"]
        assert abs(copied["psnr"] - plain["psnr"]) < 3
    wrong = rows_of(replace(config, carriers=carriers[1:], flow_error=1.5, out=tmp_path / "wrong"))
    assert all(wrong["resample+copied", GROUND_TRUTH, "gp-0", video]["warping_previous"] > 1e-4 for video in (0, 1))
    for name in ("resample+guided", "copied", "+copied", "resample+copied+guidance"):
        with pytest.raises(ConfigError, match=r"\+copied, as gp\+guidance"):
            tiny(clips, models, carriers=(name,))


def test_a_run_that_was_killed_ends_with_the_same_rows(clips, models, tmp_path, monkeypatch):
    config = tiny(clips, models, carriers=("gp+guidance",), white_models=(), out=tmp_path / "whole")
    whole = rows_of(config)
    config = replace(config, out=tmp_path / "run")
    rows_of(config)
    file = config.out / "rows.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-2]) + lines[-2][:40])
    again = rows_of(config)
    timeless = [
        {key: {n: v for n, v in row.items() if not n.startswith("seconds")} for key, row in rows.items()}
        for rows in (whole, again)
    ]
    assert timeless[0] == timeless[1]


def test_clips_with_simulated_flow_are_followed_by_it(clips, models, tmp_path):
    config = tiny(
        clips, models, motion="video", carriers=("gp",), white_models=(), flow_of="truth", out=tmp_path / "run"
    )
    rows = rows_of(config)
    assert rows[TRUE, NO_FLOW, "", 0]["warping_previous"] < 1e-3
    assert {key[1] for key in rows} == {NO_FLOW, GROUND_TRUTH}
    moving = [row for row in rows.values() if row["warping_moving"] is not None]
    assert moving
    assert all(row["warping_moving"] != row["warping_previous"] for row in moving), "the background does not move"


def test_a_second_pass_changes_what_follows_an_estimated_flow_alone(clips, models, tmp_path):
    options = {"carriers": ("resample", "gp"), "white_models": (), "flows": (GROUND_TRUTH, "dis"), "motion": "video"}
    once, twice = (rows_of(tiny(clips, models, passes=n, out=tmp_path / str(n), **options)) for n in (1, 2))
    for key, row in once.items():
        assert (row["psnr"] != twice[key]["psnr"]) == (key[1] == "dis"), key
    titles = [line for line in (tmp_path / "2/table.md").read_text().splitlines() if line.startswith("### Followed")]
    assert titles == ["### Followed by ground-truth", "### Followed by dis in 2 passes"]


def test_what_is_compared_is_paired_by_video_after_the_mean_over_models():
    row = {
        "flow": NO_FLOW,
        "noise": "gp",
        "warping_first": None,
        "warping_moving": None,
        "ssim": 0.5,
        "st_lpips": None,
        "visible": 1,
        "traced": 1,
    }
    made = [
        {**row, "carrier": carrier, "model": model, "video": video, "warping_previous": error, "psnr": 20 + video}
        for carrier, model, errors in (
            ("fixed", "a", (0.2, 0.4)), ("fixed", "b", (0.4, 0.6)), ("gp", "a", (0.1, 0.1)), ("gp", "b", (0.2, 0.4)),
        )
        for video, error in enumerate(errors)
    ]  # fmt: skip
    page = restoration_tables(made)
    assert "| `fixed` | gp | 2 | 2 | 400.000 ± 100.000 |  |" in page
    assert "| `gp` | gp | 2 | 2 | 200.000 ± 50.000 | 0.500 (0.500 to 0.500) |" in page
    assert "ST-LPIPS was not measured" in page


def refused(capsys, config: RestorationTableConfig) -> str:
    words = []
    for name in ("models", "white_models", "carriers", "flows"):
        values = getattr(config, name)
        words += [f"--{name.replace('_', '-')}", *map(str, values)] if values else []
    for name in ("data", "motion", "damage", "masks", "frames", "crop", "out"):
        words += [f"--{name}", str(getattr(config, name))]
    assert main(["table", "restoration", *words]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert not config.out.exists()
    return message


def test_what_does_not_fit_is_one_sentence_before_anything_is_written(clips, models, tmp_path, capsys):
    config = tiny(clips, models, out=tmp_path / "run")
    swapped = replace(config, models=(models / "white-0",), white_models=(models / "gp-0",))
    assert "expected --models of noise=gp, got one of noise=white" in refused(capsys, swapped)
    assert "trained for downscale, got one for random" in refused(capsys, replace(config, damage="downscale:factor=4"))
    video = replace(config, motion="video", frames=1000)
    assert "clips of at least 1000 frames" in refused(capsys, video)
    assert "a --crop and a --speed that frames have room for" in refused(capsys, replace(config, crop=32))
    assert "multiples of 8, got 12 x 12" in refused(capsys, replace(config, crop=12))
    assert "unknown damage 'blur'" in refused(capsys, replace(config, damage="blur"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "models must be at least one, or --white-models with one, got none"),
        ("--white-models a --carriers gp", "models must be at least one for gp, got none"),
        ("--models a --carriers discrete", "white_models must be at least one for discrete, got none"),
        ("--models a --carriers warp", "unknown carrier 'warp'; there are fixed, resample"),
        ("--models a --carriers gp gp", "carriers must be different from each other"),
        ("--models a b/a --carriers gp", "models must be folders of different names"),
        ("--models a --carriers gp --frames 1", "frames must be"),
        ("--models a --carriers gp --motion video --masks scene", "masks must be frame or video with --motion video"),
        ("--models a --carriers gp --flows none-such", "unknown flow 'none-such'; there are ground-truth"),
        ("--models a --carriers gp --passes 2 --flows ground-truth", "give --flows other than ground-truth"),
        ("--models a --carriers gp --passes 2 --flow-of truth", "give no --flow-of"),
        ("--models a --carriers gp --frames 2 --flow-order shuffled", "frames must be at least 3 with shuffled flow"),
    ],
)
def test_options_that_do_not_fit_each_other_are_refused(words, sentence, tmp_path, capsys):
    assert main(["table", "restoration", *words.split(), "--out", str(tmp_path / "run")]) == 2
    message = capsys.readouterr().err
    assert sentence in message
    assert message.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_clips_of_no_simulator_have_no_ground_truth(clips, models, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(table.HeldVideos, "no_truth", "the clips are of no simulator")
    config = tiny(clips, models, motion="video", out=tmp_path / "run")
    assert "has no ground-truth flow: the clips are of no simulator; choose other --flows" in refused(capsys, config)


def test_a_damage_with_other_options_than_in_training_is_a_warning(clips, models, tmp_path, capsys):
    config = tiny(clips, models, carriers=("fixed",), white_models=(), damage="random:share=0.6", videos=1)
    run_restoration_table(replace(config, out=tmp_path / "run"))
    assert "gp-0 is trained for random, and restores random:share=0.6" in capsys.readouterr().err


def test_videos_that_share_frames_are_a_warning(clips, models, tmp_path, capsys):
    config = tiny(clips, models, carriers=("fixed",), white_models=(), motion="video", frames=4, videos=3)
    run_restoration_table(replace(config, out=tmp_path / "run"))
    assert "1 of the 3 videos show frames of another one" in capsys.readouterr().err
    assert not HeldVideos(replace(config, videos=2)).repeated()
