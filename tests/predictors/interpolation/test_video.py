"""Videos with more frames, and goal videos from key frames."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from corrwise.predictors.interpolation import Blend
from corrwise.predictors.interpolation.video import goal_video, upsample


@dataclass
class Middle:
    """Makes one frame or several in the middle gap of what it sees, by a blend of the two around it."""

    known: tuple[float, ...] = (0.0, 1.0)
    between: tuple[float, ...] = (0.5,)

    def __call__(self, frames, times, wanted):
        assert tuple(times) == self.known
        return Blend()(frames, times, wanted)


FIXED = [Middle(), Middle(between=(1 / 3, 2 / 3)), Middle(known=(0.0, 1.0, 2.0, 3.0), between=(1.5,))]


def ramp(values, size=8):
    """Return frames of one brightness each."""
    return torch.tensor(values)[None, :, None, None, None].expand(2, -1, 3, size, size)


def brightness(frames):
    return frames[0, :, 0, 0, 0].tolist()


@pytest.mark.parametrize("model", FIXED)
def test_a_model_of_fixed_times_gives_the_video_of_a_free_one(model):
    factor = (len(model.between) + 1) ** 2
    frames = ramp([0.0, 0.4, 0.2])
    torch.testing.assert_close(upsample(frames, factor, model), upsample(frames, factor, Blend()))
    assert upsample(frames, factor, model).shape[1] == 2 * factor + 1


@pytest.mark.parametrize(("model", "factor", "reached"), [(FIXED[0], 3, "2, 4, 8"), (FIXED[1], 2, "3, 9, 27")])
def test_a_factor_that_cannot_be_reached_is_refused(model, factor, reached):
    with pytest.raises(ValueError, match=rf"a factor of {reached}, ...; got {factor}"):
        upsample(ramp([0.0, 1.0]), factor, model)


def test_a_factor_of_one_is_the_video_and_less_is_refused():
    frames = ramp([0.0, 0.4, 0.2])
    torch.testing.assert_close(upsample(frames, 1, FIXED[0]), frames)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        upsample(frames, 0, Blend())


def test_one_frame_is_no_video():
    with pytest.raises(ValueError, match="at least K = 2"):
        upsample(ramp([0.5]), 2, Blend())


def test_a_goal_video_has_a_frame_for_each_step_and_the_key_frames_at_their_times():
    video = goal_video(ramp([0.0, 0.4, 0.1]), (0, 4, 7), Blend())
    assert brightness(video) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.3, 0.2, 0.1])


@pytest.mark.parametrize("times", [torch.tensor([0, 4, 7]), np.array([0, 4, 7])])
def test_times_of_a_goal_video_may_be_a_tensor_and_are_whole(times, unhooked):
    key = ramp([0.0, 0.4, 0.1])
    for model in (Blend(), FIXED[0]):
        assert torch.equal(goal_video(key, times, model), goal_video(key, (0, 4, 7), model))
    with pytest.raises(ValueError, match="expected times in whole control steps"):
        goal_video(key, times / 2, Blend())


@pytest.mark.parametrize("model", FIXED)
def test_a_goal_video_of_fixed_times_takes_the_nearest_frames(model):
    video = goal_video(ramp([0.0, 0.4, 0.1]), (0, 4, 7), model)
    exact = goal_video(ramp([0.0, 0.4, 0.1]), (0, 4, 7), Blend())
    assert brightness(video)[3] == pytest.approx(0.4)
    assert brightness(video)[-1] == pytest.approx(0.1)
    assert (video - exact).abs().max() <= 0.4 / 8 + 1e-6
