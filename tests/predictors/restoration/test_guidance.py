"""Guidance by the frame before, and videos restored frame by frame."""

import weakref
from dataclasses import replace
from functools import partial

import pytest
import torch

from corrwise.predictors.restoration import (
    Affine,
    Guidance,
    RestorationConfig,
    RestorationModel,
    affine_maps,
    first_map,
    flow_maps,
    make_carrier,
    make_damage,
    restored_frames,
    warping_errors,
)
from corrwise.predictors.restoration.guidance import Sampled, equivariance_error, sample_frame

SIDE = 16
SHIFT = Affine.shift(2, 1)
CONFIG = RestorationConfig(damages=("random:share=0.5",), width=8, blocks=1, evaluations=6)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator("cpu").manual_seed(seed)


def restless(**options) -> RestorationModel:
    """A model with random weights: what it makes depends on noise and mask, and on the place of a pixel in a patch."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = RestorationModel(replace(CONFIG, **options))
        torch.nn.init.normal_(model.network.leave.weight, std=0.1)
    return model.requires_grad_(False)


def shifted_video(count: int) -> torch.Tensor:
    whole = torch.rand(3, SIDE + 2 * count, SIDE + 2 * count, generator=generator(3))
    return torch.stack([whole[:, 2 * count - k :, 2 * count - 2 * k :][:, :SIDE, :SIDE] for k in range(count)])


def observed(count: int):
    damage, draws = make_damage("random:share=0.5"), generator(4)
    for frame in shifted_video(count):
        operator = damage.draw(1, SIDE, SIDE, draws)
        yield operator, operator.apply(frame[None])[0]


def restored(carrier: str = "gp", count: int = 4, **options) -> list[torch.Tensor]:
    maps = affine_maps([SHIFT] * (count - 1), SIDE, SIDE)
    return list(restored_frames(restless(), observed(count), maps, make_carrier(carrier), generator(), **options))


def errors(frames: list[torch.Tensor]) -> float:
    pairs = list(warping_errors(frames, affine_maps([SHIFT] * (len(frames) - 1), SIDE, SIDE)))
    return sum(before for before, _ in pairs[1:]) / (len(frames) - 1)


def test_the_error_is_zero_for_predictions_that_move_with_the_scene():
    video = shifted_video(2)
    _, step = affine_maps([SHIFT], SIDE, SIDE)
    assert float(equivariance_error(video[1:], video[0], step)) == pytest.approx(0, abs=1e-6)
    assert float(equivariance_error(video[:1], video[0], step)) > 1
    broken = video[0].clone()
    broken[:, -1] = 9  # leaves the frame with this step, so nothing is compared with it
    assert float(equivariance_error(video[1:], broken, step)) == pytest.approx(0, abs=1e-6)


def test_hidden_pixels_are_compared_with_nothing():
    later, earlier = torch.zeros(2, SIDE, SIDE), torch.zeros(2, SIDE, SIDE)
    later[0, 4:8, 6:10], earlier[0, 4:8, 2:6] = -4, 4  # a square moves by its width
    _, step = flow_maps([(later, earlier)])
    data = torch.zeros(1, 3, SIDE, SIDE)
    before = torch.zeros(3, SIDE, SIDE)
    before[:, 4:8, 6:10] = 5  # what the square covers
    assert float(equivariance_error(data, before, step)) == 0
    before[:, 0, 0] = 1
    assert float(equivariance_error(data, before, step)) == 3


def test_guidance_makes_frames_agree_and_more_of_it_makes_them_agree_more():
    without, weak, strong = (
        errors(restored(exact=False, guidance=Guidance(strength=strength))) for strength in (0.0, 1.0, 4.0)
    )
    assert strong < weak < without
    assert strong < 0.8 * without
    assert errors(restored(exact=False)) == without


class Unchanged(RestorationModel):
    """Predicts ``u = x / alpha``, the sample itself, in the paper's units."""

    def data(self, seen, x_t, t):
        return x_t / t

    def images(self, data, *, clamp=True):
        return data


@pytest.mark.parametrize(("normalised", "strength"), [("root", 0.3), ("root", 1e6), ("none", 0.2)])
def test_a_pull_is_that_of_the_paper_in_its_units_and_never_goes_too_far(normalised, strength):
    noise = torch.randn(1, 3, SIDE, SIDE, generator=generator())
    step = list(affine_maps([Affine.shift(0, 0)], SIDE, SIDE))[1]
    before = Sampled(torch.zeros(3, SIDE, SIDE), [torch.zeros(3, SIDE, SIDE)] * 2)
    guidance = Guidance(strength=strength, normalised=normalised)
    model = Unchanged(CONFIG).requires_grad_(False)
    operator, given = next(observed(1))
    made = sample_frame(model, model.observe(operator, given[None]), noise, step, before, guidance, times=(0.5, 0.8))
    u = noise / 0.5
    for data in made.predictions:
        torch.testing.assert_close(data, u[0], rtol=1e-4, atol=1e-4)
        error = u.square().sum()  # from zero
        weight = min(strength / max(float(error.sqrt()), 1e-12), 0.5) if normalised == "root" else strength
        u = u - weight * 2 * u
    torch.testing.assert_close(made.image, u[0], rtol=1e-4, atol=1e-4)
    assert strength < 1e6 or float(made.image.abs().max()) < 1e-3, "it agrees with the frame before"


def test_pulled_predictions_agree_exactly_and_take_no_derivative_of_the_network(monkeypatch):
    free, weak, strong = (
        errors(restored(exact=False, guidance=Guidance(strength=strength, pulls="prediction")))
        for strength in (0.0, 0.3, 1e6)
    )
    assert strong < 1e-9 < weak < free
    real, taken = RestorationModel.data, []
    monkeypatch.setattr(RestorationModel, "data", lambda *args: taken.append(torch.is_grad_enabled()) or real(*args))
    restored(guidance=Guidance(pulls="prediction"))
    assert taken
    assert not any(taken)


def test_the_next_frame_is_guided_by_what_a_pulled_prediction_became():
    maps = list(affine_maps([SHIFT], SIDE, SIDE))
    (one, given), (two, later) = observed(2)
    model = restless()
    first = sample_frame(
        model, model.observe(one, given[None]), torch.randn(1, 3, SIDE, SIDE, generator=generator()), maps[0]
    )
    noise = torch.randn(1, 3, SIDE, SIDE, generator=generator(1))
    guidance = Guidance(strength=1e6, pulls="prediction")
    second = sample_frame(model, model.observe(two, later[None]), noise, maps[1], first, guidance)
    for mine, before in zip(second.predictions, first.predictions, strict=True):
        assert float(equivariance_error(mine[None], before, maps[1])) == pytest.approx(0, abs=1e-5)


def test_predictions_are_compared_with_what_is_observed_in_its_place():
    operator, given = next(observed(1))
    model = restless()
    seen, noise = model.observe(operator, given[None]), torch.randn(1, 3, SIDE, SIDE, generator=generator())
    step = first_map(SIDE, SIDE)
    own = sample_frame(model, seen, noise, step)
    placed = sample_frame(model, seen, noise, step, project=partial(operator.project, observed=given[None]))
    for one, two in zip(own.predictions, placed.predictions, strict=True):
        torch.testing.assert_close(operator.project(model.images(one[None], clamp=False), given[None])[0],
                                   model.images(two[None], clamp=False)[0])  # fmt: skip
    assert not torch.equal(own.image, placed.image)
    torch.testing.assert_close(operator.apply(placed.image[None])[0], given)


def test_a_pulled_prediction_keeps_what_is_observed_in_its_place():
    operators = [make_damage("random:share=0.5").draw(1, SIDE, SIDE, generator(seed)) for seed in (1, 2)]
    whole = torch.rand(1, 3, SIDE, SIDE, generator=generator(3))
    model, step = restless(), first_map(SIDE, SIDE)
    taken: list[torch.Tensor] = []
    real = model.data
    model.data = lambda seen, x, t: taken.append(x) or real(seen, x, t)
    before = None
    for operator in operators:
        project = partial(operator.project, observed=operator.apply(whole))
        seen, noise = (
            model.observe(operator, operator.apply(whole)),
            torch.randn(1, 3, SIDE, SIDE, generator=generator()),
        )
        taken.clear()
        free = sample_frame(model, seen, noise, step, project=project)
        alone = taken[1]
        taken.clear()
        before = sample_frame(model, seen, noise, step, before, Guidance(1e6, pulls="prediction"), project=project)
        known = operator.known(whole).expand_as(whole) > 0
        torch.testing.assert_close(taken[1][known], alone[known])
        assert torch.equal(free.image[known[0]], before.image[known[0]])


@pytest.mark.parametrize("normalised", ["root", "none"])
def test_the_first_frame_is_guided_by_nothing(normalised):
    guided = restored(guidance=Guidance(strength=0.1, normalised=normalised))
    free = restored()
    assert torch.equal(guided[0], free[0])
    assert not torch.equal(guided[1], free[1])


def test_known_pixels_stay_as_they_are_observed():
    frames = restored(guidance=Guidance())
    for frame, (operator, given) in zip(frames, observed(4), strict=True):
        torch.testing.assert_close(operator.apply(frame[None])[0], given)
    assert all(0 <= float(frame.min()) <= float(frame.max()) <= 1 for frame in frames)


def test_a_seed_restores_the_same_video_and_weights_keep_no_gradients():
    one, two = (restored(guidance=Guidance()) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert not any(frame.requires_grad for frame in one)


def test_a_long_video_is_never_held_as_a_whole(monkeypatch):
    made = {name: [] for name in ("predictions", "maps", "frames", "images")}

    def watched(*args):
        sampled = sample_frame(*args)
        made["predictions"].append(weakref.ref(sampled.predictions[0]))
        made["images"].append(weakref.ref(sampled.image))
        return sampled

    def refers(name, values):
        for value in values:
            made[name].append(weakref.ref(value[1] if name == "frames" else value.points))
            yield value
            del value

    monkeypatch.setattr("corrwise.predictors.restoration.video.sample_frame", watched)
    maps = refers("maps", affine_maps([SHIFT] * 39, SIDE, SIDE))
    frames = refers("frames", iter(observed(40)))
    model = restless(evaluations=1)
    for _ in restored_frames(model, frames, maps, make_carrier("gp"), generator(), guidance=Guidance()):
        alive = {name: sum(each() is not None for each in refs) for name, refs in made.items()}
        assert alive["predictions"] == 1
        assert max(alive.values()) <= 5, alive
    assert {len(refs) for refs in made.values()} == {40}


def test_warping_errors_are_those_of_visible_pixels():
    video = list(shifted_video(3))
    steps = [*affine_maps([SHIFT] * 2, SIDE, SIDE)]
    assert next(iter(warping_errors(video, steps))) == (None, None)
    assert all(error < 1e-9 for pair in list(warping_errors(video, steps))[1:] for error in pair)
    brighter = [video[0], video[1] + 0.1, video[2]]
    (_, second, third) = warping_errors(brighter, steps)
    assert second == pytest.approx((0.01, 0.01), rel=1e-3)
    assert third[0] == pytest.approx(0.01, rel=1e-3)
    assert third[1] == pytest.approx(0, abs=1e-9)
    far = list(affine_maps([Affine.shift(99, 0)], SIDE, SIDE))
    assert list(warping_errors(video[:2], far))[1] == (None, None)


def test_what_does_not_fit_is_refused():
    model, maps = restless(), affine_maps([SHIFT], SIDE, SIDE)
    with pytest.raises(ValueError, match="trained with Gaussian-process noise"):
        restored_frames(model, [], maps, make_carrier("fixed"), generator())
    with pytest.raises(ValueError, match="one map for each frame, got 2 maps and more frames"):
        list(restored_frames(model, observed(3), affine_maps([SHIFT], SIDE, SIDE), make_carrier("gp"), generator()))
    with pytest.raises(ValueError, match="one map for each frame, got 1 frames and more maps"):
        list(restored_frames(model, observed(1), affine_maps([SHIFT], SIDE, SIDE), make_carrier("gp"), generator()))
    with pytest.raises(ValueError, match=r"maps of the whole frames' size \(16, 16\), got \(8, 8\) for frame 0"):
        list(restored_frames(model, observed(2), affine_maps([SHIFT], 8, 8), make_carrier("gp"), generator()))
    operator, given = next(observed(1))
    seen, noise = model.observe(operator, given[None]), torch.randn(1, 3, SIDE, SIDE)
    before = sample_frame(model, seen, noise, first_map(SIDE, SIDE), times=(0.0, 0.5))
    with pytest.raises(ValueError, match="a frame before of 6 predictions, got 2"):
        sample_frame(model, seen, noise, first_map(SIDE, SIDE), before, Guidance())
    with pytest.raises(ValueError, match="strength must be zero or above"):
        Guidance(strength=-1.0)


def test_guidance_in_inference_mode_is_refused_in_a_sentence():
    with torch.inference_mode(), pytest.raises(RuntimeError, match=r"restore outside of torch.inference_mode"):
        restored(guidance=Guidance())
