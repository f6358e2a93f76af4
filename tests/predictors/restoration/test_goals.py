"""Goals restored before planning."""

import warnings

import pytest
import torch

from corrwise.costs.flow import ZeroFlow
from corrwise.predictors.restoration import (
    Downscaling,
    Guidance,
    Masking,
    RestorationConfig,
    RestorationModel,
    make_carrier,
    restored_goal,
)
from corrwise.predictors.restoration.damage import as_images
from corrwise.types import Goal


def made(noise: str = "gp", damages: tuple[str, ...] = ("random", "downscale:factor=2")) -> RestorationModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = RestorationModel(RestorationConfig(damages, noise, width=4, blocks=1, evaluations=2))
        torch.nn.init.normal_(model.network.leave.weight, std=0.05)
    return model.requires_grad_(False)


@pytest.mark.parametrize("noise", ["gp", "white"])
@pytest.mark.parametrize("frames", [1, 3])
def test_goal_images_and_videos_keep_what_is_known(noise, frames):
    goal = Goal(torch.rand(2, frames, 3, 16, 16, generator=torch.Generator("cpu").manual_seed(0)))
    mask = torch.ones(1, 1, 16, 16)
    mask[..., 4:8, 4:12] = 0
    whole = restored_goal(made(noise), goal, Masking(mask), guidance=Guidance())
    known = mask.expand_as(goal.frames[0]) > 0
    for one, two in zip(whole.frames, goal.frames, strict=True):
        assert torch.equal(one[known], two[known])
        assert not torch.equal(one[~known], two[~known])


def test_small_goals_are_enlarged_and_each_is_restored_by_itself():
    goal = Goal(torch.rand(2, 1, 3, 8, 8, generator=torch.Generator("cpu").manual_seed(0)))
    both = restored_goal(made(), goal, Downscaling(2)).frames
    assert both.shape == (2, 1, 3, 16, 16)
    alone = restored_goal(made(), Goal(goal.frames[1:]), Downscaling(2)).frames
    torch.testing.assert_close(both[1:], alone)


def test_a_second_pass_is_followed_by_the_flow_of_restored_frames():
    goal = Goal(torch.rand(1, 3, 3, 8, 8, generator=torch.Generator("cpu").manual_seed(0)))
    seen: list[torch.Tensor] = []

    class Watched(ZeroFlow):
        def __call__(self, later, earlier):
            seen.append(earlier[0])
            return super().__call__(later, earlier)

    once = restored_goal(made(), goal, Downscaling(2), flow=Watched()).frames[0]
    before = len(seen)
    restored_goal(made(), goal, Downscaling(2), flow=Watched(), passes=2)
    first, second = seen[before : 2 * before], seen[2 * before :]
    assert len(first) == len(second) > 0
    for one, again, guess in zip(second, first, seen[:before], strict=True):
        assert torch.equal(again, guess)
        assert any(torch.equal(one, frame) for frame in once)
        assert not torch.equal(one, guess)
    with pytest.raises(ValueError, match="expected at least 1 pass, got 0"):
        restored_goal(made(), goal, Downscaling(2), passes=0)
    still = make_carrier("fixed", config=made().config.kernel)
    with pytest.raises(ValueError, match="passes follow the scene, and FixedNoise does not"):
        restored_goal(made(), goal, Downscaling(2), carrier=still, guidance=None, passes=2)


def test_masks_have_two_values():
    for mask in (torch.full((1, 1, 8, 8), 255.0), torch.full((1, 1, 8, 8), 0.5), torch.full((1, 1, 8, 8), torch.nan)):
        with pytest.raises(ValueError, match="expected masks of 0 and 1, got other values"):
            Masking(mask)


def test_goals_that_are_no_images_are_refused_and_others_are_guided_by_default():
    goal = Goal(torch.rand(1, 3, 3, 8, 8, generator=torch.Generator("cpu").manual_seed(0)))
    with pytest.raises(ValueError, match=r"goals of 3 channels, got frames of shape \(1, 3, 1, 8, 8\)"):
        restored_goal(made(), Goal(goal.frames[:, :, :1]), Downscaling(2))
    with pytest.raises(ValueError, match="expected goals whose known pixels are finite, and a model without NaN"):
        restored_goal(made(), Goal(goal.frames * torch.nan), Downscaling(2), flow=ZeroFlow())
    mask = torch.ones(1, 1, 8, 8)
    mask[..., 2:5, 3:6] = 0
    unseen = goal.frames.where(mask > 0, torch.nan)
    restored = [
        restored_goal(made(), Goal(frames), Masking(mask), flow=ZeroFlow()).frames
        for frames in (goal.frames * mask, unseen)
    ]
    assert torch.equal(*restored), "what is missing may be anything"
    default, guided, free = (
        restored_goal(made(), goal, Downscaling(2), flow=ZeroFlow(), **options).frames
        for options in ({}, {"guidance": Guidance()}, {"guidance": None})
    )
    assert torch.equal(default, guided)
    assert not torch.equal(default, free)


def test_noise_of_another_law_is_refused():
    goal = Goal(torch.rand(1, 1, 3, 8, 8))
    with pytest.raises(ValueError, match="the model was trained with white noise"):
        restored_goal(made("white"), goal, Downscaling(2), carrier=make_carrier("gp"))


@pytest.mark.parametrize(
    ("damages", "operator", "sentence"),
    [
        (("box",), Masking(torch.eye(16)[None, None]), ""),
        (("downscale:factor=2", "box"), Downscaling(2), ""),
        (("random:share=0.3", "box"), Downscaling(2), "trained for random:share=0.3, box, and never for downscale:fac"),
        (
            ("downscale:factor=2",),
            Downscaling(4),
            "for downscale:factor=2, and never for downscale:factor=4",
        ),
        (("downscale",), Masking(torch.eye(16)[None, None]), "for downscale, and never for missing pixels"),
    ],
)
def test_a_damage_that_the_model_was_not_trained_for_is_a_warning(damages, operator, sentence):
    goal = Goal(torch.rand(2, 1, 3, 16, 16))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        restored_goal(made(damages=damages), goal, [operator])
    assert len(seen) == bool(sentence)
    assert all(sentence in str(each.message) for each in seen)


def test_no_goal_is_refused():
    with pytest.raises(ValueError, match=r"expected at least one goal, got frames of shape \(0, 1, 3, 16, 16\)"):
        restored_goal(made(), Goal(torch.rand(0, 1, 3, 16, 16)), Downscaling(2))


@pytest.mark.parametrize("operator", [Downscaling(2), Masking(torch.eye(16)[None, None])])
def test_images_of_any_precision_are_taken_and_bytes_are_refused(operator):
    frames = torch.rand(1, 2, 3, 16, 16, generator=torch.Generator("cpu").manual_seed(0))
    wanted = restored_goal(made(), Goal(frames), operator).frames
    got = restored_goal(made(), Goal(frames.double()), operator).frames
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, wanted)
    with pytest.raises(TypeError, match=r"expected images in \[0, 1\], got torch.uint8; divide bytes by 255"):
        as_images(torch.zeros(3, 16, 16, dtype=torch.uint8))
