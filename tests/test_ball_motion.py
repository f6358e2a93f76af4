"""Where the drawn ball is, and how it moves, is measured from its pixels."""

from itertools import islice

import numpy as np
import pytest
import torch

from tools.ball_motion import MEASURES, measures, places, table
from tools.stop_and_go import Balls, image
from tools.stop_and_go import places as drawn

BALLS = Balls("")


def _video(path):
    return torch.from_numpy(np.stack([image(BALLS, place) for place in path])).permute(0, 3, 1, 2).float()[None] / 255


def test_the_place_of_a_ball_is_where_it_was_drawn():
    path = np.array(list(islice(drawn(BALLS, np.random.default_rng(0)), 20)))
    assert np.abs(places(_video(path))[0].numpy() - path).max() < 0.1


def test_moves_starts_and_speed_are_counted():
    found = measures(_video([np.array([x, 16.0]) for x in (8.0, 8.0, 8.0, 10.0, 12.0, 12.0, 12.0)]))
    assert found["moving"] == pytest.approx(2 / 5)
    assert found["starting"] == pytest.approx(1 / 3)
    assert found["speed"] == pytest.approx(4 / 5, abs=0.05)


def test_steps_without_a_ball_or_with_another_one_are_left_out():
    video = _video([np.array([x, 16.0]) for x in (8.0, 10.0, 12.0, 14.0, 28.0, 28.0)])
    video[:, 2] = video[:, 2, :, :1, :1]  # the ball is gone, and comes back
    found = measures(video)
    assert found["lost"] == pytest.approx(3 / 4)
    assert found["speed"] == pytest.approx(0, abs=0.05)
    assert found["moving"] == found["starting"] == 0


def test_a_line_of_the_table_is_the_mean_of_an_arms_models():
    rows = [
        {"model": name, **dict.fromkeys(MEASURES, value), "speeds": [value, value]}
        for name, value in (("distill-0", 0.5), ("true", 1.0), ("distill-1", 1.5))
    ]
    lines = table(rows).splitlines()
    assert lines[2].startswith("| `true` | 100% | 100% | 1.00")
    assert lines[3] == "| `distill` | 100% | 100% | 1.00 ± 0.00 | 100% | 0.50, 1.50 |"
