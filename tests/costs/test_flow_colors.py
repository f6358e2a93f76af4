"""Colours of a flow mean what the legend shows."""

from __future__ import annotations

import numpy as np
import pytest

from corrwise.costs.flow_colors import flow_to_rgb, flow_wheel


def vector(dx, dy, **options):
    return flow_to_rgb(np.array([dx, dy], dtype=np.float32).reshape(2, 1, 1), **options)[0, 0].astype(int)


def test_no_motion_is_white_and_strength_grows_with_length():
    assert vector(0, 0).tolist() == [255, 255, 255]
    assert vector(0, 0, max_px=4).tolist() == [255, 255, 255]
    lengths = [np.ptp(vector(x, 0, max_px=4)) for x in (0, 1, 2, 4)]
    assert lengths == sorted(set(lengths))
    np.testing.assert_array_equal(vector(9, 0, max_px=4), vector(4, 0, max_px=4))


def test_hue_is_the_direction():
    right, down, left, up = (vector(*d, max_px=1) for d in ((1, 0), (0, 1), (-1, 0), (0, -1)))
    assert right[0] > right[1] == right[2]
    assert down[1] > down[0] > down[2]
    assert left[1] == left[2] > left[0]
    assert up[2] > up[0] > up[1]
    np.testing.assert_array_equal(vector(3, 3), vector(1, 1))  # alone in its field, any length is the longest


def test_flow_that_is_not_finite_is_grey_and_harms_no_neighbour():
    flow = np.zeros((2, 1, 3))
    flow[0] = [[np.nan, np.inf, 2.0]]
    image = flow_to_rgb(flow)
    assert image[0, :2].tolist() == [[128] * 3] * 2
    np.testing.assert_array_equal(image[0, 2], vector(2, 0))
    with pytest.raises(ValueError, match=r"got \(3, 4, 4\)"):
        flow_to_rgb(np.zeros((3, 4, 4)))


def test_the_legend_shows_the_arrow_that_leads_to_each_point():
    wheel = flow_wheel(65)
    assert wheel[32, 32].tolist() == [255, 255, 255]
    assert wheel[0, 0].tolist() == [255, 255, 255]
    np.testing.assert_array_equal(wheel[32, 64], vector(1, 0))
    np.testing.assert_array_equal(wheel[64, 32], vector(0, 1))
