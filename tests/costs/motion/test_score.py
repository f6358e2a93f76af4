"""Scores of motion have known answers on videos whose motion is known."""

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from corrwise.costs.flow import DISFlow
from corrwise.costs.motion.score import (
    accelerations,
    dynamic,
    forward_flows,
    largest_lengths,
    lengths,
    level_means,
    level_shares,
    motion_score,
    smoothness,
    threshold,
    wasserstein,
)
from tests.costs.images import body, generator


class SquareFlow:
    """The true flow of a bright square on a darker ground: it reads where the square is from both images."""

    def __call__(self, target, source):
        flow = torch.zeros_like(target[:, :2])
        for k, (one, two) in enumerate(zip(target, source, strict=True)):
            here, there = (image.mean(dim=0) > 0.3 for image in (one, two))
            move = there.nonzero().float().mean(dim=0) - here.nonzero().float().mean(dim=0)
            flow[k] = torch.where(here, move.flip(0)[:, None, None], 0.0)
        return flow


class Middle:
    """The linear blend of the two frames around a time."""

    def __call__(self, frames, times, wanted):
        places = [list(times).index(t - 1) for t in wanted]
        return torch.stack([(frames[:, i] + frames[:, i + 1]) / 2 for i in places], dim=1)


class FixedMiddle:
    """The same as a model of fixed times that sees four frames."""

    known, between = (-1.0, 0.0, 1.0, 2.0), (0.5,)

    def __call__(self, frames, times, wanted):
        assert frames.shape[1] == 4
        return (frames[:, 1:2] + frames[:, 2:3]) / 2


def square_video(places, **options):
    return torch.cat([body(x, 0, **options) for x in places])[None]


def test_a_moving_square_has_the_lengths_of_its_speed_and_no_acceleration():
    flows = forward_flows(SquareFlow(), square_video([0, 2, 4, 6]))
    assert flows.shape == (1, 3, 2, 32, 32)
    each = lengths(flows)
    assert each.max() == 2
    assert (each > 0).sum() == 3 * 64
    assert (flows[:, :, 0] >= 0).all(), "forward is where a pixel goes"
    inside = accelerations(flows)[0, :, 10:18, 14:18]  # in the square in all three frames
    assert inside.abs().max() < 1e-5
    speeding = accelerations(forward_flows(SquareFlow(), square_video([0, 1, 3, 6])))
    assert torch.allclose(speeding[0, 0, 12:16, 12:16], torch.tensor(1.0), atol=1e-5)


def test_an_estimator_measures_the_same_motion():
    flows = forward_flows(DISFlow(), square_video([0, 2, 4]))
    assert largest_lengths(flows)[0].mean() == pytest.approx(2, abs=0.1)


def test_the_largest_lengths_are_those_of_a_twentieth_of_the_pixels():
    flows = torch.zeros(1, 1, 2, 10, 10)
    flows[0, 0, 0, 0, :5] = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    assert largest_lengths(flows).item() == pytest.approx(3.0)


def test_a_video_is_dynamic_where_a_quarter_of_its_frames_move_beyond_the_threshold():
    assert threshold(256, 300) == 6
    assert threshold(64, 64) == 1.5
    flows = torch.zeros(4, 8, 2, 64, 64)  # 9 frames: round(9 / 4) = 2 must move
    flows[1, :1, 0], flows[2, :2, 0], flows[3, :, 0] = 9.0, 1.6, 1.4
    assert dynamic(flows).tolist() == [False, False, True, False]
    assert not dynamic(torch.zeros(1, 1, 2, 64, 64)).item(), "of two frames at least one pair must move"


def test_a_frozen_video_is_perfectly_smooth_and_not_dynamic():
    frozen = square_video([3] * 5)
    assert smoothness(frozen, Middle()).tolist() == [1.0]
    assert not dynamic(forward_flows(DISFlow(), frozen)).item()
    assert motion_score(1.0, 0.0) == 0.5


def test_smoothness_is_the_error_of_the_frames_that_are_made():
    video = torch.zeros(1, 5, 3, 4, 4)
    video[:, 1] = 51 / 255
    assert smoothness(video, Middle()).item() == pytest.approx(1 - 25.5 / 255)
    assert smoothness(video[:, :4], Middle()).item() == pytest.approx(1 - 51 / 255), "an even number leaves one out"


def test_shuffled_frames_are_less_smooth():
    places = torch.arange(9)
    mixed = places[torch.randperm(9, generator=generator(1))]
    one, two = (smoothness(square_video(each.tolist()), Middle()).item() for each in (places, mixed))
    assert two < one < 1


def test_an_interpolator_of_fixed_times_sees_the_outer_frames_again():
    video = torch.rand(2, 7, 3, 8, 8, generator=generator())
    assert torch.equal(smoothness(video, FixedMiddle()), smoothness(video, Middle()))


def test_two_frames_have_no_smoothness():
    with pytest.raises(ValueError, match="3 frames or more, got 2"):
        smoothness(torch.zeros(1, 2, 3, 8, 8), Middle())


def test_numbers_that_are_shifted_are_as_far_apart_as_the_shift():
    x = torch.rand(1000, generator=generator())
    assert wasserstein(x, x + 0.25) == pytest.approx(0.25, abs=1e-6)
    assert wasserstein(x, x.flip(0)) == 0


def test_the_distance_is_that_of_scipy_with_weights_and_different_numbers_of_values():
    x, y = torch.randn(50, generator=generator(1)), torch.randn(31, generator=generator(2)) * 2 + 1
    u, v = (torch.rand(len(each), generator=generator(3)) for each in (x, y))
    assert wasserstein(x, y, u, v) == pytest.approx(wasserstein_distance(x, y, u, v), rel=1e-5)
    assert wasserstein(x, y) == pytest.approx(wasserstein_distance(x, y), rel=1e-5)


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="finite numbers"):
        wasserstein(torch.tensor([1.0, float("nan")]), torch.tensor([1.0]))


def test_a_few_numbers_stand_for_a_distribution():
    values = torch.rand(3, 5000, generator=generator()).pow(8) * 4  # most are near zero
    shares, means = level_shares(), level_means(values)
    assert shares.sum().item() == pytest.approx(1)
    assert torch.allclose(means @ shares, values.double().mean(dim=1))
    assert (means.diff(dim=1) >= 0).all()
    for row, few in zip(values, means, strict=True):
        assert wasserstein(row, few, None, shares) < 0.03 * row.mean()
    assert np.isclose(wasserstein(means[0], means[0] + 1, shares, shares), 1)


def test_few_values_fill_all_levels():
    means = level_means(torch.tensor([[1.0, 3.0]]))
    assert (means @ level_shares()).item() == pytest.approx(2)
    assert (means[0, 0].item(), means[0, -1].item()) == pytest.approx((1, 3))
