"""Goals of ``corrwise mpc`` that are damaged and restored: what is planned towards, rows, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from corrwise.experiments import cli
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs.damaged_goals import damaged_goals_of
from corrwise.experiments.runs.mpc import mpc_settings
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.runs.settings import fingerprint
from corrwise.predictors.metrics import psnr
from corrwise.predictors.restoration import RestorationConfig, RestorationModel
from corrwise.validation import ConfigError

SIZE = 20  # no multiple of 8
SMALL = {"costs": ("l1",), "size": SIZE, "videos": False}
WORDS = ["mpc", "--costs", "l1", "--steps", "2", "--episodes", "2", "--size", str(SIZE), "--candidates", "3",
         "--iterations", "1", "--horizon", "2", "--goal-frames", "3", "--interpolator", "true"]  # fmt: skip


def _made(folder: Path, **options) -> Path:
    """Write a model whose output depends on noise and on what it sees."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = RestorationModel(RestorationConfig(width=4, blocks=1, evaluations=2, **options))
        torch.nn.init.normal_(model.network.leave.weight, std=0.05)
    model.save_pretrained(folder / "model")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return _made(tmp_path_factory.mktemp("restorer"))


@pytest.fixture
def video() -> torch.Tensor:
    return torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator("cpu").manual_seed(0)).clamp(min=0.01)


def _planned(video, seed=5, **options):
    return damaged_goals_of(MPCConfig(**SMALL, **options))(video, seed)


def test_missing_pixels_are_black_and_drawn_by_the_seed_for_each_frame(video):
    shown = _planned(video, damage="random:share=0.4")
    missing = (shown == 0).all(dim=1)
    assert 0.3 < missing.float().mean() < 0.5
    assert torch.equal(shown, torch.where(missing[:, None], 0, video))
    assert not torch.equal(missing[0], missing[1])
    assert torch.equal(shown, _planned(video, damage="random:share=0.4"))
    assert not torch.equal(shown, _planned(video, 6, damage="random:share=0.4"))


def test_all_restorations_see_the_same_damage(folder, video):
    known = _planned(video, damage="random:share=0.4") > 0
    ways = [{"restore": "inpaint"}, {"restore": str(folder)}, {"restore": str(folder), "restore_guidance": 0.0},
            {"restore": str(folder), "restore_guidance": 0.0, "restore_carrier": "resample"}]  # fmt: skip
    made = [_planned(video, damage="random:share=0.4", **way) for way in ways]
    for each in made[1:]:
        assert torch.equal(each[known], video[known])
    assert (made[0][known] - video[known]).abs().max() <= 0.5 / 255 + 1e-6, "inpainting rounds to whole levels"
    firsts, seconds = ({each[i].numpy().tobytes() for each in made} for i in (0, 1))
    assert len(firsts) == 2, "nothing guides the first frame, and all carriers start alike"
    assert len(seconds) == 4


def test_a_small_goal_is_enlarged_and_a_size_that_is_no_multiple_is_padded(folder, video):
    for more in ({}, {"restore": str(folder)}):
        shown = _planned(video, damage="downscale:factor=3", **more)
        assert shown.shape == video.shape
        assert psnr(shown, video).mean() < 30
    whole = torch.full((1, 3, SIZE, SIZE), 0.25)
    torch.testing.assert_close(_planned(whole, damage="downscale:factor=3"), whole)


def test_a_mask_is_that_of_every_frame(video, tmp_path):
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[:, :4] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    shown = _planned(video, damage=str(tmp_path / "mask.png"))
    assert not shown[..., :4].any()
    assert torch.equal(shown[..., 4:], video[..., 4:])
    Image.fromarray(mask[:8]).save(tmp_path / "other.png")
    with pytest.raises(ValueError, match="a mask of the goal's size, 20 x 20, got one of 8 x 20"):
        _planned(video, damage=str(tmp_path / "other.png"))


def _rows(out: Path) -> list[dict]:
    return sorted(read_rows(out / "rows.jsonl"), key=lambda row: row["seed"])


def test_rows_and_panels_are_of_the_goal_that_is_planned_towards_whatever_the_lockstep(folder, tmp_path):
    words = [*WORDS, "--damage", "box:share=0.3"]
    more = {
        "black": ["--no-videos"],
        "whole": ["--restore", str(folder)],
        "one": ["--restore", str(folder), "--lockstep", "1"],
    }
    for name, each in more.items():
        assert cli.main([*words, *each, "--out", str(tmp_path / name)]) == 0
    black, whole, one = (_rows(tmp_path / name) for name in more)
    assert [row["goal_psnr"] for row in whole] == [row["goal_psnr"] for row in one]
    assert [row["distances"] for row in whole] == [row["distances"] for row in one]
    assert all(row["seconds_restore"] > 0 for row in whole)
    assert all(two["goal_psnr"] > row["goal_psnr"] for row, two in zip(black, whole, strict=True))
    strips = [np.asarray(Image.open(tmp_path / name / black[0]["strip"])) for name in ("black", "whole")]
    assert not np.array_equal(*strips)
    head = (tmp_path / "whole/report.html").read_text("utf-8").split("<pre", 1)[0]
    assert "box:share=0.3" in head, "the page opens with what happened to the goal"
    assert str(folder) in head
    before = (tmp_path / "whole/rows.jsonl").read_bytes()
    assert cli.main([*words, *more["whole"], "--out", str(tmp_path / "whole")]) == 0
    assert (tmp_path / "whole/rows.jsonl").read_bytes() == before


def test_settings_have_the_damage_and_the_model_and_not_its_folder(folder, tmp_path):
    assert not {"restore_network"} & set(mpc_settings(MPCConfig(**SMALL)))
    first = mpc_settings(MPCConfig(**SMALL, damage="random", restore=str(folder)))
    assert first["damage"] == "random", "an option at its default is left out"
    moved = mpc_settings(MPCConfig(**SMALL, damage="random:share=0.4", restore=str(_made(tmp_path / "same"))))
    assert fingerprint(first) == fingerprint(moved)
    other = mpc_settings(MPCConfig(**SMALL, damage="random", restore=str(_made(tmp_path / "other", damages=["box"]))))
    filled = mpc_settings(MPCConfig(**SMALL, damage="random", restore="inpaint"))
    assert len({fingerprint(each) for each in (first, other, filled)}) == 3, "a model's configuration counts, too"
    assert fingerprint(filled) not in (
        fingerprint(first),
        fingerprint(mpc_settings(MPCConfig(**SMALL, damage="random"))),
    )


def test_a_damage_that_the_model_was_not_trained_for_is_one_warning(folder, tmp_path):
    words = [*WORDS, "--damage", "downscale", "--restore", str(folder), "--no-videos", "--out", str(tmp_path)]
    with pytest.warns(UserWarning, match="trained for random, and never for downscale:factor=4: images") as seen:
        assert cli.main(words) == 0
    assert len([each for each in seen if "trained" in str(each.message)]) == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"restore": "inpaint"}, "restore must be left out without --damage, got inpaint"),
        ({"damage": "random", "restore": "flavour"}, "inpaint, or the folder of a run of corrwise train"),
        ({"damage": "random", "restore_guidance": 2.0}, "restore-guidance must be left out without the folder"),
        ({"damage": "random", "restore": "inpaint", "restore_carrier": "fixed"}, "restore-carrier must be left out"),
        ({"damage": "random", "depth": True}, "damage must be left out with 1 views with depth"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_are_one_sentence(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        MPCConfig(**SMALL, **options)


def test_what_cannot_be_restored_is_one_sentence_before_the_first_episode(folder, tmp_path, capsys):
    broken = RestorationModel.from_pretrained(folder / "model")
    torch.nn.init.constant_(broken.network.leave.weight, float("nan"))
    broken.save_pretrained(tmp_path / "nan/model")
    for words, sentence in (
        (["--damage", "blur"], "unknown damage 'blur'"),
        (["--damage", "no.png"], "there is no mask at"),
        (["--damage", "downscale", "--restore", "inpaint"], "a damage with missing pixels for --restore inpaint"),
        (["--damage", "random", "--restore", str(tmp_path / "no")], "there is no model in"),
        (["--damage", "random", "--restore", str(folder), "--restore-carrier", "discrete"], "carrier has white noise"),
        (["--damage", "random", "--restore", str(tmp_path / "nan")], "gives values that are NaN"),
    ):
        assert cli.main([*WORDS, *words, "--no-videos", "--out", str(tmp_path / "out")]) == 2
        message = capsys.readouterr().err
        assert message.count("corrwise: ") == 1
        assert sentence in message
