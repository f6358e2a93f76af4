"""Crops hold what moves, stay inside, and are the same for the same draws."""

import numpy as np
import pytest

from corrwise.predictors.data import ClipWindows
from corrwise.predictors.data.windows import moving_crops


def _with_a_dot(n=200):
    """Windows of two frames, 20 x 30, where one pixel at (17, 3) lights up; the value of a pixel is its place."""
    frames = np.zeros((n, 2, 20, 30, 3), dtype=np.uint8)
    frames[..., 0], frames[..., 1] = np.arange(20)[:, None], np.arange(30)
    frames[:, 1, 17, 3, 2] = 255
    return frames


def test_a_crop_holds_what_moves_wherever_it_fits():
    crops = moving_crops(_with_a_dot(), 8, np.random.default_rng(0))
    assert crops.shape == (200, 2, 8, 8, 3)
    assert (crops[:, 1, ..., 2].max((1, 2)) == 255).mean() > 0.99
    tops, lefts = crops[:, 0, 0, 0, 0], crops[:, 0, 0, 0, 1]
    assert set(tops) == {10, 11, 12}, "the image ends below"
    assert set(lefts) == {0, 1, 2, 3}
    assert (crops[:, 0, :, :, :2] == crops[:, 1, :, :, :2]).all(), "all frames from the same place"


def test_crops_of_a_still_image_go_anywhere():
    crops = moving_crops(_with_a_dot()[:, :1].repeat(2, axis=1), 8, np.random.default_rng(0))
    assert len(set(crops[:, 0, 0, 0, 0])) == 13


def test_a_crop_of_the_whole_image_is_the_image():
    frames = _with_a_dot(3)[:, :, :, :20]
    assert (moving_crops(frames, 20, np.random.default_rng(0)) == frames).all()
    with pytest.raises(ValueError, match="expected crops no larger than images of 20 x 30, got 21"):
        moving_crops(_with_a_dot(1), 21, np.random.default_rng(0))


class _Dots:
    lengths, size, action_dim = (2,) * 50, (20, 30), 0

    def read(self, clip, start, stop):
        return _with_a_dot(1)[0, start:stop], np.zeros((stop - start - 1, 0), dtype=np.float32)


def test_a_step_sees_the_same_crops_whatever_came_before():
    windows = ClipWindows(_Dots(), 2, seed=3, crop=8)
    first = windows.batch(5, 6)
    windows.batch(6, 6)
    assert first.frames.shape == (6, 2, 3, 8, 8)
    assert (first.frames == ClipWindows(_Dots(), 2, seed=3, crop=8).batch(5, 6).frames).all()
    assert windows.windows(np.arange(2)).frames.shape == (2, 2, 3, 20, 30), "windows by number are whole"
