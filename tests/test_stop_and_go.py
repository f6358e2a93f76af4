"""Clips of a ball that rests and moves: how often it moves, and that it stays inside."""

from itertools import islice

import cv2
import numpy as np
import pytest

from corrwise.validation import ConfigError
from tools.stop_and_go import Balls, main, places


def test_a_ball_rests_for_as_long_as_its_chance_says_and_stays_inside(tmp_path):
    balls = Balls(tmp_path)
    path = np.array(list(islice(places(balls, np.random.default_rng(0)), 5000)))
    moved = np.abs(np.diff(path, axis=0)).sum(axis=1)
    assert set(moved.round(6)) == {0.0, balls.speed}
    rest = 1 / balls.chance - 1  # frames between two moves, on average
    assert abs((moved > 0).mean() - balls.moves / (balls.moves + rest)) < 0.03
    assert balls.radius < path.min()
    assert path.max() < balls.side - balls.radius - 1 + 1e-9


def test_a_clip_is_a_folder_of_images_that_depends_on_its_number_alone(tmp_path):
    main(Balls(tmp_path / "two", clips=2, frames=3, side=28))
    main(Balls(tmp_path / "one", clips=1, frames=3, side=28, seed=1))
    images = [cv2.imread(str(tmp_path / name / "000001" / "0002.png")) for name in ("two", "one")]
    assert images[0].shape == (28, 28, 3)
    assert np.array_equal(*images)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"moves": 20}, "so few that a path fits twice into 20 px, got 20"),
        ({"radius": float("nan")}, "radius must be above zero and finite, got nan"),
        ({"chance": 2.0}, "chance must be in"),
        ({"frames": 0}, "frames must be at least 1, got 0"),
    ],
)
def test_a_ball_without_room_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        Balls("", **change)
